"""Read the table format of LevelDB, in which TensorFlow keeps the index of a checkpoint.

Layout: data blocks, a meta-index block, an index block, and a footer of 48 bytes. A block is a run of
prefix-compressed entries, then its restart points; a byte for its compression and a masked CRC-32C follow it.
Specification: https://github.com/google/leveldb/blob/main/doc/table_format.md. Every length and offset is checked
against the bytes at hand before it is used, so a damaged file ends in an error, never in a crash or a large
allocation. What is small in the file and large in memory is counted: keys that share a long one, blocks that are
named often, entries that hold nothing.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import google_crc32c

from berthub.errors import CorruptFileError, UnsupportedModelError

__all__ = ["masked_crc32c", "read_table", "varint"]

_FOOTER = 48
_MAGIC = 0xDB4775248B80FB57
_TRAILER = 5
_UNCOMPRESSED, _SNAPPY = 0, 1
# Snappy's longest copy makes 64 bytes of 3: what claims to grow more is damaged.
_SNAPPY_LARGEST_RATIO = 22
# TensorFlow's longest keys, of slots of optimizers, have some hundred bytes; they share most of them.
_LONGEST_KEY = 1 << 14
_LARGEST_RATIO, _RATIO_COUNTS_FROM = 16, 1 << 20
# The smallest entry of a tensor has more: three lengths, a key, its type, its size and a checksum.
_BYTES_AN_ENTRY, _ENTRIES = 14, 1000


@dataclass(frozen=True, slots=True)
class _BlockHandle:
    offset: int
    size: int


def read_table(data: bytes) -> dict[bytes, bytes]:
    """All entries of the table, in its order; `CorruptFileError` says what is wrong with it."""
    if len(data) < _FOOTER:
        raise CorruptFileError(f"the table has {len(data)} bytes, fewer than its footer of {_FOOTER}")
    footer = data[-_FOOTER:]
    (magic,) = struct.unpack("<Q", footer[-8:])
    if magic != _MAGIC:
        raise CorruptFileError(f"the table ends in {magic:#x}, not in the magic number {_MAGIC:#x}")
    position = 0
    for _ in range(2):  # the meta-index handle, which nothing here needs, stands before it
        handle, position = _block_handle(footer, position)
    entries: dict[bytes, bytes] = {}
    budget = _Budget(len(data))
    last, end = b"", 0
    for _, value in _entries(_block(data, handle, budget), budget):
        block, _ = _block_handle(value, 0)
        # They lie one after the other: one that is named twice would be read as often as it is named.
        if block.offset < end:
            raise CorruptFileError(f"two blocks lie on the same bytes, or not in order, at {block.offset}")
        end = block.offset + block.size
        for key, entry in _entries(_block(data, block, budget), budget):
            if entries and key <= last:
                raise CorruptFileError(
                    f"the table holds the key {key!r} " + ("twice" if key == last else f"after {last!r}, unsorted")
                )
            entries[key] = entry
            last = key
    return entries


class _Budget:
    """The memory that a table may take for its size: `CorruptFileError` where keys and blocks need much more."""

    def __init__(self, size: int) -> None:
        self._left = _RATIO_COUNTS_FROM + _LARGEST_RATIO * size
        self._entries = _ENTRIES + size // _BYTES_AN_ENTRY
        self._size = size

    def spend(self, size: int) -> None:
        """Count bytes of keys, or of a block that was compressed."""
        self._left -= size
        if self._left < 0:
            raise CorruptFileError(f"the table of {self._size:,} bytes grows to more than {_LARGEST_RATIO} times that")

    def spend_entry(self) -> None:
        """Count an entry."""
        self._entries -= 1
        if self._entries < 0:
            raise CorruptFileError(f"the table of {self._size:,} bytes has more entries than can hold a tensor")


def masked_crc32c(crc: int) -> int:
    """Mask a CRC-32C, as it is stored beside the data that it covers."""
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def varint(data: bytes, position: int) -> tuple[int, int]:
    """The base-128 integer at `position` and the position after it."""
    value = shift = 0
    while True:
        if position >= len(data):
            raise CorruptFileError(f"an integer runs past the end, at byte {position}")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise CorruptFileError(f"an integer of more than 64 bits ends at byte {position}")


def _block_handle(data: bytes, position: int) -> tuple[_BlockHandle, int]:
    offset, position = varint(data, position)
    size, position = varint(data, position)
    return _BlockHandle(offset, size), position


def _block(data: bytes, handle: _BlockHandle, budget: _Budget) -> bytes:
    end = handle.offset + handle.size
    if end + _TRAILER > len(data) - _FOOTER:
        raise CorruptFileError(f"a block of {handle.size} bytes at {handle.offset} runs past the end of the table")
    compression, expected = struct.unpack("<BI", data[end : end + _TRAILER])
    if masked_crc32c(google_crc32c.value(data[handle.offset : end + 1])) != expected:
        raise CorruptFileError(f"the block of {handle.size} bytes at {handle.offset} fails its checksum")
    block = data[handle.offset : end]
    if compression == _UNCOMPRESSED:
        return block
    if compression == _SNAPPY:
        unpacked = _snappy(block)
        budget.spend(len(unpacked))
        return unpacked
    raise UnsupportedModelError(
        f"the table uses the unknown compression {compression}; 0 (none) and 1 (snappy) are read"
    )


def _snappy(block: bytes) -> bytes:
    import pyarrow as pa

    size, _ = varint(block, 0)
    if size > _SNAPPY_LARGEST_RATIO * len(block):
        raise CorruptFileError(f"a snappy block of {len(block)} bytes claims to hold {size}")
    try:
        return pa.Codec("snappy").decompress(block, decompressed_size=size, asbytes=True)  # type: ignore[no-any-return]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CorruptFileError(f"a snappy block of {len(block)} bytes cannot be unpacked: {error}") from error


def _entries(block: bytes, budget: _Budget) -> Iterator[tuple[bytes, bytes]]:
    if len(block) < 4:
        raise CorruptFileError(f"a block has {len(block)} bytes, too few for its restart points")
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 * (restarts + 1)
    if end < 0:
        raise CorruptFileError(f"a block of {len(block)} bytes claims {restarts} restart points")
    position, key = 0, b""
    while position < end:
        shared, position = varint(block, position)
        unshared, position = varint(block, position)
        length, position = varint(block, position)
        if shared > len(key) or position + unshared + length > end:
            raise CorruptFileError(f"the entry at byte {position} of a block runs past its end")
        if shared + unshared > _LONGEST_KEY:
            raise CorruptFileError(f"the entry at byte {position} of a block has a key of {shared + unshared:,} bytes")
        budget.spend_entry()
        budget.spend(shared + unshared)
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        yield key, block[position : position + length]
        position += length
