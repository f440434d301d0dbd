"""Writes TensorFlow's checkpoint files, so that tests can make ones that no exporter wrote, whole or damaged."""

import struct
from collections.abc import Mapping
from pathlib import Path

import google_crc32c
import numpy as np
import numpy.typing as npt

from berthub.formats.sstable import masked_crc32c

_MAGIC = 0xDB4775248B80FB57
DTYPES = {np.dtype("f4"): 1, np.dtype("f8"): 2, np.dtype("i4"): 3, np.dtype("?"): 10, np.dtype("i8"): 9}


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def table(entries: Mapping[bytes, bytes], *, block_size: int = 1 << 20, restart_interval: int = 16) -> bytes:
    """A LevelDB table with prefix-compressed keys, in as many data blocks as `block_size` asks for."""
    data, index = b"", {}
    pending: dict[bytes, bytes] = {}
    for key in sorted(entries):
        pending[key] = entries[key]
        if sum(map(len, pending.values())) >= block_size:
            data, index[key] = _append(data, _block(pending, restart_interval))
            pending = {}
    if pending or not index:
        data, index[max(pending, default=b"")] = _append(data, _block(pending, restart_interval))
    data, meta_handle = _append(data, _block({}, 1))
    data, index_handle = _append(data, _block(index, 1))
    return data + (meta_handle + index_handle).ljust(40, b"\0") + struct.pack("<Q", _MAGIC)


def _block(entries: Mapping[bytes, bytes], restart_interval: int) -> bytes:
    block, restarts, previous = b"", [], b""
    for number, (key, value) in enumerate(sorted(entries.items())):
        shared = 0
        if number % restart_interval == 0:
            restarts.append(len(block))
        else:
            while shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
                shared += 1
        block += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    restarts = restarts or [0]
    return block + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def _append(data: bytes, block: bytes, compression: bytes = b"\0") -> tuple[bytes, bytes]:
    handle = varint(len(data)) + varint(len(block))
    crc = masked_crc32c(google_crc32c.value(block + compression))
    return data + block + compression + struct.pack("<I", crc), handle


def entry(array: npt.NDArray[np.generic], *, shard: int, offset: int, raw: bytes) -> bytes:
    """A BundleEntryProto."""
    shape = b"".join(b"\x12" + varint(len(dim)) + dim for dim in (b"\x08" + varint(size) for size in array.shape))
    return (
        b"\x08"
        + varint(DTYPES[array.dtype])
        + b"\x12"
        + varint(len(shape))
        + shape
        + b"\x18"
        + varint(shard)
        + b"\x20"
        + varint(offset)
        + b"\x28"
        + varint(len(raw))
        + b"\x35"
        + struct.pack("<I", masked_crc32c(google_crc32c.value(raw)))
    )


def write_bundle(prefix: Path, arrays: Mapping[str, npt.NDArray[np.generic]], *, shards: int = 1) -> None:
    """The checkpoint PREFIX with these arrays, dealt out over its shards."""
    entries = {b"": b"\x08" + varint(shards) + b"\x1a\x02\x08\x01"}
    contents = [b""] * shards
    for number, (key, array) in enumerate(sorted(arrays.items())):
        shard, raw = number % shards, np.ascontiguousarray(array).tobytes()
        entries[key.encode()] = entry(array, shard=shard, offset=len(contents[shard]), raw=raw)
        contents[shard] += raw
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.with_name(f"{prefix.name}.index").write_bytes(table(entries))
    for shard, content in enumerate(contents):
        prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}").write_bytes(content)
