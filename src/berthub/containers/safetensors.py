"""Read the arrays of a safetensors file as views of the mapped file, and write them.

The format (https://huggingface.co/docs/safetensors): the length of the header, the header in JSON, which names type,
shape and place of each tensor, then the tensors without holes. The library's own loader copies, and takes the last of
two tensors of one name.
"""

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.containers.files import memory_map
from berthub.containers.float_types import as_float32
from berthub.containers.places import check_apart
from berthub.containers.strict_json import parse_json
from berthub.errors import CorruptFileError, UnsupportedModelError

__all__ = ["read_safetensors", "write_safetensors"]

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),  # NumPy has no bfloat16: its bits are the upper half of a float32's
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_METADATA = "__metadata__"
# As the library: no model needs a header of more.
_LARGEST_HEADER = 100_000_000
_LONGEST = 1 << 63


@dataclass(frozen=True, slots=True)
class _Place:
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_safetensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All tensors by name: views for float32 and integers, float32 copies for other float types.

    `CorruptFileError` for a file that ends early, or whose header names a tensor twice, puts two on the same bytes or
    leaves bytes over.
    """
    data = memory_map(path)
    return dict(_tensors(path, data))


def write_safetensors(path: Path, arrays: Mapping[str, npt.NDArray[np.float32]], metadata: Mapping[str, str]) -> None:
    """Write float32 arrays, one after the other: the library's own writer wants them all in memory.

    And its files can be read by nobody but their owner.
    """
    described: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    names = sorted(arrays)
    for name in names:
        begin, end = end, end + 4 * arrays[name].size
        described[name] = {"dtype": "F32", "shape": arrays[name].shape, "data_offsets": (begin, end)}
    header = json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode()
    # So that the arrays lie at multiples of 8.
    header = header.ljust(-(-len(header) // 8) * 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for name in names:
            file.write(np.ascontiguousarray(arrays[name], "<f4").data)


def _tensors(path: Path, data: npt.NDArray[np.uint8]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    if len(data) < 8:
        raise CorruptFileError(f"{path} is damaged or no safetensors file: it has {len(data)} bytes")
    (length,) = struct.unpack("<Q", data[:8].tobytes())
    if length > min(_LARGEST_HEADER, len(data) - 8):
        raise CorruptFileError(
            f"{path} is damaged or no safetensors file: a header of {length:,} bytes, in a file of {len(data):,}"
        )
    places = _places(path, data[8 : 8 + length].tobytes(), len(data) - 8 - length)
    tensors = data[8 + length :]
    for name, place in places.items():
        dtype = _DTYPES.get(place.dtype)
        if dtype is None:
            raise UnsupportedModelError(f"{path}: {name!r} is of type {place.dtype}, which is not read")
        size = math.prod(place.shape) * dtype.itemsize
        if not size or len(place.shape) > 8:  # NumPy has limits of its own; a weight has at most three dimensions
            raise CorruptFileError(f"{path}: {name!r} has the shape {place.shape[:9]}, which is no weight's")
        if size != place.end - place.begin:
            raise CorruptFileError(
                f"{path} is damaged: {name!r} of type {place.dtype} and shape {place.shape} has "
                f"{place.end - place.begin:,} bytes"
            )
        array = np.ndarray(place.shape, dtype, tensors[place.begin : place.end].data)
        yield name, as_float32(array, bfloat16=place.dtype == "BF16")


def _places(path: Path, header: bytes, held: int) -> dict[str, _Place]:
    """The tensors that the header describes; together they are the `held` bytes after it."""
    stored = parse_json(header, source=f"the header of {path}")
    if not isinstance(stored, dict):
        raise CorruptFileError(f"the header of {path} is no object")
    metadata = stored.pop(_METADATA, None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CorruptFileError(f"the header of {path} is damaged: {_METADATA} should map names to texts")
    places = {name: _place(path, name, entry) for name, entry in stored.items()}
    check_apart(((name, place.begin, place.end - place.begin) for name, place in places.items()), source=str(path))
    ordered = sorted(places.items(), key=lambda item: (item[1].begin, item[1].end))
    ends = [0, *(place.end for _, place in ordered)]
    for end, (name, place) in zip(ends, ordered, strict=False):
        if place.begin != end:
            raise CorruptFileError(f"{path} is damaged: {name!r} begins at byte {place.begin:,}, and not at {end:,}")
    if ends[-1] != held:
        raise CorruptFileError(f"{path} is damaged: its tensors have {ends[-1]:,} bytes, and the file holds {held:,}")
    return dict(ordered)


def _place(path: Path, name: str, entry: Any) -> _Place:
    match entry:
        case {"dtype": str() as dtype, "shape": list() as shape, "data_offsets": [begin, end]} if len(entry) == 3:
            numbers = [*shape, begin, end]
            if all(type(number) is int and 0 <= number < _LONGEST for number in numbers) and begin <= end:
                return _Place(dtype, tuple(shape), begin, end)
    raise CorruptFileError(
        f"the header of {path} is damaged: {name[:200]!r} should have dtype, shape and data_offsets alone"
    )
