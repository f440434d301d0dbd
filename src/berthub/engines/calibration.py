"""Calibration for 8-bit integers: the inputs of dense layers are recorded while the model encodes a sample of text."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.checkpoint import Checkpoint
from berthub.engines.engine import Floats, PaddedBatch
from berthub.engines.numpy import NumpyOps
from berthub.networks.ops import Dense
from berthub.networks.outputs import Output, build
from berthub.quantization import DenseQuantization, Quantization, quantized_kernel, without_rows

__all__ = ["calibrate"]

# How much of the range of a component its factor takes, the rest being the kernel's: SmoothQuant's alpha.
_SHARES = (0.5, 0.6, 0.7, 0.8, 0.9)
# How many components may be multiplied exactly, and what share of the error must not be left for that.
_EXACT, _WORTH_IT = 4, 0.7
# What is met later may lie a little outside of what the sample had.
_MARGIN = 1.1
# The vectors on which the shares are compared: of each batch so many, and no more in all.
_VECTORS_A_BATCH, _VECTORS = 48, 384
_LEAST = float(np.finfo(np.float32).tiny)


def calibrate(checkpoint: Checkpoint, batches: Iterable[PaddedBatch]) -> Quantization:
    """The quantization of each dense layer up to the last token vectors that loses least on these batches.

    Padding does not count.
    """
    ops = _RecordingOps()
    outputs = [Output(-1).resolved(checkpoint.config)]
    for batch in batches:
        ops.real = batch.mask.astype(bool)
        inputs = {"ids": batch.ids, "mask": batch.mask, "type_ids": batch.type_ids}
        build(ops, checkpoint.config, checkpoint.weights, outputs, **inputs)
    found: dict[str, DenseQuantization] = {}
    for names, seen in ops.seen.items():
        found |= _quantizations(seen, {name: checkpoint.weights[name] for name in names})
    return found


@dataclass
class _Seen:
    """Statistics of the inputs of a dense layer, or of a group: each component's range, and some vectors."""

    low: Floats
    high: Floats
    vectors: list[Floats] = field(default_factory=list)

    def add(self, x: Floats) -> None:
        self.low, self.high = np.minimum(self.low, x.min(0)), np.maximum(self.high, x.max(0))
        # Evenly from all over the batch; a copy, so that the batch can go.
        self.vectors.append(x[:: max(1, len(x) // _VECTORS_A_BATCH)].copy())


class _RecordingOps(NumpyOps):
    """The reference implementation, which records the inputs of dense layers; `real` [b, s] is false at padding."""

    real: npt.NDArray[np.bool_]

    def __init__(self) -> None:
        # By the names of the kernels that have these inputs.
        self.seen: dict[tuple[str, ...], _Seen] = {}

    def dense(self, x: Any, layer: Dense[Floats]) -> Any:
        return self.dense_group(x, [layer])[0]

    def table_dense(self, x: Any, layer: Dense[Floats]) -> Any:
        return super().dense(x, layer)

    def dense_group(self, x: Any, layers: Sequence[Dense[Floats]]) -> tuple[Any, ...]:
        names, real = tuple(layer.kernel_name for layer in layers), x[self.real]
        self.seen.setdefault(names, _Seen(real[0], real[0])).add(real)
        return tuple(super(_RecordingOps, self).dense(x, layer) for layer in layers)


def _quantizations(seen: _Seen, kernels: dict[str, Floats]) -> dict[str, DenseQuantization]:
    """One shift, smoothing and scale for all `kernels`: those with the least sum of squared errors of the outputs."""
    reach: Floats = (seen.high - seen.low) * np.float32(0.5)
    none = np.zeros(len(reach), np.bool_)
    error, found = _least(seen, kernels, reach, exact=none)
    # Several kernels, or more outputs than inputs: what is added to them would cost more than it is worth.
    if len(kernels) == 1 and all(_EXACT < kernel.shape[0] >= kernel.shape[1] for kernel in kernels.values()):
        farthest = none.copy()
        farthest[np.argsort(-reach)[:_EXACT]] = True
        smaller, with_exact = _least(seen, kernels, reach, exact=farthest)
        if smaller < _WORTH_IT * error:
            return with_exact
    return found


def _least(
    seen: _Seen, kernels: dict[str, Floats], reach: Floats, *, exact: npt.NDArray[np.bool_]
) -> tuple[float, dict[str, DenseQuantization]]:
    """The least error, relative to the outputs, that any of the shares has, and the quantizations that have it."""
    sample = np.concatenate(seen.vectors)
    sample = sample[:: -(-len(sample) // _VECTORS)]
    shift: Floats = (seen.low + seen.high) * np.float32(0.5)
    powers = {name: max(float(np.square((sample - shift) @ kernel).mean()), _LEAST) for name, kernel in kernels.items()}
    kernels = {name: without_rows(kernel, exact) for name, kernel in kernels.items()}
    rows = np.maximum.reduce([np.abs(kernel).max(1) for kernel in kernels.values()])
    outputs = {name: (sample - shift) @ kernel for name, kernel in kernels.items()}

    def tried(share: float) -> tuple[float, dict[str, DenseQuantization]]:
        smoothing = _smoothing(reach, rows, share)
        scale = float(np.float32(max((reach / smoothing)[~exact].max() * _MARGIN / 127, _LEAST)))
        error, result = 0.0, {}
        for name, kernel in kernels.items():
            nothing = np.zeros(kernel.shape[1], np.float32)
            layer = DenseQuantization(shift=shift, smoothing=smoothing, exact=exact, scale=scale, correction=nothing)
            values, scales = quantized_kernel(kernel, smoothing)
            missing = outputs[name] - layer.rounded(sample) @ values.astype(np.float32) * scales
            correction = missing.mean(0)
            error += float(np.square(missing - correction).mean()) / powers[name]
            result[name] = dataclasses.replace(layer, correction=correction)
        return error, result

    return min(map(tried, _SHARES), key=lambda found: found[0])


def _smoothing(reach: Floats, rows: Floats, share: float) -> Floats:
    """The factor of each component, from how far it reaches and the largest weight of its row; one on average."""
    # What never changes, or is never used, needs none.
    floor = np.float32(1e-6)
    factors = np.maximum(reach, floor) ** share / np.maximum(rows, floor) ** (1 - share)
    smoothing: Floats = (factors / np.exp(np.log(factors).mean())).astype(np.float32)
    return smoothing
