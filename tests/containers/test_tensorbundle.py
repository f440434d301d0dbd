import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from berthub.containers import tensorbundle_writer
from berthub.containers.protos import parse
from berthub.containers.sstable import read_table
from berthub.containers.tensor_slices import TensorSlice
from berthub.containers.tensorbundle import TensorBundle
from berthub.errors import CorruptFileError, ModelError, UnsupportedModelError
from support import bundles

_ARRAYS = {
    "flag": np.array(True),
    "floats": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "ids": np.array([1, -2], np.int32),
    "steps": np.array(7, np.int64),
}


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_reads_what_was_written(tmp_path: Path, shards: int) -> None:
    bundles.write_bundle(tmp_path / "x.ckpt", _ARRAYS, shards=shards)
    bundle = TensorBundle(tmp_path / "x.ckpt")
    assert sorted(bundle.keys) == sorted(_ARRAYS)
    for key, array in _ARRAYS.items():
        read = bundle.array(key)
        assert read.dtype == array.dtype
        assert bundle.shape(key) == array.shape
        np.testing.assert_array_equal(read, array)


def test_arrays_are_views_of_the_mapped_file(tmp_path: Path) -> None:
    bundles.write_bundle(tmp_path / "x", _ARRAYS)
    array = TensorBundle(tmp_path / "x").array("floats")
    assert not array.flags.owndata
    # Nobody can change the file, or what others read of it, through the array.
    assert not array.flags.writeable


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    bundles.write_bundle(tmp_path / "x", _ARRAYS, shards=2)
    (tmp_path / "x.data-00001-of-00002").unlink()
    bundle = TensorBundle(tmp_path / "x")
    with pytest.raises(ModelError, match="data-00001-of-00002 is missing"):
        bundle.array("floats")


def test_a_missing_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"x\.index cannot be read"):
        TensorBundle(tmp_path / "x")


@pytest.mark.parametrize("keep", [0, 10, -1])
def test_a_truncated_shard_is_an_error(tmp_path: Path, keep: int) -> None:
    bundles.write_bundle(tmp_path / "x", _ARRAYS)
    shard = tmp_path / "x.data-00000-of-00001"
    shard.write_bytes(shard.read_bytes()[:keep])
    with pytest.raises(CorruptFileError, match="truncated"):
        TensorBundle(tmp_path / "x").array("steps")


def test_one_changed_bit_of_a_weight_is_found(tmp_path: Path) -> None:
    bundles.write_bundle(tmp_path / "x", _ARRAYS)
    shard = tmp_path / "x.data-00000-of-00001"
    data = bytearray(shard.read_bytes())
    data[20] ^= 1
    shard.write_bytes(data)
    with pytest.raises(CorruptFileError, match="'floats' fails its checksum"):
        TensorBundle(tmp_path / "x").array("floats")


def _index(tmp_path: Path, header: bytes, entry: bytes) -> Path:
    (tmp_path / "x.index").write_bytes(bundles.table({b"": header, b"w": entry}))
    (tmp_path / "x.data-00000-of-00001").write_bytes(bytes(64))
    return tmp_path / "x"


_HEADER = b"\x08\x01"
_SHAPE_4 = b"\x12\x04\x12\x02\x08\x04"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (b"\x08\x01" + _SHAPE_4 + b"\x28\x08", "shape"),  # 4 floats in 8 bytes
        (b"\x08\x01" + _SHAPE_4 + b"\x20\x40\x28\x10", "truncated"),  # behind the end of the shard
        (b"\x08\x01" + _SHAPE_4 + b"\x18\x05\x28\x10", "shard 5 of 1"),
        (b"\x08\x01\x12\x0d\x12\x0b\x08" + b"\xff" * 9 + b"\x01", "shape"),  # a dimension of -1
        (b"\x08\x01\x12\x0c\x12\x0a\x08" + b"\xff" * 8 + b"\x7f", "shape"),  # of 2 ** 63 - 1
        (b"\x08\x01" + b"\x12\x28" + b"\x12\x02\x08\x01" * 10 + b"\x28\x04", "shape"),  # of 10 dimensions
        (b"\x08\x01\x12\x04\x12\x02\x08\x00", "shape"),  # of no elements
        (b"\x08\x63" + _SHAPE_4 + b"\x28\x10", "type 99"),
        (b"\x08\x01" + _SHAPE_4 + b"\x28\x10\x3a\x00", "partitioned variable 'w' .* does not lie inside"),
        (b"\x08\x01" + _SHAPE_4 + b"\x3a\x02\x0a\x00", "partitioned variable 'w' .* lacks its part"),
        (b"\x08\x01" + _SHAPE_4 + b"\x28\x10", "checksum"),
        (b"\xff\xff", "protocol buffer"),
    ],
)
def test_an_entry_that_cannot_be_is_an_error(tmp_path: Path, entry: bytes, message: str) -> None:
    prefix = _index(tmp_path, _HEADER, entry)
    with pytest.raises(ModelError, match=message):
        TensorBundle(prefix).array("w")


def _grid(shape: tuple[int, ...], cuts: list[list[int]]) -> list[bundles.Extents]:
    """The parts that arise where every dimension is cut at these places."""
    edges = [[0, *sorted({cut % size for cut in each} - {0}), size] for each, size in zip(cuts, shape, strict=True)]
    return list(itertools.product(*[[(a, b - a) for a, b in itertools.pairwise(each)] for each in edges]))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), shape=st.lists(st.integers(1, 150), min_size=1, max_size=3), shards=st.integers(1, 3))
def test_partitioned_variables_are_read_whole(tmp_path: Path, data, shape: list[int], shards: int) -> None:
    array = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    cuts = [data.draw(st.lists(st.integers(0, 200), max_size=2)) for _ in shape]
    name = data.draw(st.sampled_from(["w", "a/ü/w", "a\xff\0b"]))
    parts = {name: _grid(array.shape, cuts)}
    bundles.write_bundle(tmp_path / "x", {name: array, **_ARRAYS}, shards=shards, parts=parts)
    bundle = TensorBundle(tmp_path / "x")
    assert sorted(bundle.keys) == sorted([name, *_ARRAYS])
    assert bundle.shape(name) == array.shape
    np.testing.assert_array_equal(bundle.array(name), array)
    np.testing.assert_array_equal(bundle.array("floats"), _ARRAYS["floats"])


def test_a_part_may_take_all_of_a_dimension(tmp_path: Path) -> None:
    array = _ARRAYS["floats"]
    parts = {"floats": [((0, -1), (0, 1), (0, -1)), ((0, -1), (1, 2), (0, -1))]}
    bundles.write_bundle(tmp_path / "x", {"floats": array}, parts=parts)
    np.testing.assert_array_equal(TensorBundle(tmp_path / "x").array("floats"), array)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([((0, 2),), ((3, 1),)], "gaps or overlaps"),
        ([((0, 3),), ((2, 2),)], "gaps or overlaps"),
        ([((0, 2),), ((1, 2),)], "overlap, and gaps"),
        ([((0, 2),), ((0, 2),)], "overlap, and gaps"),
        ([((0, 2), (0, 1)), ((2, 2), (0, 1))], "does not lie inside"),
        ([((0, 2),), ((3, 2),)], "does not lie inside"),
        ([((0, 2),), ((-1, 2),)], "does not lie inside"),
    ],
)
def test_parts_that_do_not_make_up_the_whole_are_an_error(tmp_path: Path, parts: list, message: str) -> None:
    array = np.arange(4, dtype=np.float32)
    bundles.write_bundle(tmp_path / "x", {"w": array}, parts={"w": [((0, 2),), ((2, 2),)]})
    index = tmp_path / "x.index"
    entries = read_table(index.read_bytes())
    whole = parse("BundleEntryProto", entries[b"w"], source="w")
    del whole.slices[:]
    first, _ = (entries.pop(TensorSlice(((start, 2),)).key("w")) for start in (0, 2))
    for number, extents in enumerate(parts):
        proto = whole.slices.add()
        for start, length in extents:
            proto.extent.add(start=start, length=length)
        piece = parse("BundleEntryProto", first, source="w")
        piece.shape.dim[0].size = extents[0][1]
        piece.offset, piece.size = 16 * number, 4 * extents[0][1]
        entries[TensorSlice(extents).key("w")] = piece.SerializeToString()
    entries[b"w"] = whole.SerializeToString()
    index.write_bytes(bundles.table(entries))
    # Each part on bytes of its own, with the first one's numbers.
    (tmp_path / "x.data-00000-of-00001").write_bytes(array[:2].tobytes() * 4)
    with pytest.raises(CorruptFileError, match=message):
        TensorBundle(tmp_path / "x").array("w")


def test_a_partitioned_variable_larger_than_its_files_is_an_error(tmp_path: Path) -> None:
    bundles.write_bundle(tmp_path / "x", {"w": np.zeros(1 << 12, np.float32)}, parts={"w": [((0, 1 << 12),)]})
    index = tmp_path / "x.index"
    entries = read_table(index.read_bytes())
    entry = parse("BundleEntryProto", entries[b"w"], source="w")
    piece = parse("BundleEntryProto", entries.pop(TensorSlice(((0, 1 << 12),)).key("w")), source="w")
    for proto in (entry, piece):
        proto.shape.dim[0].size = 1 << 50
    entry.slices[0].extent[0].length = 1 << 50
    entries |= {b"w": entry.SerializeToString(), TensorSlice(((0, 1 << 50),)).key("w"): piece.SerializeToString()}
    index.write_bytes(bundles.table(entries))
    with pytest.raises(CorruptFileError, match="not what its 1 parts make up"):
        TensorBundle(tmp_path / "x").array("w")


# The first three are from checkpoints of TensorFlow's Saver.
@pytest.mark.parametrize(
    ("name", "extents", "key"),
    [
        ("bert/w", ((0, 3), (0, 5)), b"\x00bert/w\x00\x01\x01\x02\x80\x83\x80\x85"),
        ("bert/w", ((0, 6), (67, 67)), b"\x00bert/w\x00\x01\x01\x02\x80\x86\xc0C\xc0C"),
        ("bert/w", ((0, 4), (0, 3), (65, 65)), b"\x00bert/w\x00\x01\x01\x03\x80\x84\x80\x83\xc0A\xc0A"),
        ("w", ((0, -1), (8192, 1 << 31)), b"\x00w\x00\x01\x01\x02\x80\x7f\xe0\x20\x00\xf8\x80\x00\x00\x00"),
    ],
)
def test_the_keys_of_parts_are_tensorflows(name: str, extents: bundles.Extents, key: bytes) -> None:
    assert TensorSlice(extents).key(name) == key


@pytest.mark.parametrize(("shape", "cuts"), [((7, 5), [3, 1]), ((6, 200), [1, 3]), ((4, 3, 130), [1, 1, 2])])
def test_tensorflows_own_partitioned_variables(tmp_path: Path, shape: tuple[int, ...], cuts: list[int]) -> None:
    tensorflow = pytest.importorskip("tensorflow", reason="writes the checkpoint")
    v1 = tensorflow.compat.v1
    with v1.Graph().as_default():
        variable = v1.get_variable("scope/w", shape, partitioner=lambda shape, dtype: cuts)
        v1.get_variable("plain", (3,))
        saver = v1.train.Saver()
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            saver.save(session, str(tmp_path / "x.ckpt"))
            whole = session.run(tensorflow.convert_to_tensor(variable))
    bundle = TensorBundle(tmp_path / "x.ckpt")
    assert sorted(bundle.keys) == ["plain", "scope/w"]
    np.testing.assert_array_equal(bundle.array("scope/w"), whole)


def test_big_endian_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="big-endian"):
        TensorBundle(_index(tmp_path, b"\x08\x01\x10\x01", b""))


def test_the_object_graph_is_read(models: Path) -> None:
    bundle = TensorBundle(models / "tf2_v4" / "variables" / "variables")
    assert b"word_embeddings/embeddings" in bundle.string("_CHECKPOINTABLE_OBJECT_GRAPH")
    with pytest.raises(CorruptFileError, match="no single string"):
        bundle.string("variables/0/.ATTRIBUTES/VARIABLE_VALUE")


@pytest.mark.parametrize("parts", [None, {"w": [((0, 2),), ((2, 2),)]}])
def test_half_precision_becomes_float32_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: dict[str, list[Any]] | None
) -> None:
    values = np.array([1.5, -0.0, 3.140625, np.float32(2.0**-14)], np.float32)
    stored = {19: values.astype(np.float16), 14: (values.view(np.uint32) >> 16).astype(np.uint16)}
    for kind, array in stored.items():
        monkeypatch.setitem(tensorbundle_writer._DTYPES, array.dtype, kind)
        bundles.write_bundle(tmp_path / f"{kind}", {"w": array}, parts=parts)
        found = TensorBundle(tmp_path / f"{kind}").array("w")
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found.view(np.uint32), values.view(np.uint32))
