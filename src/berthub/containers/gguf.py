"""Read the metadata and the tensors of a GGUF file, as llama.cpp's converter writes them.

The format (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): counts, metadata by keys, which name type, shape
and place of each tensor, then the tensors. float32 comes as views of the mapped file, all else as float32 copies.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.containers.files import memory_map
from berthub.containers.float_types import as_float32
from berthub.containers.places import check_apart
from berthub.errors import CorruptFileError, UnsupportedModelError

__all__ = ["GgufFile", "read_gguf"]

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
# The types of numbers as the struct module calls them; NumPy knows these names, too.
_NUMBERS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_F32, _F16, _Q8_0, _F64, _BF16 = 0, 1, 8, 28, 30
_DTYPES = {_F32: "<f4", _F16: "<f2", _F64: "<f8", _BF16: "<u2"}
# Kinds that keep less than the weights were, by name: it is said which one is refused.
_QUANTIZED = {
    2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K",
    15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S",
    23: "IQ4_XS", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
}  # fmt: skip
# A block of Q8_0: a scale in half precision, and 32 numbers.
_BLOCK, _BLOCK_BYTES = 32, 34
# The fewest bytes that an entry of the metadata and a tensor's description have.
_LEAST_ENTRY, _LEAST_TENSOR = 13, 24
_ALIGNMENT = 32


@dataclass(frozen=True)
class GgufFile:
    """The metadata, and the tensors in NumPy's order of axes; `quantized` names those that are stored in 8 bits."""

    metadata: dict[str, Any]
    tensors: dict[str, npt.NDArray[Any]]
    quantized: tuple[str, ...]


def read_gguf(path: Path) -> GgufFile:
    """All of the file.

    `CorruptFileError` for a damaged one, also where two tensors lie on the same bytes; `UnsupportedModelError` for
    quantized kinds other than Q8_0.
    """
    cursor = _Cursor(memory_map(path), path)
    if cursor.take(4) != _MAGIC:
        raise CorruptFileError(f"{path} is no GGUF file: it does not begin with {_MAGIC.decode()}")
    version = cursor.number("<I")
    if version not in _VERSIONS:
        raise UnsupportedModelError(
            f"{path} is a GGUF file of version {version}, or of a machine with the other order of bytes; versions "
            f"{' and '.join(map(str, _VERSIONS))} are read"
        )
    count = cursor.count(_LEAST_TENSOR)
    metadata: dict[str, Any] = {}
    for _ in range(cursor.count(_LEAST_ENTRY)):
        key = cursor.string()
        if key in metadata:
            raise CorruptFileError(f"{path} is damaged: its metadata has {key[:200]!r} twice")
        metadata[key] = cursor.value()
    places = [cursor.tensor() for _ in range(count)]
    alignment = metadata.get("general.alignment", _ALIGNMENT)
    if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20:
        raise CorruptFileError(f"{path} is damaged: general.alignment is {alignment!r}")
    start = -(-cursor.position // alignment) * alignment
    return _tensors(path, cursor.data[start:], places, metadata)


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def size(self) -> int:
        """How many bytes it has."""
        count = math.prod(self.shape)
        return count // _BLOCK * _BLOCK_BYTES if self.kind == _Q8_0 else count * np.dtype(_DTYPES[self.kind]).itemsize


class _Cursor:
    """A place in the file, which moves on with what is read."""

    def __init__(self, data: npt.NDArray[np.uint8], path: Path) -> None:
        self.data, self.path, self.position = data, path, 0

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.position:
            raise CorruptFileError(
                f"{self.path} is truncated or damaged: {size:,} bytes are wanted at byte {self.position:,}, and it has "
                f"{len(self.data):,}"
            )
        self.position += size
        return self.data[self.position - size : self.position].tobytes()

    def number(self, dtype: str) -> Any:
        (number,) = struct.unpack(dtype, self.take(struct.calcsize(dtype)))
        return number

    def count(self, least: int) -> int:
        """How many of things of at least so many bytes follow."""
        (count,) = struct.unpack("<Q", self.take(8))
        if count * least > len(self.data) - self.position:
            raise CorruptFileError(
                f"{self.path} is truncated or damaged: {count:,} entries are said to follow byte {self.position:,}, "
                f"and it has {len(self.data):,}"
            )
        return int(count)

    def string(self) -> str:
        text = self.take(self.count(1))
        try:
            return text.decode()
        except UnicodeDecodeError as error:
            raise CorruptFileError(f"{self.path} is damaged: {text[:40]!r} is no UTF-8 text") from error

    def value(self) -> Any:
        kind = self.number("<I")
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.number(self._dtype(kind))
        kind = self.number("<I")
        if kind == _STRING:
            return [self.string() for _ in range(self.count(8))]
        dtype = np.dtype(self._dtype(kind))
        return np.frombuffer(self.take(self.count(dtype.itemsize) * dtype.itemsize), dtype)

    def _dtype(self, kind: int) -> str:
        if kind not in _NUMBERS:
            raise CorruptFileError(f"{self.path} is damaged: its metadata has a value of the unknown type {kind}")
        return _NUMBERS[kind]

    def tensor(self) -> _Place:
        name, axes = self.string(), self.number("<I")
        if not 1 <= axes <= 8:
            raise CorruptFileError(f"{self.path} is damaged: {name[:200]!r} has {axes} axes")
        # The fastest axis comes first there, and last in NumPy.
        shape = tuple(self.number("<Q") for _ in range(axes))[::-1]
        kind, offset = self.number("<I"), self.number("<Q")
        if kind in _QUANTIZED:
            raise UnsupportedModelError(
                f"{self.path} is quantized: {name[:200]!r} is of the kind {_QUANTIZED[kind]}, from which the weights "
                "cannot be had as they were. Files of F32, F16, BF16 and Q8_0 are read: give such a one"
            )
        if kind not in _DTYPES and kind != _Q8_0:
            raise UnsupportedModelError(f"{self.path}: {name[:200]!r} is of the kind {kind}, which is not read")
        if not math.prod(shape) or (kind == _Q8_0 and shape[-1] % _BLOCK):
            raise CorruptFileError(f"{self.path} is damaged: {name[:200]!r} has the shape {shape}")
        return _Place(name, shape, kind, offset)


def _tensors(path: Path, data: npt.NDArray[np.uint8], places: list[_Place], metadata: dict[str, Any]) -> GgufFile:
    check_apart(((place.name, place.offset, place.size) for place in places), source=str(path))
    tensors: dict[str, npt.NDArray[Any]] = {}
    for place in places:
        if place.name in tensors:
            raise CorruptFileError(f"{path} is damaged: two of its tensors are called {place.name[:200]!r}")
        if place.offset + place.size > len(data):
            raise CorruptFileError(f"{path} is truncated: {place.name[:200]!r} ends behind its last byte")
        tensors[place.name] = _array(data[place.offset : place.offset + place.size], place)
    return GgufFile(metadata, tensors, tuple(place.name for place in places if place.kind == _Q8_0))


def _array(data: npt.NDArray[np.uint8], place: _Place) -> npt.NDArray[Any]:
    if place.kind == _Q8_0:
        blocks = data.reshape(-1, _BLOCK_BYTES)
        scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
        return (blocks[:, 2:].view(np.int8).astype(np.float32) * scales).reshape(place.shape)
    array: npt.NDArray[Any] = np.ndarray(place.shape, _DTYPES[place.kind], data.data)
    return as_float32(array, bfloat16=place.kind == _BF16)
