"""The operations as nodes of an OpenVINO graph, with dense layers in 8-bit integers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino.opset13 as op

from berthub.engines.openvino.ops import OpenVinoOps, Weight, floats, integers
from berthub.networks.ops import Dense
from berthub.quantization import DenseQuantization, Quantization

__all__ = ["Int8Ops"]


class Int8Ops(OpenVinoOps):
    """`OpenVinoOps` whose dense layers multiply bytes, where the model has a quantization for them."""

    def __init__(self, quantization: Quantization) -> None:
        super().__init__()
        self._quantization = quantization

    def dense(self, x: Any, layer: Dense[Weight]) -> Any:
        return self.dense_group(x, [layer])[0]

    def dense_group(self, x: Any, layers: Sequence[Dense[Weight]]) -> tuple[Any, ...]:
        # Layers of a group are calibrated together: their input is rounded to bytes once.
        rounded: dict[tuple[Any, ...], Any] = {}

        def one(layer: Dense[Weight]) -> Any:
            quantization = self._quantization.get(layer.kernel_name)
            if quantization is None:
                return super(Int8Ops, self).dense(x, layer)
            key = quantization.smoothing.tobytes(), quantization.shift.tobytes(), quantization.scale
            if key not in rounded:
                rounded[key] = _rounded(x, quantization)
            return _dense(x, rounded[key], layer, quantization)

        return tuple(one(layer) for layer in layers)


def _dense(x: Any, rounded: Any, layer: Dense[Weight], quantization: DenseQuantization) -> Any:
    """A dense layer on its `rounded` input; the components of `x` that are exact are multiplied as they are."""
    kernel = layer.kernel.array
    values, scales, moved = quantization.quantized(kernel, None if layer.bias is None else layer.bias.array)
    # Written so, the plugin's low-precision transformations recognize bytes on both sides, and multiply them.
    weight = op.multiply(op.convert(op.constant(np.ascontiguousarray(values.T)), "f32"), op.constant(scales[:, None]))
    y = op.add(op.matmul(rounded, weight, transpose_a=False, transpose_b=True), op.constant(moved))
    exact = np.flatnonzero(quantization.exact)
    if not len(exact):
        return y
    rows = op.constant(np.ascontiguousarray(kernel[exact]))
    return op.add(y, op.matmul(op.gather(x, integers(exact), integers(-1)), rows, False, False))


def _rounded(x: Any, quantization: DenseQuantization) -> Any:
    """The input of a dense layer, shifted and smoothed, rounded to the values that bytes stand for."""
    factors = 1 / quantization.smoothing
    offsets = -quantization.shift * factors
    low, high = floats(quantization.low), floats(quantization.high)
    moved = op.add(op.multiply(x, op.constant(factors)), op.constant(offsets))
    return op.fake_quantize(moved, low, high, low, high, levels=256)
