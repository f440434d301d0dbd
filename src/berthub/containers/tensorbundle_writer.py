"""Write TensorFlow's checkpoint files without TensorFlow; `berthub.containers.tensorbundle` reads them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
import numpy as np
import numpy.typing as npt

from berthub.containers.protos import parse
from berthub.containers.sstable import masked_crc32c
from berthub.containers.sstable_writer import write_table
from berthub.errors import InputError

__all__ = ["write_bundle"]

# What NumPy calls it -> DataType of tensorflow/core/framework/types.proto
_DTYPES: dict[np.dtype[Any], int] = {
    np.dtype("<f4"): 1,
    np.dtype("<f8"): 2,
    np.dtype("<i4"): 3,
    np.dtype("<i8"): 9,
    np.dtype("?"): 10,
}
_CHUNK = 1 << 20
# The field `version` of the header, a VersionDef whose `producer` is 1: what all readers ask for.
_VERSION = b"\x1a\x02\x08\x01"


def write_bundle(prefix: Path, arrays: Mapping[str, npt.NDArray[Any]], *, shards: int = 1) -> None:
    """Write `PREFIX.index` and `PREFIX.data-00000-of-00001` (or more), into a folder that is there.

    The arrays, float32, float64, int32, int64 or bool, are dealt out over the `shards` in the order of their names.
    """
    unknown = [f"{key} ({array.dtype})" for key, array in arrays.items() if array.dtype not in _DTYPES]
    if unknown:
        raise InputError(f"a checkpoint of TensorFlow holds {', '.join(map(str, _DTYPES))}, not {', '.join(unknown)}")
    entries: dict[bytes, bytes] = {b"": _header(shards)}
    keys = sorted(arrays)
    for shard in range(shards):
        with _path(prefix, f"data-{shard:05d}-of-{shards:05d}").open("wb") as file:
            for key in keys[shard::shards]:
                entries[key.encode()] = _write_array(file, arrays[key], shard)
    # Last: without it the shards are no checkpoint.
    _path(prefix, "index").write_bytes(write_table(entries))


def _path(prefix: Path, suffix: str) -> Path:
    return prefix.with_name(f"{prefix.name}.{suffix}")


def _header(shards: int) -> bytes:
    header = parse("BundleHeaderProto", b"", source="a new header")
    header.num_shards = shards
    return bytes(header.SerializeToString()) + _VERSION


def _write_array(file: BinaryIO, array: npt.NDArray[Any], shard: int) -> bytes:
    """Append the array to its shard; returns the entry that says where it is."""
    entry = parse("BundleEntryProto", b"", source="a new entry")
    entry.dtype = _DTYPES[array.dtype]
    for size in array.shape:
        entry.shape.dim.add(size=size)
    entry.shard_id, entry.offset, entry.size = shard, file.tell(), array.nbytes
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    crc = 0
    for start in range(0, len(data), _CHUNK):
        chunk = data[start : start + _CHUNK].tobytes()
        crc = google_crc32c.extend(crc, chunk)
        file.write(chunk)
    entry.crc32c = masked_crc32c(crc)
    return bytes(entry.SerializeToString())
