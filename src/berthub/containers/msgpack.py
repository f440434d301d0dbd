"""Read the arrays of a msgpack file, as Flax writes them, as views of the mapped file.

The format (https://github.com/msgpack/msgpack/blob/master/spec.md) nests maps; Flax puts arrays into extension types
(https://github.com/google/flax/blob/main/flax/serialization.py): their payload is again msgpack, of the shape, the name
of the type and the bytes. Arrays of more than a gigabyte are maps of chunks.
"""

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.containers.budget import Budget
from berthub.containers.files import memory_map
from berthub.containers.float_types import as_float32
from berthub.errors import CorruptFileError, UnsupportedModelError

__all__ = ["read_msgpack"]

_DEEPEST, _MOST_DIMENSIONS = 32, 8
_CONTAINER, _ITEM, _VALUE, _ARRAY = 240, 104, 64, 256
_LONGEST = 1 << 48
_DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype("<u2"),
    "float64": np.dtype("<f8"),
    **{f"{sign}int{8 * size}": np.dtype(f"<{sign or 'i'}{size}") for sign in ("", "u") for size in (1, 2, 4, 8)},
    "bool": np.dtype("?"),
}
# The first byte -> how long a length, or a number, follows it.
_NUMBERS = {code: struct.Struct(f">{layout}") for code, layout in zip(range(0xCA, 0xD4), "fdBHIQbhiq", strict=True)}
_LENGTHS = {
    code: struct.Struct(f">{layout}")
    for code, layout in {
        0xC4: "B", 0xC5: "H", 0xC6: "I", 0xC7: "B", 0xC8: "H", 0xC9: "I",
        0xD9: "B", 0xDA: "H", 0xDB: "I", 0xDC: "H", 0xDD: "I", 0xDE: "H", 0xDF: "I",
    }.items()
}  # fmt: skip
_FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
# Flax's extension types.
_NDARRAY, _SCALAR = 1, 3
_CHUNKED = "__msgpack_chunked_array__"


def read_msgpack(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All arrays, by the keys of the maps that they are in, joined by `/`; float types other than float32 as copies.

    `CorruptFileError` for a damaged file, one that names an array twice, and one that claims more than it holds;
    `UnsupportedModelError` for what Flax does not write.
    """
    data = memory_map(path)
    reader = _Reader(path, data)
    found = reader.value(0)
    if not isinstance(found, dict):
        raise CorruptFileError(f"{path} is no file of Flax: it should hold a map")
    if reader.at != len(data):
        raise CorruptFileError(f"{path} is damaged: {len(data) - reader.at:,} bytes are left after its map")
    return reader.arrays(found)


class _Reader:
    """One pass over a stretch of the file."""

    def __init__(self, path: Path, data: npt.NDArray[np.uint8], begin: int = 0, end: int | None = None) -> None:
        self._path, self._data = path, data
        self._begin, self.at, self._end = begin, begin, len(data) if end is None else end
        self._budget = Budget(str(path))

    def value(self, depth: int) -> Any:
        """The value that is next: a map as dict, an array of Flax as NumPy's."""
        if depth > _DEEPEST:
            raise self._damaged(f"maps more than {_DEEPEST} deep")
        self._spend(_VALUE)
        code = int(self._take(1)[0])
        if code < 0x80:
            return code
        if code >= 0xE0:
            return code - 0x100
        if code in _CONSTANTS:
            return _CONSTANTS[code]
        if code in _NUMBERS:
            return self._unpack(_NUMBERS[code])
        if code in _FIXED_EXTENSIONS:
            return self._extension(_FIXED_EXTENSIONS[code])
        length = self._unpack(_LENGTHS[code]) if code in _LENGTHS else code & (0x1F if code >= 0xA0 else 0x0F)
        if 0x80 <= code < 0x90 or code in (0xDE, 0xDF):
            return self._map(length, depth)
        if 0x90 <= code < 0xA0 or code in (0xDC, 0xDD):
            self._spend(_CONTAINER)
            return [self.value(depth + 1) for _ in range(length)]
        if 0xA0 <= code < 0xC0 or code in (0xD9, 0xDA, 0xDB):
            return self._text(length)
        if code in (0xC4, 0xC5, 0xC6):
            return self._take(length).data
        if code in (0xC7, 0xC8, 0xC9):
            return self._extension(length)
        raise self._damaged(f"the byte {code:#04x}, which begins no value")

    def arrays(self, tree: dict[str, Any], inside: str = "") -> dict[str, npt.NDArray[Any]]:
        """The arrays below a map, by their paths."""
        found: dict[str, npt.NDArray[Any]] = {}
        for key, value in tree.items():
            name = f"{inside}{key}"
            self._spend(_ITEM + 4 * len(name))
            below = {}
            if isinstance(value, dict):
                below = {name: self._joined(value, name)} if _CHUNKED in value else self.arrays(value, f"{name}/")
            elif isinstance(value, np.ndarray):
                below = {name: value}
            if twice := next((each for each in below if each in found), None):
                raise self._damaged(f"the array {twice[:200]!r} twice")
            found |= below
        return found

    def _map(self, length: int, depth: int) -> dict[str, Any]:
        self._spend(_CONTAINER)
        found: dict[str, Any] = {}
        for _ in range(length):
            key = self.value(depth + 1)
            if not isinstance(key, str):
                raise self._damaged("a key that is no text")
            if key in found:
                raise self._damaged(f"the key {key[:200]!r} twice")
            self._spend(_ITEM)
            found[key] = self.value(depth + 1)
        return found

    def _extension(self, length: int) -> npt.NDArray[Any]:
        kind = int(self._take(1)[0])
        end = self.at + length
        if kind not in (_NDARRAY, _SCALAR):
            raise UnsupportedModelError(f"{self._path}: a value is of the extension type {kind}, which is not read")
        self._spend(_ARRAY)
        self._take(length)
        inner = _Reader(self._path, self._data, end - length, end)
        match inner.value(0):
            case [list(shape), str(name), memoryview() as held] if inner.at == end:
                return self._array(shape, name, held)
        raise self._damaged("an array that is described otherwise than Flax does")

    def _array(self, shape: list[Any], name: str, held: memoryview) -> npt.NDArray[Any]:
        dtype = _DTYPES.get(name)
        if dtype is None:
            raise UnsupportedModelError(f"{self._path}: an array is of type {name[:50]!r}, which is not read")
        size = self._size(shape)
        if size * dtype.itemsize != held.nbytes:
            raise self._damaged(f"{held.nbytes:,} bytes for an array of type {name} and shape {shape}")
        array: npt.NDArray[Any] = np.ndarray(shape, dtype, held)
        return as_float32(array, bfloat16=name == "bfloat16")

    def _joined(self, chunked: dict[str, Any], name: str) -> npt.NDArray[Any]:
        """The array whose chunks are in this map."""
        shape, chunks = (self._in_order(chunked.get(part), name) for part in ("shape", "chunks"))
        size = self._size(shape)
        if not all(isinstance(chunk, np.ndarray) and chunk.ndim == 1 for chunk in chunks) or size != sum(
            len(chunk) for chunk in chunks
        ):
            raise self._damaged(f"the array {name[:200]!r} of shape {shape}, whose chunks do not make it")
        if len({chunk.dtype for chunk in chunks}) != 1:
            raise self._damaged(f"the array {name[:200]!r}, whose chunks are of different types")
        return np.concatenate(chunks).reshape(shape)

    def _in_order(self, stored: Any, name: str) -> list[Any]:
        """The values of a map with the keys 0, 1, 2 ... ."""
        if not isinstance(stored, dict) or not stored or any(str(n) not in stored for n in range(len(stored))):
            raise self._damaged(f"the array {name[:200]!r}, whose chunks are not numbered")
        return [stored[str(n)] for n in range(len(stored))]

    def _size(self, shape: list[Any]) -> int:
        if len(shape) > _MOST_DIMENSIONS or not all(type(each) is int and 0 < each < _LONGEST for each in shape):
            raise self._damaged("an array of a shape that no weight has")
        return math.prod(shape)

    def _text(self, length: int) -> str:
        data = self._take(length)
        self._spend(4 * length)
        try:
            return data.tobytes().decode()
        except UnicodeDecodeError as error:
            raise self._damaged(f"a text that is no UTF-8 ({error.reason})") from error

    def _unpack(self, layout: struct.Struct) -> Any:
        return layout.unpack(self._take(layout.size).data)[0]

    def _take(self, size: int) -> npt.NDArray[np.uint8]:
        end = self.at + size
        if end > self._end:
            raise self._damaged(f"{size:,} bytes, of which {self._end - self.at:,} are there")
        taken = self._data[self.at : end]
        self.at = end
        return taken

    def _spend(self, size: int) -> None:
        self._budget.spend(size, self.at - self._begin)

    def _damaged(self, fault: str) -> CorruptFileError:
        return CorruptFileError(f"{self._path} is damaged or no msgpack: at byte {self.at:,} it has {fault}")
