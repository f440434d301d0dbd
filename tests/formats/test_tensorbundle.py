from pathlib import Path

import numpy as np
import pytest

from berthub.errors import CorruptFileError, ModelError, UnsupportedModelError
from berthub.formats.tensorbundle import TensorBundle
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
    shard = tmp_path / "x.data-00000-of-00001"
    before = shard.read_bytes()
    array = TensorBundle(tmp_path / "x").array("floats")
    assert not array.flags.owndata
    array[:] = 0  # private to the process: the file stays as it was
    assert shard.read_bytes() == before


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
        (b"\x08\x01" + _SHAPE_4 + b"\x28\x10\x3a\x00", "partitioned"),
        (b"\x08\x01" + _SHAPE_4 + b"\x28\x10", "checksum"),
        (b"\xff\xff", "protocol buffer"),
    ],
)
def test_an_entry_that_cannot_be_is_an_error(tmp_path: Path, entry: bytes, message: str) -> None:
    prefix = _index(tmp_path, _HEADER, entry)
    with pytest.raises(ModelError, match=message):
        TensorBundle(prefix).array("w")


def test_big_endian_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="big-endian"):
        TensorBundle(_index(tmp_path, b"\x08\x01\x10\x01", b""))


def test_the_object_graph_is_read(models: Path) -> None:
    bundle = TensorBundle(models / "tf2_v4" / "variables" / "variables")
    assert b"word_embeddings/embeddings" in bundle.string("_CHECKPOINTABLE_OBJECT_GRAPH")
    with pytest.raises(CorruptFileError, match="no single string"):
        bundle.string("variables/0/.ATTRIBUTES/VARIABLE_VALUE")
