"""Read TensorFlow's checkpoint files: an index, which is a table of protocol buffers, and shards of raw bytes.

The format is that of `tensorflow/core/util/tensor_bundle`. Arrays are views of the memory-mapped shards, but for
those of partitioned variables, which are put together from their parts; each is compared with its checksum before it
is handed out, as TensorFlow does.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

from berthub.containers.files import memory_map, read_bytes
from berthub.containers.float_types import as_float32
from berthub.containers.places import check_apart
from berthub.containers.protos import parse
from berthub.containers.sstable import masked_crc32c, read_table, varint
from berthub.containers.tensor_slices import TensorSlice
from berthub.errors import CorruptFileError, ModelError, UnsupportedModelError

__all__ = ["TensorBundle"]

_STRING = 7
# DataType of tensorflow/core/framework/types.proto -> what NumPy calls it
_BFLOAT16 = 14
_DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("<i4"),
    4: np.dtype("u1"),
    5: np.dtype("<i2"),
    6: np.dtype("i1"),
    9: np.dtype("<i8"),
    10: np.dtype("?"),
    _BFLOAT16: np.dtype("<u2"),  # bfloat16, by its bits
    19: np.dtype("<f2"),
}
# NumPy takes no more than 64; a weight has at most three.
_MOST_DIMENSIONS = 8
_FEW_PARTS = 8
# Large enough to be fast, small enough to stay in the processor's cache (the checksum wants bytes, so it copies).
_CHECKSUM_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class _Entry:
    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc32c: int
    slices: tuple[TensorSlice, ...]


class TensorBundle:
    """The tensors of a checkpoint, by key.

    `prefix` is the path that its files share: `PREFIX.index` and `PREFIX.data-00000-of-00001`, ... Whatever is
    damaged raises `CorruptFileError`, a missing shard `ModelError`.
    """

    def __init__(self, prefix: Path) -> None:
        self._prefix = prefix
        index = self._path("index")
        try:
            table = read_table(read_bytes(index))
        except CorruptFileError as error:
            raise CorruptFileError(f"{index} is damaged: {error}") from error
        header = parse("BundleHeaderProto", table.pop(b"", b""), source=str(index))
        if header.endianness != 0:
            raise UnsupportedModelError(f"{index} belongs to a big-endian checkpoint; only little-endian ones are read")
        self._num_shards = header.num_shards
        self._shards: dict[int, npt.NDArray[np.uint8]] = {}
        # A key that begins with a zero is that of a slice, in an encoding of its own.
        self._part_keys = [key for key in table if key.startswith(b"\0")]
        self._parts = {key: self._read_entry(key, table[key]) for key in self._part_keys}
        self._entries = {
            self._name(key): self._read_entry(key, value) for key, value in table.items() if key not in self._parts
        }
        self._check_apart()

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all tensors, strings included."""
        return tuple(self._entries)

    def shape(self, key: str) -> tuple[int, ...]:
        """The shape of a tensor, without reading it."""
        return self._entries[key].shape

    def array(self, key: str) -> npt.NDArray[Any]:
        """A numeric tensor: a view of its shard, aligned or not, as the file has it; a partitioned one, a copy.

        Other floats become float32, which holds each value of float16 and bfloat16.
        """
        entry = self._entries[key]
        array = self._joined(key, entry) if entry.slices else self._view(key, entry)
        return as_float32(array, bfloat16=entry.dtype == _BFLOAT16)

    def _view(self, key: str, entry: _Entry) -> npt.NDArray[Any]:
        dtype = self._dtype(key, entry)
        if math.prod(entry.shape) * dtype.itemsize != entry.size or not entry.size:
            raise CorruptFileError(f"{self._index}: {key!r} of shape {entry.shape} has {entry.size:,} bytes")
        data = self._bytes(key, entry)
        if masked_crc32c(_crc32c(data)) != entry.crc32c:
            raise CorruptFileError(f"{self._shard_path(entry.shard)} is damaged: {key!r} fails its checksum")
        return np.ndarray(entry.shape, dtype, data.data)

    def string(self, key: str) -> bytes:
        """A scalar string tensor."""
        entry = self._entries[key]
        if entry.dtype != _STRING or entry.shape or entry.slices:
            raise CorruptFileError(f"{self._index}: {key!r} is no single string")
        data = self._bytes(key, entry).tobytes()
        where = f"{self._shard_path(entry.shard)} is damaged: the string {key!r}"
        # The length, a checksum over the length as an integer, then the characters.
        length, position = varint(data, 0)
        if position + 4 + length != len(data):
            raise CorruptFileError(f"{where} says that it has {length:,} bytes, of {len(data):,}")
        crc = google_crc32c.value(struct.pack("<I" if length < 1 << 32 else "<Q", length))
        (length_crc,) = struct.unpack("<I", data[position : position + 4])
        crc_of_all = google_crc32c.extend(
            google_crc32c.extend(crc, data[position : position + 4]), data[position + 4 :]
        )
        if masked_crc32c(crc) != length_crc or masked_crc32c(crc_of_all) != entry.crc32c:
            raise CorruptFileError(f"{where} fails its checksum")
        return data[position + 4 :]

    @property
    def _index(self) -> Path:
        return self._path("index")

    def _path(self, suffix: str) -> Path:
        return self._prefix.with_name(f"{self._prefix.name}.{suffix}")

    def _shard_path(self, shard: int) -> Path:
        return self._path(f"data-{shard:05d}-of-{self._num_shards:05d}")

    def _check_apart(self) -> None:
        """Check that no tensors share bytes, strings too; a partitioned variable has only the bytes of its slices."""
        places: dict[int, list[tuple[str, int, int]]] = {}
        parts = ((repr(key)[2:-1], entry) for key, entry in self._parts.items())
        for name, entry in (*self._entries.items(), *parts):
            if not entry.slices:
                places.setdefault(entry.shard, []).append((name, entry.offset, entry.size))
        for shard, found in places.items():
            check_apart(found, source=f"{self._index}, shard {shard},")

    def _name(self, key: bytes) -> str:
        try:
            return key.decode("utf-8")
        except UnicodeDecodeError as error:
            raise CorruptFileError(f"{self._index}, entry {key!r}, has a key that is no UTF-8 text") from error

    def _read_entry(self, key: bytes, value: bytes) -> _Entry:
        source = f"{self._index}, entry {key!r},"
        proto = parse("BundleEntryProto", value, source=source)
        # Checked before memory is taken. Each slice has an entry of its own; missing ones are named later.
        dimensions, parts = len(proto.shape.dim), len(proto.slices)
        if parts > len(self._part_keys) + _FEW_PARTS or dimensions > _MOST_DIMENSIONS:
            raise CorruptFileError(f"{source} has a shape of {dimensions:,} dimensions and {parts:,} parts")
        shape = tuple(dim.size for dim in proto.shape.dim)
        if proto.shape.unknown_rank or any(size < 0 for size in shape) or proto.offset < 0 or proto.size < 0:
            raise CorruptFileError(f"{source} has the shape {shape} and {proto.size} bytes at {proto.offset}")
        if not 0 <= proto.shard_id < self._num_shards:
            raise CorruptFileError(f"{source} lies in shard {proto.shard_id} of {self._num_shards}")
        return _Entry(
            dtype=proto.dtype,
            shape=shape,
            shard=proto.shard_id,
            offset=proto.offset,
            size=proto.size,
            crc32c=proto.crc32c,
            slices=tuple(TensorSlice.from_proto(part) for part in proto.slices),
        )

    def _dtype(self, key: str, entry: _Entry) -> np.dtype[Any]:
        dtype = _DTYPES.get(entry.dtype)
        if dtype is None:
            raise UnsupportedModelError(
                f"{self._index}: {key!r} has the type {entry.dtype}, which is no known number type"
            )
        return dtype

    def _joined(self, key: str, entry: _Entry) -> npt.NDArray[Any]:
        """Join a partitioned variable: its slices must cover it, each place once."""
        where = f"{self._index}: the partitioned variable {key!r} of shape {entry.shape}"
        dtype = self._dtype(key, entry)
        parts: list[tuple[tuple[slice, ...], _Entry]] = []
        for part in entry.slices:
            index = part.within(entry.shape)
            stored = self._parts.get(part.key(key))
            if index is None:
                raise CorruptFileError(f"{where} has the part {part.extents}, which does not lie inside it")
            if stored is None:
                raise CorruptFileError(f"{where} lacks its part {part.extents}")
            if stored.slices or stored.dtype != entry.dtype or stored.shape != tuple(s.stop - s.start for s in index):
                raise CorruptFileError(f"{where} has a part {part.extents} of shape {stored.shape} or another type")
            parts.append((index, stored))
        elements = math.prod(entry.shape)
        # Before anything is allocated: each byte of the variable is a byte of some shard.
        held = sum(len(self._shard(shard)) for shard in {stored.shard for _, stored in parts})
        if sum(math.prod(stored.shape) for _, stored in parts) != elements or elements * dtype.itemsize > held:
            raise CorruptFileError(f"{where} is not what its {len(parts)} parts make up: there are gaps or overlaps")
        joined = np.empty(entry.shape, dtype)
        covered = np.zeros(entry.shape, bool)
        for index, stored in parts:
            joined[index] = self._view(key, stored)
            covered[index] = True
        if not covered.all():
            raise CorruptFileError(f"{where} has parts that overlap, and gaps between them")
        return joined

    def _shard(self, shard: int) -> npt.NDArray[np.uint8]:
        if shard not in self._shards:
            path = self._shard_path(shard)
            if not path.is_file():
                raise ModelError(f"{path} is missing: the index names {self._num_shards} shard(s); copy all of them")
            self._shards[shard] = memory_map(path)
        return self._shards[shard]

    def _bytes(self, key: str, entry: _Entry) -> npt.NDArray[np.uint8]:
        data = self._shard(entry.shard)
        if entry.offset + entry.size > len(data):
            raise CorruptFileError(
                f"{self._shard_path(entry.shard)} is truncated: it has {len(data):,} bytes, and {key!r} lies in bytes "
                f"{entry.offset:,} to {entry.offset + entry.size:,}"
            )
        return data[entry.offset : entry.offset + entry.size]


def _crc32c(data: npt.NDArray[np.uint8]) -> int:
    crc = 0
    for start in range(0, len(data), _CHECKSUM_CHUNK):
        crc = google_crc32c.extend(crc, data[start : start + _CHECKSUM_CHUNK].tobytes())
    return crc
