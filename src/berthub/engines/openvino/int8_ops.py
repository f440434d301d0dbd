"""The operations with dense layers in 8-bit integers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino.opset13 as op

from berthub.engines.engine import Floats
from berthub.engines.openvino.ops import OpenVinoOps, floats, integers
from berthub.engines.weights import Place, place
from berthub.quantization import DenseQuantization

__all__ = ["Int8Ops"]


class Int8Ops(OpenVinoOps):
    """Dense layers that have a quantization, by the place of their kernel, multiply bytes; all else is as ever."""

    def __init__(self, quantizations: Mapping[Place, DenseQuantization]) -> None:
        super().__init__()
        self._quantizations = quantizations
        # Query, key and value share one input, which is made bytes of once.
        self._rounded: dict[tuple[Any, ...], Any] = {}

    def dense(self, x: Any, kernel: Floats, bias: Floats) -> Any:
        quantization = self._quantizations.get(place(kernel))
        if quantization is None:
            return super().dense(x, kernel, bias)
        values, scales, moved = quantization.quantized(kernel, bias)
        # In this form the plugin's low-precision transformations know bytes on both sides, and multiply them.
        weight = op.multiply(
            op.convert(op.constant(np.ascontiguousarray(values.T)), "f32"), op.constant(scales[:, None])
        )
        rounded = self._rounded_input(x, quantization)
        y = op.add(op.matmul(rounded, weight, transpose_a=False, transpose_b=True), op.constant(moved))
        exact = np.flatnonzero(quantization.exact)
        if not len(exact):
            return y
        rows = op.constant(np.ascontiguousarray(kernel[exact]))
        return op.add(y, op.matmul(op.gather(x, integers(exact), integers(-1)), rows, False, False))

    def _rounded_input(self, x: Any, quantization: DenseQuantization) -> Any:
        factors = 1 / quantization.smoothing
        offsets = -quantization.shift * factors
        low, high = floats(quantization.low), floats(quantization.high)
        key = (x.get_name(), factors.tobytes(), offsets.tobytes(), quantization.scale)
        if key not in self._rounded:
            moved = op.add(op.multiply(x, op.constant(factors)), op.constant(offsets))
            self._rounded[key] = op.fake_quantize(moved, low, high, low, high, levels=256)
        return self._rounded[key]
