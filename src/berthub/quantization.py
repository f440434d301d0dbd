"""Quantization of dense layers to 8-bit integers, with the ranges of their inputs from calibration.

Weights are signed, with a scale for each output; inputs are unsigned, with one scale for all. Before that each
component of an input is moved to the middle of its range (Wei et al., 2023, https://arxiv.org/abs/2304.09145), and
divided by a factor that its row of the kernel is multiplied by (Xiao et al., 2023, https://arxiv.org/abs/2211.10438).
A few components that reach many times as far as all others are left out of that, and multiplied in floating point
(Dettmers et al., 2022, https://arxiv.org/abs/2208.07339).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from berthub.brief import Brief
from berthub.errors import CheckpointError

__all__ = ["DenseQuantization", "Quantization", "quantized_kernel", "without_rows"]

Floats = npt.NDArray[np.float32]

# The largest unsigned byte, and the largest signed one whose negative is one, too.
_LARGEST_INPUT, _LARGEST_WEIGHT = 255, 127
# So many units of the scale are below the middle of the range.
_MIDDLE = 128


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DenseQuantization(Brief):
    """How the inputs of one dense layer are rounded to bytes.

    An input `x` becomes `round((x - shift) / smoothing / scale) + 128`, clipped to 0 to 255. `shift` and `smoothing`
    are float32 [in], and `exact` bool [in] tells the components that are multiplied as they are. `correction` float32
    [out] is added to the bias: what rounding takes from the outputs on average. Making one validates it
    (`CheckpointError`).
    """

    shift: Floats
    smoothing: Floats
    exact: npt.NDArray[np.bool_]
    scale: float
    correction: Floats

    def __post_init__(self) -> None:
        faults = [
            f"{name} is {array.dtype} {array.shape}, not one finite float32 for each component"
            for name, array in (("shift", self.shift), ("smoothing", self.smoothing), ("correction", self.correction))
            if array.ndim != 1 or array.dtype != np.float32 or not np.isfinite(array).all()
        ]
        for name, shape in (("shift", self.shift.shape), ("exact", self.exact.shape)):
            if shape != self.smoothing.shape:
                faults.append(f"{name} has shape {shape}, and smoothing {self.smoothing.shape}")
        if not (self.smoothing > 0).all():
            faults.append("smoothing has factors that are not positive")
        if not (np.isfinite(self.scale) and self.scale > 0):
            faults.append(f"scale is {self.scale!r}, not a positive number")
        if faults:
            raise CheckpointError("the quantization of a dense layer is not valid: " + "; ".join(faults))

    @property
    def low(self) -> float:
        """The smallest input that is not clipped, after shift and smoothing."""
        return -_MIDDLE * self.scale

    @property
    def high(self) -> float:
        """The largest."""
        return (_LARGEST_INPUT - _MIDDLE) * self.scale

    def rounded(self, x: Floats) -> Floats:
        """Inputs [..., in], shifted, smoothed and rounded to multiples of the scale."""
        steps = (x - self.shift) * (1 / self.smoothing / np.float32(self.scale))
        np.rint(steps, out=steps)
        np.clip(steps, -_MIDDLE, _LARGEST_INPUT - _MIDDLE, out=steps)
        return np.multiply(steps, np.float32(self.scale), out=steps)

    def quantized(self, kernel: Floats, bias: Floats | None) -> tuple[npt.NDArray[np.int8], Floats, Floats]:
        """The layer for such inputs: kernel [in, out] in bytes, each output's scale, and the bias, float32 [out].

        A layer without a bias gets one here: what the shift adds.

        The kernel's rows of `exact` components are zero: what these add is not in it.
        """
        rounded = without_rows(kernel, self.exact)
        added = self.shift @ rounded + self.correction
        return *quantized_kernel(rounded, self.smoothing), added if bias is None else bias + added


Quantization = Mapping[str, DenseQuantization]
"""A model's dense layers that are computed in bytes, by the names of their kernels."""


def without_rows(kernel: Floats, exact: npt.NDArray[np.bool_]) -> Floats:
    """A kernel [in, out] with zeros in place of its rows for components that are multiplied as they are."""
    return np.where(exact[:, None], np.float32(0), kernel)


def quantized_kernel(kernel: Floats, smoothing: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """A kernel [in, out] for smoothed inputs: bytes [in, out], and what to multiply each output by, float32 [out]."""
    smoothed = kernel * smoothing[:, None]
    scales = np.abs(smoothed).max(0) / np.float32(_LARGEST_WEIGHT)
    # A column of zeros stays one, whatever it is multiplied by.
    scales[scales == 0] = 1
    np.rint(np.divide(smoothed, scales, out=smoothed), out=smoothed)
    return smoothed.astype(np.int8), scales
