"""Slices of partitioned variables: their place in the variable, and their key in a checkpoint.

The keys are those of `EncodeTensorNameSlice` in tensorflow/core/util/saved_tensor_slice_util.cc, in the encoding of
tensorflow/core/lib/strings/ordered_code.cc, whose bytes sort as the values do.
"""

from dataclasses import dataclass
from typing import Any

__all__ = ["TensorSlice"]

# The length of an extent that takes the whole of its dimension.
_FULL = -1


@dataclass(frozen=True, slots=True)
class TensorSlice:
    """A slice of a variable: (start, length) along each dimension, the length -1 for all of it."""

    extents: tuple[tuple[int, int], ...]

    @classmethod
    def from_proto(cls, proto: Any) -> "TensorSlice":
        """Make one from a TensorSliceProto, in which an extent without a length takes all."""
        return cls(tuple((extent.start, extent.length or _FULL) for extent in proto.extent))

    def key(self, name: str) -> bytes:
        """The key of this slice of the variable `name`."""
        # A zero first: no variable's own key begins like that.
        encoded = _natural(0) + _text(name.encode("utf-8")) + _natural(len(self.extents))
        return encoded + b"".join(_signed(start) + _signed(length) for start, length in self.extents)

    def within(self, shape: tuple[int, ...]) -> tuple[slice, ...] | None:
        """The slice as an index of an array of `shape`; None if it does not lie inside, or is empty."""
        if len(self.extents) != len(shape):
            return None
        index = []
        for (start, length), size in zip(self.extents, shape, strict=True):
            stop = size if length == _FULL else start + length
            if not 0 <= start < stop <= size:
                return None
            index.append(slice(start, stop))
        return tuple(index)


def _natural(value: int) -> bytes:
    """A natural number: how many bytes it has, then these, the highest first."""
    digits = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(digits)]) + digits


def _text(value: bytes) -> bytes:
    """A string: its zeros and 0xff marked, then the end."""
    marked = (b"\x00\xff" if byte == 0 else b"\xff\x00" if byte == 0xFF else bytes([byte]) for byte in value)
    return b"".join(marked) + b"\x00\x01"


def _signed(value: int) -> bytes:
    """An integer of 64 bits: as many leading ones as it has bytes, a zero, then the number in 7 bits a byte.

    Of a negative number all bits, the leading ones too, are turned round.
    """
    magnitude = ~value if value < 0 else value
    size = magnitude.bit_length() // 7 + 1
    marks = ((1 << size) - 1) << (7 * size)
    number = magnitude | marks
    if value < 0:
        number = ~number & ((1 << (8 * size)) - 1)
    return number.to_bytes(size, "big")
