"""Widen float16, bfloat16 and float64 to the float32 that all weights have here."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["as_float32"]


def as_float32(array: npt.NDArray[Any], *, bfloat16: bool = False) -> npt.NDArray[Any]:
    """The array in float32 if it holds floats, in its own type and order of bytes if it holds integers.

    float16 and bfloat16 become float32 exactly. float64 is rounded; what is too large for float32 becomes infinite.
    `bfloat16` says that the array holds bits of that type, which NumPy has not: the upper half of a float32's.
    """
    if bfloat16:
        bits = array.astype(np.uint32)
        bits <<= 16
        return bits.view(np.float32)
    if array.dtype.kind != "f":
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    if array.dtype == np.float32 and array.dtype.isnative:
        return array
    with np.errstate(over="ignore"):
        return array.astype(np.float32)
