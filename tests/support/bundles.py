"""TensorFlow's checkpoint files for tests: what the writer makes, and its parts, to make damaged ones of."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from berthub.containers import tensorbundle_writer
from berthub.containers.protos import parse
from berthub.containers.sstable import read_table
from berthub.containers.sstable_writer import append_block, encode_block
from berthub.containers.sstable_writer import encode_varint as varint
from berthub.containers.sstable_writer import write_table as table
from berthub.containers.tensor_slices import TensorSlice

__all__ = ["table", "varint", "write_bundle"]


Extents = tuple[tuple[int, int], ...]
"""(start, length) along each dimension."""


def write_bundle(
    prefix: Path,
    arrays: Mapping[str, npt.NDArray[Any]],
    *,
    shards: int = 1,
    parts: Mapping[str, Sequence[Extents]] | None = None,
) -> None:
    """The checkpoint PREFIX with these arrays, dealt out over its shards, in a folder that is made.

    Those in `parts` are written as partitioned variables: a key for each part, and one that lists them.
    """
    prefix.parent.mkdir(parents=True, exist_ok=True)
    parts = parts or {}
    stored = {key: array for key, array in arrays.items() if key not in parts}
    slices = {key: [TensorSlice(extents) for extents in parts[key]] for key in parts}
    for key, each in slices.items():
        for number, part in enumerate(each):
            stored[f"{key}\0{number}"] = arrays[key][part.within(arrays[key].shape) or ...]
    tensorbundle_writer.write_bundle(prefix, stored, shards=shards)
    index = prefix.with_name(f"{prefix.name}.index")
    entries = read_table(index.read_bytes())
    for key, each in slices.items():
        whole = parse("BundleEntryProto", b"", source="a new entry")
        for size in arrays[key].shape:
            whole.shape.dim.add(size=size)
        for number, part in enumerate(each):
            entry = entries.pop(f"{key}\0{number}".encode())
            entries[part.key(key)] = entry
            whole.dtype = parse("BundleEntryProto", entry, source="an entry").dtype
            extents = whole.slices.add().extent
            for start, length in part.extents:
                extents.add(start=start, length=max(length, 0))
        entries[key.encode()] = whole.SerializeToString()
    index.write_bytes(table(entries))


def _block(entries: Mapping[bytes, bytes], restart_interval: int) -> bytes:
    return encode_block(sorted(entries.items()), restart_interval)


def _append(data: bytes, block: bytes, compression: bytes = b"\0") -> tuple[bytes, bytes]:
    longer = bytearray(data)
    handle = append_block(longer, block, compression)
    return bytes(longer), handle
