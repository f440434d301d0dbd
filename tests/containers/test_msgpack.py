"""Flax's files of msgpack: arrays equal Flax's, and damaged or hostile files are refused."""

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berthub.containers.msgpack import read_msgpack
from berthub.errors import CorruptFileError, ModelError, UnsupportedModelError


def packed(value: Any) -> bytes:
    """The value as Flax writes it: arrays as extension 1, tuples as arrays of msgpack."""
    match value:
        case bool() | None:
            return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
        case int():
            return b"\xd3" + struct.pack(">q", value)
        case float():
            return b"\xcb" + struct.pack(">d", value)
        case str():
            return b"\xdb" + struct.pack(">I", len(value.encode())) + value.encode()
        case bytes():
            return b"\xc6" + struct.pack(">I", len(value)) + value
        case tuple():
            return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(packed, value))
        case dict():
            entries = b"".join(packed(key) + packed(each) for key, each in value.items())
            return b"\xde" + struct.pack(">H", len(value)) + entries
    return extension(1, packed((value.shape, value.dtype.name, value.tobytes())))


def extension(kind: int, data: bytes) -> bytes:
    return b"\xc9" + struct.pack(">IB", len(data), kind) + data


def _write(folder: Path, data: bytes) -> Path:
    path = folder / "x.msgpack"
    path.write_bytes(data)
    return path


def test_arrays_are_found_by_their_paths(tmp_path: Path) -> None:
    values = np.array([1.5, -0.0, 3.140625], np.float32)
    bits = packed((values.shape, "bfloat16", (values.view(np.uint32) >> 16).astype("<u2").tobytes()))
    tree = {
        "params": {"a": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}, "b": values.astype(np.float16)},
        "double": values.astype(np.float64),
        "count": np.arange(3),
        "flag": np.array([True, False]),
        "step": 7,
        "rate": 0.5,
        "none": None,
        "raw": b"123",
        "list": (1, "a"),
        "chunks": {
            "__msgpack_chunked_array__": True,
            "shape": {"0": 2, "1": 2},
            "chunks": {"0": values[:2], "1": values[1:]},
        },
    }
    data = packed(tree)[:3].replace(b"\xde\x00\x0a", b"\xde\x00\x0c") + packed(tree)[3:]
    data += (
        packed("half")
        + extension(1, bits)
        + packed("scalar")
        + extension(3, packed(((), "float32", values[:1].tobytes())))
    )
    found = read_msgpack(_write(tmp_path, data))
    expected = {
        "params/a/kernel": tree["params"]["a"]["kernel"],
        **dict.fromkeys(("params/b", "double", "half"), values),
        "count": tree["count"],
        "flag": tree["flag"],
        "chunks": np.array([[1.5, -0.0], [-0.0, 3.140625]], np.float32),
        "scalar": np.float32(1.5),
    }
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == np.asarray(array).dtype
        np.testing.assert_array_equal(found[name], array)
    assert not found["params/a/kernel"].flags.owndata


def _array(shape: Any = (2,), name: Any = "float32", data: Any = bytes(8)) -> bytes:
    return b"\x81" + packed("w") + extension(1, packed((shape, name, data)))


def _chunked(**parts: Any) -> bytes:
    chunks = {"0": np.zeros(2, np.float32), "1": np.zeros(2, np.float32)}
    return packed({"w": {"__msgpack_chunked_array__": True, "shape": {"0": 4}, "chunks": chunks, **parts}})


_DAMAGED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "1 bytes, of which 0 are there"),
    "no map": (b"\x93\x01\x02\x03", "should hold a map"),
    "more behind it": (b"\x80\x80", "1 bytes are left"),
    "a byte that begins nothing": (b"\x81\xa1w\xc1", "0xc1, which begins no value"),
    "a key that is a number": (b"\x81\x01\x02", "a key that is no text"),
    "a key twice": (b"\x82\xa1w\x01\xa1w\x02", "the key 'w' twice"),
    "a text that is none": (b"\x81\xa1\xff\x01", "no UTF-8"),
    "a text of gigabytes": (b"\x81\xdb\xff\xff\xff\xff", "4,294,967,295 bytes, of which"),
    "a map of four billion": (b"\xdf\xff\xff\xff\xff", "1 bytes, of which 0"),
    "a list of four billion": (b"\x81\xa1w\xdd\xff\xff\xff\xff", "1 bytes, of which 0"),
    "an extension of gigabytes": (b"\x81\xa1w\xc9\xff\xff\xff\xff\x01", "4,294,967,295 bytes, of which"),
    "maps in maps": (b"\x81\xa1w" * 100 + b"\x80", "maps more than 32 deep"),
    "lists in lists": (b"\x81\xa1w" + b"\x91" * 100 + b"\x90", "maps more than 32 deep"),
    "too many maps": (b"\x81\xa1w\xdd" + struct.pack(">I", 100_000) + b"\x80" * 100_000, "memory"),
    "too many numbers": (b"\x81\xa1w\xdd" + struct.pack(">I", 100_000) + b"\x00" * 100_000, "memory"),
    "too few bytes": (_array(data=bytes(7)), "7 bytes for an array of type float32 and shape [2]"),
    "too many bytes": (_array(data=bytes(9)), "9 bytes for an array"),
    "no numbers": (_array((0, 2)), "a shape that no weight has"),
    "less than none": (_array((-2, -1)), "a shape that no weight has"),
    "many dimensions": (_array((1,) * 40), "a shape that no weight has"),
    "a size of exabytes": (_array((1 << 62,)), "a shape that no weight has"),
    "a product of exabytes": (_array((1 << 40, 1 << 40)), "8 bytes for an array"),
    "a shape of texts": (_array(("2",)), "a shape that no weight has"),
    "a type that is a number": (_array(name=4), "otherwise than Flax does"),
    "data that are a text": (_array(data="a" * 8), "otherwise than Flax does"),
    "more in the extension": (
        b"\x81" + packed("w") + extension(1, packed(((2,), "float32", bytes(8))) + b"\0"),
        "otherwise than Flax does",
    ),
    "an extension that ends early": (
        b"\x81" + packed("w") + extension(1, packed(((2,), "float32", bytes(8)))[:-1]) + b"\0",
        "8 bytes, of which 7 are there",
    ),
    "chunks of another size": (_chunked(shape={"0": 5}), "whose chunks do not make it"),
    "chunks without numbers": (_chunked(chunks={"a": np.zeros(4, np.float32)}), "not numbered"),
    "no chunks": (_chunked(chunks={}), "not numbered"),
    "chunks of numbers": (_chunked(chunks={"0": 4}), "whose chunks do not make it"),
    "chunks of two types": (
        _chunked(chunks={"0": np.zeros(2, np.float32), "1": np.zeros(2, np.int32)}),
        "of different types",
    ),
    "a path twice": (
        b"\x82" + packed("a") + packed({"b/c": np.zeros(1)}) + packed("a/b") + packed({"c": np.zeros(1)}),
        "the array 'a/b/c' twice",
    ),
}


@pytest.mark.parametrize("kind", _DAMAGED)
def test_damage_is_named(kind: str, tmp_path: Path) -> None:
    data, fault = _DAMAGED[kind]
    path = _write(tmp_path, data)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptFileError) as caught:
            read_msgpack(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert fault in str(caught.value)
    assert peak < 48 * len(data) + (1 << 20)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"\x81\xa1w" + extension(2, packed((1.0, 2.0))), "the extension type 2"),
        (b"\x81\xa1w\xd4\x05\x00", "the extension type 5"),
        (_array(name="complex64"), "of type 'complex64'"),
        (_array(name="float8_e4m3fn"), "of type 'float8_e4m3fn'"),
    ],
)
def test_what_is_not_read_is_named(data: bytes, fault: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=fault):
        read_msgpack(_write(tmp_path, data))


def test_a_file_that_ends_early_is_an_error(models: Path, tmp_path: Path) -> None:
    data = (models / "flax_bert" / "flax_model.msgpack").read_bytes()
    for size in range(0, len(data), 53):
        with pytest.raises(ModelError):
            read_msgpack(_write(tmp_path, data[:size]))


def test_the_library_of_msgpack_reads_the_same(models: Path) -> None:
    msgpack = pytest.importorskip("msgpack")
    path = models / "flax_bert" / "flax_model.msgpack"
    arrays: dict[str, Any] = {}

    def flatten(tree: dict[str, Any], inside: str) -> None:
        for key, value in tree.items():
            if isinstance(value, dict):
                flatten(value, f"{inside}{key}/")
            else:
                shape, dtype, held = msgpack.unpackb(value.data)
                arrays[f"{inside}{key}"] = np.frombuffer(held, dtype).reshape(shape)

    flatten(msgpack.unpackb(path.read_bytes()), "")
    found = read_msgpack(path)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
