"""Files of `torch.save`: what is read equals what PyTorch reads, and a file that claims what it has not is refused."""

import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berthub.containers import zip_members
from berthub.containers.torch_files import read_torch
from berthub.errors import CorruptFileError, ModelError, UnsupportedModelError
from support.torch_files import (
    MAGIC,
    NUMBERS,
    archive_of,
    encrypted,
    integer,
    many,
    name,
    ordered,
    plain,
    row,
    state,
    storage,
    tensor,
    text,
    write_zip,
)

torch = pytest.importorskip("torch", reason="compares with PyTorch: pip install torch")

_FORMS: dict[str, dict[str, Any]] = {
    "zip": {},
    "older": {"_use_new_zipfile_serialization": False},
    "zip of protocol 4": {"pickle_protocol": 4},
    "older of protocol 5": {"_use_new_zipfile_serialization": False, "pickle_protocol": 5},
}
_EXPECTED = [[0, 1, 2], [3, 4, 5]]


def _assert_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(found) == list(expected)
    for key, tensor_ in expected.items():
        wide = tensor_.float() if tensor_.is_floating_point() else tensor_
        assert found[key].dtype == wide.numpy().dtype, key
        np.testing.assert_array_equal(found[key], wide.numpy(), err_msg=key)


@pytest.mark.parametrize("form", _FORMS)
def test_every_tensor_equals_that_of_torch(form: str, tmp_path: Path) -> None:
    whole = torch.arange(60, dtype=torch.float32).reshape(3, 4, 5)
    values = torch.tensor([1.5, -0.0, 3.140625, 2.0**-14, float("inf"), -65504.0])
    tensors = {
        "whole": whole,
        "transposed": whole.transpose(0, 2),
        "part": whole[1:, 2:, ::2],
        "row": whole[2, 3],
        "number": whole[1, 1, 1],
        "one": torch.arange(5).expand(1, 5),
        "again": whole,
        **{
            str(dtype): values.to(dtype)
            for dtype in (torch.float16, torch.bfloat16, torch.float64, torch.float32, torch.bool)
        },
        **{
            str(dtype): torch.tensor([1, 127, 0], dtype=dtype)
            for dtype in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
        },
        "parameter": torch.nn.Parameter(whole[0] + 1),
    }
    path = tmp_path / "x.bin"
    torch.save(OrderedDict(tensors), path, **_FORMS[form])
    found = read_torch(path)
    expected = {key: each.detach() for key, each in tensors.items()}
    _assert_equal(found, expected)
    assert found["again"] is found["whole"]
    assert np.shares_memory(found["part"], found["whole"])
    assert not found["whole"].flags.writeable
    # As a training saves it, with plain values, and other tensors, beside it.
    torch.save({"epoch": 3, "loss": [0.5], "state_dict": tensors, "states": {"m": whole}}, path, **_FORMS[form])
    _assert_equal(read_torch(path), expected)


def test_checksums_are_compared_and_may_be_switched_off(tmp_path: Path) -> None:
    path, numbers = tmp_path / "x.bin", torch.arange(6, dtype=torch.float32)
    torch.save({"a": numbers}, path)
    damaged = path.read_bytes().replace(numbers.numpy().tobytes(), b"\1" * 24)
    path.write_bytes(damaged)
    with pytest.raises(CorruptFileError, match=r"'x/data/0' does not have its checksum"):
        read_torch(path)
    computed = torch.serialization.get_crc32_options()
    try:
        torch.serialization.set_crc32_options(False)
        torch.save({"a": numbers}, path)
    finally:
        torch.serialization.set_crc32_options(computed)
    assert read_torch(path)["a"].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(("kind", "code"), [("FloatStorage", "f4"), ("BFloat16Storage", "u2"), ("LongStorage", "i8")])
def test_big_endian_numbers_are_turned(kind: str, code: str, tmp_path: Path) -> None:
    values = np.array([1, 2, 300], np.float32)
    stored = values.view(np.uint32) >> 16 if code == "u2" else values
    pickled = state(a=tensor((3,), (1,), 0, storage("0", 3, kind)))
    data = {"0": stored.astype(f">{code}").tobytes()}
    found = read_torch(write_zip(tmp_path / "x.bin", pickled, data, members={"m/byteorder": b"big"}))["a"]
    assert found.dtype.isnative
    expected = (np.uint32(stored) << 16).view(np.float32) if code == "u2" else values
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(CorruptFileError, match="order of bytes is b'middle'"):
        read_torch(write_zip(tmp_path / "x.bin", pickled, data, members={"m/byteorder": b"middle"}))


def test_a_repacked_archive_is_unpacked(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.bin", state(a=tensor()), compression=zipfile.ZIP_DEFLATED)
    assert read_torch(path)["a"].tolist() == _EXPECTED


def test_a_part_of_a_storage_is_read_from_its_place(tmp_path: Path) -> None:
    view = many(text("1"), integer(2), integer(4))
    path = tmp_path / "x.bin"
    path.write_bytes(row(state(a=tensor((2, 2), (2, 1), 0, storage("0", 6, "FloatStorage", view)))))
    assert read_torch(path)["a"].tolist() == [[2, 3], [4, 5]]
    path.write_bytes(row(state(a=tensor((2, 2), (2, 1), 1, storage("0", 6, "FloatStorage", view)))))
    with pytest.raises(CorruptFileError, match="is not in its storage of 4 numbers"):
        read_torch(path)


_TENSORS: dict[str, tuple[bytes, str]] = {
    "beyond its storage": (tensor((2, 4), (4, 1)), "not in its storage of 6 numbers"),
    "an offset beyond it": (tensor((1,), (1,), 6), "not in its storage"),
    "a negative offset": (tensor((1,), (1,), -1), "a tensor at -1 has"),
    "a negative stride": (tensor((2, 3), (3, -1), 2), "strides (3, -1)"),
    "a negative size": (tensor((-2, -3), (3, 1)), "shape (-2, -3)"),
    "no numbers": (tensor((0, 3), (3, 1)), "no weight's"),
    "one number claimed to be many": (tensor((2**20, 2**20), (0, 0)), "not in its storage"),
    "rows that overlap": (tensor((4, 3), (1, 1)), "not in its storage"),
    "a product beyond all sizes": (tensor((2**40, 2**40), (0, 0)), "not in its storage"),
    "a size beyond all sizes": (tensor((2**60,), (0,)), "has the shape"),
    "many dimensions": (tensor((1,) * 40, (1,) * 40), "no weight's"),
    "other strides than sizes": (tensor((2, 3), (3,)), "strides (3,)"),
    "a size that is true": (
        name("torch._utils", "_rebuild_tensor_v2")
        + many(storage(), integer(0), many(b"\x88"), many(integer(1)), b"\x89", ordered())
        + b"R",
        "has the shape something",
    ),
    "no storage": (tensor((1,), (1,), 0, text("0")), "described otherwise"),
    "too many facts": (tensor((2, 3), (3, 1), 0, None, b"N", b"N"), "described otherwise"),
    "a parameter of a number": (
        name("torch._utils", "_rebuild_parameter") + many(integer(1), b"\x88", ordered()) + b"R",
        "a parameter is described otherwise",
    ),
    "a size of a list": (name("torch", "Size") + many(b"]") + b"R", "torch.Size is described otherwise"),
    "a storage of no class": (many(text("storage"), text("x"), text("0"), text("cpu"), integer(6)) + b"Q", "otherwise"),
    "a storage of a dtype": (
        many(text("storage"), name("torch", "float32"), text("0"), text("cpu"), integer(6)) + b"Q",
        "a storage is described otherwise",
    ),
    "a storage of less than nothing": (storage("0", -1), "a storage is described otherwise"),
    "a storage of exabytes": (storage("0", 2**62), "a storage is described otherwise"),
    "a storage that is a number": (b"K\x01Q", "a storage is described otherwise"),
    "a storage in two ways": (many(storage("0", 6), storage("0", 6, "IntStorage")), "described in two ways"),
    "a part that is not in it": (storage("0", 6, "FloatStorage", many(text("1"), integer(4), integer(4))), "not in it"),
    "a storage that is not there": (
        tensor((2, 3), (3, 1), 0, storage("7", 6)),
        "'7' should have 24 bytes, and it has 0",
    ),
    "a storage outside": (tensor((2, 3), (3, 1), 0, storage("../../x", 6)), "'../../x' should have 24 bytes"),
    "a storage of another size": (tensor((2, 3), (3, 1), 0, storage("0", 7)), "should have 28 bytes, and it has 24"),
    "a storage of another type": (tensor((2, 3), (3, 1), 0, storage("0", 6, "HalfStorage")), "12 bytes, and it has 24"),
}


@pytest.mark.parametrize("kind", _TENSORS)
def test_a_tensor_that_claims_what_is_not_there_is_an_error(kind: str, tmp_path: Path) -> None:
    instructions, fault = _TENSORS[kind]
    with pytest.raises(CorruptFileError) as caught:
        read_torch(write_zip(tmp_path / "x.bin", state(w=instructions)))
    assert fault in str(caught.value)


def test_many_tensors_on_one_storage_are_an_error(tmp_path: Path) -> None:
    stored = {"0": bytes(2 * 1000)}
    on_it = {f"w{n}": tensor((1000 - n,), (1,), n, storage("0", 1000, "HalfStorage")) for n in range(20)}
    with pytest.raises(CorruptFileError, match="many different tensors lie on the storage '0'"):
        read_torch(write_zip(tmp_path / "x.bin", state(**on_it), stored))
    equal = {f"w{n}": tensor((1000,), (1,), 0, storage("0", 1000, "HalfStorage")) for n in range(20)}
    found = read_torch(write_zip(tmp_path / "x.bin", state(**equal), stored))
    assert len({id(array) for array in found.values()}) == 1


@pytest.mark.parametrize(
    ("pickled", "fault"),
    [
        (plain(b"}"), "holds no tensors, but nothing"),
        (state(a=integer(1)), "holds no tensors, but 'a'"),
        (plain(b"]"), "no state dictionary"),
        (plain(tensor()), "no state dictionary"),
        (plain(b"}(" + integer(0) + tensor() + b"u"), "no state dictionary"),
        (state(state_dict=integer(1)), "no state dictionary"),
        (state(a=tensor((2, 3), (3, 1), 0, None, b"}(" + text("neg") + b"\x88u")), "stored negated"),
        (plain(name("collections", "OrderedDict") + many(b"]") + b"R"), "made with arguments"),
        (state(a=tensor((2, 3), (3, 1), 0, storage("0", 3, "ComplexFloatStorage"))), "'torch.ComplexFloatStorage'"),
        (plain(name("torch._utils", "_rebuild_qtensor")), "'torch._utils._rebuild_qtensor'"),
    ],
)
def test_what_is_no_state_dictionary_is_told(pickled: bytes, fault: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        read_torch(write_zip(tmp_path / "x.bin", pickled))
    assert fault in str(caught.value)


def test_torchscript_and_pickled_modules_are_refused_with_a_sentence(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.bin", state(a=tensor()), members={"m/constants.pkl": b"", "m/code/m.py": b""})
    with pytest.raises(UnsupportedModelError, match=r"is a TorchScript archive.*state_dict"):
        read_torch(path)
    for form in ("zip", "older"):
        torch.save(torch.nn.Linear(2, 3), path, **_FORMS[form])
        with pytest.raises(UnsupportedModelError, match=r"asks for 'torch\.nn\.modules\.linear\.Linear'"):
            read_torch(path)


def _in_archive(change: Callable[[bytearray], None]) -> Callable[[Path], None]:
    def build(path: Path) -> None:
        data = bytearray(write_zip(path, state(a=tensor())).read_bytes())
        change(data)
        path.write_bytes(data)

    return build


def _in_list(place: int, value: bytes, *, member: int = 0) -> Callable[[Path], None]:
    """Bytes of an entry in the archive's list of members, from `place` on, become others."""

    def change(data: bytearray) -> None:
        at = -1
        for _ in range(member + 1):
            at = data.find(b"PK\1\2", at + 1)
        data[at + place : at + place + len(value)] = value

    return _in_archive(change)


def _bomb(path: Path) -> None:
    pickled = state(a=tensor((1 << 22,), (1,), 0, storage("0", 1 << 22)))
    write_zip(path, pickled, {"0": bytes(4 << 22)}, compression=zipfile.ZIP_DEFLATED)


def _zip64(path: Path) -> None:
    """Sizes of exabytes, in the extra field for sizes beyond 32 bits."""

    def change(data: bytearray) -> None:
        at = data.rfind(b"PK\1\2")
        name_length = struct.unpack_from("<H", data, at + 28)[0]
        struct.pack_into("<II", data, at + 20, 0xFFFFFFFF, 0xFFFFFFFF)
        struct.pack_into("<H", data, at + 30, 20)
        data[at + 46 + name_length : at + 46 + name_length] = struct.pack("<HHQQ", 1, 16, 1 << 62, 1 << 62)
        end = data.rfind(b"PK\5\6")
        struct.pack_into("<I", data, end + 12, struct.unpack_from("<I", data, end + 12)[0] + 20)

    _in_archive(change)(path)


_ARCHIVES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a member twice": (
        lambda path: path.write_bytes(archive_of(("m/data.pkl", state(a=tensor())), *[("m/data/0", NUMBERS)] * 2)),
        "it holds a member twice",
    ),
    "two pickles": (lambda path: write_zip(path, state(a=tensor()), members={"n/data.pkl": b""}), "2 members FOLDER"),
    "no pickle": (lambda path: path.write_bytes(archive_of(("a", b"a"))), "0 members FOLDER/data.pkl"),
    "an encrypted member": (lambda path: encrypted(write_zip(path, state(a=tensor()))), "is encrypted"),
    "another compression": (
        lambda path: write_zip(path, state(a=tensor()), compression=zipfile.ZIP_BZIP2),
        "compressed in an unusual way",
    ),
    "a bomb": (_bomb, "would unpack to more than 4 times its size"),
    "a size that is not true": (_in_list(24, struct.pack("<I", 1 << 31)), "not where its list of members says"),
    "a member at another's place": (_in_list(42, struct.pack("<I", 0), member=1), "not where its list of members says"),
    "a member outside": (_in_list(42, struct.pack("<I", 1 << 30)), "outside of the file"),
    "sizes of exabytes": (_zip64, "not where its list of members says"),
    "a name that is not the member's": (_in_list(46, b"n"), "not where its list of members says"),
    "a checksum that is not true": (_in_list(16, b"\1\2\3\4"), "does not have its checksum"),
    "nothing but a beginning": (lambda path: path.write_bytes(b"PK\3\4"), "is damaged"),
    "an empty file": (lambda path: path.write_bytes(b""), "begins with b''"),
    "a page of a web server": (lambda path: path.write_bytes(b"<html>"), "begins with b'<htm'"),
}


@pytest.mark.parametrize("kind", _ARCHIVES)
def test_an_archive_that_is_not_torchs_is_an_error(kind: str, tmp_path: Path) -> None:
    build, fault = _ARCHIVES[kind]
    path = tmp_path / "x.bin"
    build(path)
    with pytest.raises(ModelError) as caught:
        read_torch(path)
    assert fault in str(caught.value)


def test_a_packed_member_that_grows_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zip(tmp_path / "x.bin", state(a=tensor()), compression=zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    monkeypatch.setattr(zip_members, "_MOST_UNPACKED", 1 << 40)
    at = data.rfind(b"PK\1\2")
    path.write_bytes(data[: at + 24] + struct.pack("<I", 1 << 30) + data[at + 28 :])
    with pytest.raises(CorruptFileError, match=r"should have 24 bytes"):
        read_torch(path)
    at = data.find(b"PK\1\2")
    path.write_bytes(data[: at + 24] + struct.pack("<I", 20) + data[at + 28 :])
    with pytest.raises(CorruptFileError, match=r"does not unpack to 20 bytes"):
        read_torch(path)


_ROWS: dict[str, tuple[bytes, str]] = {
    "another pickle": (plain(integer(5)), "not of torch.save"),
    "another version": (row(state(a=tensor()), version=plain(integer(1002))), "a version of PyTorch's format"),
    "no machine": (row(state(a=tensor()), machine=plain(integer(5))), "tell of the machine"),
    "no keys": (row(state(a=tensor()), keys=plain(b"]")), "not those that its tensors have"),
    "keys twice": (row(state(a=tensor()), keys=plain(b"](" + text("0") * 2 + b"e")), "different texts"),
    "keys of numbers": (row(state(a=tensor()), keys=plain(b"]K\0a")), "different texts"),
    "another count": (row(state(a=tensor()), storages=struct.pack("<q", 7) + NUMBERS), "6 numbers of the storage '0'"),
    "a truncated storage": (row(state(a=tensor()), storages=struct.pack("<q", 6) + NUMBERS[:-1]), "of the storage '0'"),
    "no storage": (row(state(a=tensor()), storages=b""), "6 numbers of the storage '0'"),
    "more behind it": (row(state(a=tensor())) + b"x", "1 bytes are left after its storages"),
    "tensors before it": (row(state(a=tensor()), magic=plain(tensor())), "not of torch.save"),
    "the number alone": (MAGIC, "is damaged"),
}


@pytest.mark.parametrize("kind", _ROWS)
def test_a_row_that_is_not_torchs_is_an_error(kind: str, tmp_path: Path) -> None:
    data, fault = _ROWS[kind]
    path = tmp_path / "x.bin"
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        read_torch(path)
    assert fault in str(caught.value)


@pytest.mark.parametrize("form", ["zip", "older"])
def test_a_file_that_ends_early_is_an_error(form: str, tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    torch.save({"a": torch.arange(6.0), "b": torch.ones(2, 2).half()}, path, **_FORMS[form])
    data = path.read_bytes()
    for size in range(0, len(data), 29):
        path.write_bytes(data[:size])
        with pytest.raises(ModelError):
            read_torch(path)
