"""Write the table format of LevelDB; `berthub.containers.sstable` describes and reads it."""

import struct
from collections.abc import Iterable, Mapping

import google_crc32c

from berthub.containers.sstable import masked_crc32c

__all__ = ["append_block", "encode_block", "encode_varint", "write_table"]

# Those of TensorFlow's own writer.
_BLOCK_SIZE = 1 << 18
_RESTART_INTERVAL = 16
_MAGIC = 0xDB4775248B80FB57
_HANDLES = 40
_UNCOMPRESSED = b"\0"


def write_table(
    entries: Mapping[bytes, bytes], *, block_size: int = _BLOCK_SIZE, restart_interval: int = _RESTART_INTERVAL
) -> bytes:
    """The table with these entries, in the order of their keys, its blocks uncompressed.

    A data block is closed when its keys and values reach `block_size` bytes. Every `restart_interval`-th key in a
    block is stored whole, the others without what they share with the one before.
    """
    data, index = bytearray(), []
    for block in _in_blocks(sorted(entries.items()), block_size):
        last = block[-1][0] if block else b""
        index.append((last, append_block(data, encode_block(block, restart_interval))))
    meta_handle = append_block(data, encode_block([], 1))
    index_handle = append_block(data, encode_block(index, 1))
    return bytes(data) + (meta_handle + index_handle).ljust(_HANDLES, b"\0") + struct.pack("<Q", _MAGIC)


def encode_block(entries: Iterable[tuple[bytes, bytes]], restart_interval: int) -> bytes:
    """A block of entries that are sorted by their keys, with its restart points."""
    block, restarts, previous = bytearray(), [], b""
    for number, (key, value) in enumerate(entries):
        shared = 0
        if number % restart_interval == 0:
            restarts.append(len(block))
        else:
            while shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
                shared += 1
        block += encode_varint(shared) + encode_varint(len(key) - shared) + encode_varint(len(value))
        block += key[shared:] + value
        previous = key
    restarts = restarts or [0]
    return bytes(block) + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def append_block(data: bytearray, block: bytes, compression: bytes = _UNCOMPRESSED) -> bytes:
    """Append `block`, already compressed as it says, to `data` with its checksum; returns the handle to it."""
    handle = encode_varint(len(data)) + encode_varint(len(block))
    crc = masked_crc32c(google_crc32c.value(block + compression))
    data += block + compression + struct.pack("<I", crc)
    return handle


def encode_varint(value: int) -> bytes:
    """A natural number in base 128, the lowest digit first."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _in_blocks(entries: Iterable[tuple[bytes, bytes]], block_size: int) -> Iterable[list[tuple[bytes, bytes]]]:
    """The entries split into blocks; a table without entries has one block, empty."""
    block: list[tuple[bytes, bytes]] = []
    size, any_block = 0, False
    for key, value in entries:
        block.append((key, value))
        size += len(key) + len(value)
        if size >= block_size:
            yield block
            block, size, any_block = [], 0, True
    if block or not any_block:
        yield block
