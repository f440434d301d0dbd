"""The reference implementation: the network in NumPy, in float32, written for clarity."""

import math
from collections.abc import Generator, Iterable, Sequence
from typing import Any

import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.config import Activation
from berthub.engines.batching import Padding, padded
from berthub.engines.engine import AnyBatch, Engine, Floats, Limits, Result
from berthub.networks.ops import MASKED, Dense, Ops, Rows, WeightedPooling
from berthub.networks.outputs import Output, build
from berthub.vector_layers import activated

__all__ = ["NumpyEngine", "NumpyOps"]

# An array of either type: NumPy's type hints lose the element type in most operations.
Array = Any


class NumpyEngine(Engine):
    """Runs batches one after the other in float32."""

    name = "numpy"
    precision = "float32"
    # So few tokens that what is between the layers stays in the processor's cache.
    limits = Limits(tokens=512)

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def run(self, batches: Iterable[AnyBatch], outputs: Sequence[Output]) -> Generator[Result]:
        """The outputs of every batch, in order."""
        ops, checkpoint = NumpyOps(), self._checkpoint
        for batch in padded(batches, Padding.of(checkpoint, self.limits)):
            arrays = build(
                ops,
                checkpoint.config,
                checkpoint.weights,
                outputs,
                ids=batch.ids,
                mask=batch.mask,
                type_ids=batch.type_ids,
                positions=batch.positions,
            )
            yield Result(batch, arrays)


class NumpyOps(Ops[Array, Floats]):
    """`berthub.networks.ops.Ops` on NumPy arrays."""

    def gather(self, table: Floats, ids: Array) -> Array:
        return table[ids]

    def leading_rows(self, table: Floats, ids: Array, *, first: int = 0) -> Array:
        return table[None, first : first + ids.shape[1]]

    def constant_rows(self, name: str, table: Floats, ids: Array) -> Array:
        return self.leading_rows(table, ids)

    def rotate(self, x: Array, cos: Array, sin: Array, *, heads: int) -> Array:
        split = x.reshape(*x.shape[:2], heads, -1)
        first, second = np.split(split, 2, axis=-1)
        turned = split * cos[:, :, None] + np.concatenate([-second, first], axis=-1) * sin[:, :, None]
        return turned.reshape(x.shape)

    def dense(self, x: Array, layer: Dense[Floats]) -> Array:
        y = x @ layer.kernel
        return y if layer.bias is None else y + layer.bias

    def table(self, table: Floats) -> Array:
        return table[None]

    def tied_dense(self, x: Array, table: Floats, bias: Floats) -> Array:
        return x @ table.T + bias

    def scale_shift(self, x: Array, gamma: Floats, beta: Floats) -> Array:
        return x * gamma + beta

    def layer_norm(self, x: Array, gamma: Floats, beta: Floats | None, *, eps: float) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        variance = np.square(centred).mean(-1, keepdims=True)
        scaled = centred / np.sqrt(variance + np.float32(eps)) * gamma
        return scaled if beta is None else scaled + beta

    def activation(self, x: Array, name: Activation) -> Array:
        return activated(x, name)

    def tanh(self, x: Array) -> Array:
        return np.tanh(x)

    def add(self, x: Array, y: Array) -> Array:
        return x + y

    def multiply(self, x: Array, y: Array) -> Array:
        return x * y

    def neighbours(self, x: Array) -> Array:
        outside = np.zeros_like(x[:, :1])
        following = np.concatenate([x[:, 1:], outside], axis=1)
        previous = np.concatenate([outside, x[:, :-1]], axis=1)
        return np.concatenate([following, x, previous], axis=2)

    def masked(self, x: Array, mask: Array) -> Array:
        return x * (mask[:, :, None] != 0)

    def dropout(self, x: Array, rate: float) -> Array:
        return x

    def attention_bias(self, mask: Array) -> Array:
        return np.where(mask[:, None, None, :] != 0, np.float32(0), np.float32(MASKED))

    def relative_bias(self, table: Floats, ids: Array, rows: Rows, *, first_only: bool = False) -> Array:
        length = ids.shape[1]
        queries = np.arange(1 if first_only else length)
        places = np.arange(length) - queries[:, None] + len(rows) // 2 - 1
        return table[rows[places]].transpose(2, 0, 1)[None]

    def relative_scores(
        self,
        query: Array,
        key: Array,
        ids: Array,
        rows: Rows,
        *,
        keys: Array | None,
        queries: Array | None,
        heads: int,
        scale: float,
        first_only: bool = False,
    ) -> Array:
        def split(x: Array) -> Array:
            return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)

        distances = np.arange(key.shape[1]) - np.arange(query.shape[1])[:, None]
        places = rows[distances + len(rows) // 2 - 1][None, None]
        scores = np.zeros((1, 1, 1, 1), np.float32)
        if keys is not None:
            products = split(query) @ split(keys).swapaxes(-1, -2)
            scores = scores + np.take_along_axis(products, places, axis=3)
        if queries is not None:
            products = split(queries) @ split(key).swapaxes(-1, -2)
            scores = scores + np.take_along_axis(products, places, axis=2)
        return scores * np.float32(scale)

    def local_bias(self, bias: Array, *, window: int, first_only: bool) -> Array:
        positions = np.arange(bias.shape[-1])
        distances = np.abs(positions[: 1 if first_only else None, None] - positions)
        return np.where(distances <= window, bias, np.float32(MASKED))

    def attention(
        self,
        query: Array,
        key: Array,
        value: Array,
        bias: Array,
        *,
        heads: int,
        dropout: float,
        mixing: tuple[Floats, Floats] | None = None,
        scale: float | None = None,
        scores: Array | None = None,
    ) -> Array:
        def split(x: Array) -> Array:
            return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)

        query, key, value = split(query), split(key), split(value)
        divisor = math.sqrt(query.shape[-1]) if scale is None else 1 / scale
        logits = query @ key.swapaxes(-1, -2) / np.float32(divisor)
        if scores is not None:
            logits = logits + scores
        if mixing is not None:
            logits = np.einsum("bnqk,nm->bmqk", logits, mixing[0])
        logits = logits + bias
        exponentials = np.exp(logits - logits.max(-1, keepdims=True))
        weights = exponentials / exponentials.sum(-1, keepdims=True)
        if mixing is not None:
            weights = np.einsum("bnqk,nm->bmqk", weights, mixing[1])
        context = weights @ value
        return context.transpose(0, 2, 1, 3).reshape(context.shape[0], context.shape[2], -1)

    def first(self, x: Array) -> Array:
        return x[:, 0]

    def first_as_sequence(self, x: Array) -> Array:
        return x[:, :1]

    def at_positions(self, x: Array, positions: Array) -> Array:
        return np.take_along_axis(x, positions[:, :, None], axis=1)

    def masked_mean(self, x: Array, mask: Array) -> Array:
        weights = mask[:, :, None].astype(np.float32)
        return (x * weights).sum(1) / np.maximum(weights.sum(1), np.float32(1))

    def masked_max(self, x: Array, mask: Array) -> Array:
        return np.where(mask[:, :, None] != 0, x, np.float32(-np.inf)).max(1)

    def weighted_sum(self, x: Array, weights: Array) -> Array:
        return (x * weights[:, :, None]).sum(1)

    def pooling_weights(self, mask: Array, pooling: WeightedPooling) -> Array:
        real = (mask != 0).astype(np.float32)
        places = real * np.arange(1, mask.shape[1] + 1, dtype=np.float32)
        match pooling:
            case "mean_sqrt_len_tokens":
                return real / np.sqrt(np.maximum(real.sum(1, keepdims=True), np.float32(1)))
            case "weightedmean":
                return places / np.maximum(places.sum(1, keepdims=True), np.float32(1))
            case "lasttoken":
                return real * (places == places.max(1, keepdims=True))

    def without_first(self, mask: Array, count: int) -> Array:
        return mask * (np.arange(mask.shape[1]) >= count)
