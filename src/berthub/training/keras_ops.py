"""The operations of a network on Keras tensors, for whichever backend Keras has."""

import functools
import math
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from berthub.config import Activation
from berthub.networks.ops import MASKED, Dense, Ops, Rows, WeightedPooling
from berthub.training.randomness import dropout_share
from berthub.training.weights import LowRankKernel

__all__ = ["KerasOps"]

Tensor = Any
Weight = Any
_ops = keras.ops

# The bits of the significand, with the leading one that is not stored.
_DIGITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}


class KerasOps(Ops[Tensor, Weight]):
    """`berthub.networks.ops.Ops` on `keras.ops`; computes in `dtype`, with float32 where small terms are summed.

    `seed` is the generator that dropout draws from; None means no dropout. Texts that are not `valid`, bool [b], become
    NaN; None means that all are.
    """

    def __init__(self, dtype: str, seed: Any | None, *, valid: Any | None = None) -> None:
        self._dtype = dtype
        self._valid = valid
        self._seed = seed

    def gather(self, table: Weight, ids: Tensor) -> Tensor:
        rows = _ops.cast(_ops.take(table, ids, axis=0), self._dtype)
        if self._valid is None:
            return rows
        # Here, where it goes through every residual connection: XLA's softmax loses a NaN of the scores.
        return _ops.where(self._valid[:, None, None], rows, _ops.cast(float("nan"), self._dtype))

    def leading_rows(self, table: Weight, ids: Tensor, *, first: int = 0) -> Tensor:
        return _ops.cast(table[None, first : first + _ops.shape(ids)[1]], self._dtype)

    def constant_rows(self, name: str, table: npt.NDArray[np.float32], ids: Tensor) -> Tensor:
        return self.leading_rows(_ops.convert_to_tensor(table), ids)

    def rotate(self, x: Tensor, cos: Tensor, sin: Tensor, *, heads: int) -> Tensor:
        split = _ops.reshape(x, (-1, _ops.shape(x)[1], heads, x.shape[-1] // heads))
        first, second = _ops.split(split, 2, axis=-1)
        turned = split * cos[:, :, None] + _ops.concatenate([-second, first], axis=-1) * sin[:, :, None]
        return _ops.reshape(turned, (-1, _ops.shape(x)[1], x.shape[-1]))

    def dense(self, x: Tensor, layer: Dense[Weight]) -> Tensor:
        kernel = layer.kernel
        low_rank = isinstance(kernel, LowRankKernel)
        y = _ops.matmul(x, _ops.cast(kernel.base if low_rank else kernel, x.dtype))
        if layer.bias is not None:
            y = y + _ops.cast(layer.bias, x.dtype)
        if not low_rank:
            return y
        down, up = (_ops.cast(part, x.dtype) for part in (kernel.down, kernel.up))
        return y + _ops.matmul(_ops.matmul(x, down), up) * kernel.scale

    def table(self, table: Weight) -> Tensor:
        return _ops.cast(_ops.convert_to_tensor(table)[None], self._dtype)

    def tied_dense(self, x: Tensor, table: Weight, bias: Weight) -> Tensor:
        product = _ops.matmul(x, _ops.transpose(_ops.cast(table, x.dtype)))
        return product + _ops.cast(bias, x.dtype)

    def scale_shift(self, x: Tensor, gamma: Weight, beta: Weight) -> Tensor:
        return x * _ops.cast(gamma, x.dtype) + _ops.cast(beta, x.dtype)

    def layer_norm(self, x: Tensor, gamma: Weight, beta: Weight | None, *, eps: float) -> Tensor:
        wide = _ops.cast(x, "float32")
        mean, variance = _ops.moments(wide, axes=-1, keepdims=True)
        scaled = (wide - mean) * _ops.rsqrt(variance + eps) * gamma
        return _ops.cast(scaled if beta is None else scaled + beta, x.dtype)

    def activation(self, x: Tensor, name: Activation) -> Tensor:
        if name == "relu":
            return _ops.relu(x)
        if name == "silu":
            return _ops.silu(x)
        return _ops.gelu(x, approximate=name == "gelu_tanh")

    def tanh(self, x: Tensor) -> Tensor:
        return _ops.tanh(x)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y

    def multiply(self, x: Tensor, y: Tensor) -> Tensor:
        return x * y

    def neighbours(self, x: Tensor) -> Tensor:
        padded = _ops.pad(x, ((0, 0), (1, 1), (0, 0)))
        return _ops.concatenate([padded[:, 2:], x, padded[:, :-2]], axis=-1)

    def masked(self, x: Tensor, mask: Tensor) -> Tensor:
        return x * _ops.cast(mask[:, :, None] != 0, x.dtype)

    def dropout(self, x: Tensor, rate: float) -> Tensor:
        if self._seed is None or not rate:
            return x
        # Keras's own rounds in the type of x what is drawn, the share, or the factor.
        share, factor = dropout_share(rate, digits=_DIGITS[keras.backend.standardize_dtype(x.dtype)])
        drawn = keras.random.uniform(_ops.shape(x), dtype="float32", seed=self._seed)
        return _ops.where(drawn < share, x * factor, _ops.zeros_like(x))

    def attention_bias(self, mask: Tensor) -> Tensor:
        return _ops.cast(_ops.where(mask[:, None, None, :] != 0, 0.0, MASKED), "float32")

    def relative_bias(self, table: Weight, ids: Tensor, rows: Rows, *, first_only: bool = False) -> Tensor:
        keys = _ops.arange(_ops.shape(ids)[1], dtype="int32")
        queries = keys[:1] if first_only else keys
        places = keys[None] - queries[:, None] + (len(rows) // 2 - 1)
        numbers = _ops.take(table, _ops.take(_ops.convert_to_tensor(rows), places), axis=0)
        return _ops.transpose(numbers, (2, 0, 1))[None]

    def relative_scores(
        self,
        query: Tensor,
        key: Tensor,
        ids: Tensor,
        rows: Rows,
        *,
        keys: Tensor | None,
        queries: Tensor | None,
        heads: int,
        scale: float,
        first_only: bool = False,
    ) -> Tensor:
        size = query.shape[-1] // heads
        queries_, keys_ = (_ops.arange(_ops.shape(x)[1], dtype="int32") for x in (query, key))
        distances = keys_[None] - queries_[:, None] + (len(rows) // 2 - 1)
        chosen = _ops.take(_ops.convert_to_tensor(rows), distances)

        def split(x: Tensor) -> Tensor:
            return _ops.reshape(x, (-1, _ops.shape(x)[1], heads, size))

        def products(x: Tensor, vectors: Tensor, starts: Tensor) -> Tensor:
            count = vectors.shape[1]
            found = _ops.einsum("bshd,nhd->bhsn", split(x), split(vectors)[0] * scale)
            flat = _ops.reshape(found, (-1, heads, _ops.shape(x)[1] * count))
            return _ops.take(flat, starts * count + chosen, axis=2)

        parts = []
        if keys is not None:
            parts.append(products(query, keys, queries_[:, None]))
        if queries is not None:
            parts.append(products(key, queries, keys_[None]))
        return functools.reduce(_ops.add, parts)

    def local_bias(self, bias: Tensor, *, window: int, first_only: bool) -> Tensor:
        positions = _ops.arange(_ops.shape(bias)[-1])
        distances = _ops.abs(positions[: 1 if first_only else None, None] - positions[None])
        return _ops.where(distances <= window, bias, _ops.cast(MASKED, bias.dtype))

    def attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor,
        *,
        heads: int,
        dropout: float,
        mixing: tuple[Weight, Weight] | None = None,
        scale: float | None = None,
        scores: Tensor | None = None,
    ) -> Tensor:
        width = query.shape[-1]

        def split(x: Tensor) -> Tensor:
            return _ops.reshape(x, (-1, _ops.shape(x)[1], heads, width // heads))

        query = split(query) * (1 / math.sqrt(width // heads) if scale is None else scale)
        logits = _ops.cast(_ops.einsum("bqhd,bkhd->bhqk", query, split(key)), "float32")
        if scores is not None:
            logits = logits + _ops.cast(scores, "float32")
        if mixing is not None:
            logits = _ops.einsum("bnqk,nm->bmqk", logits, mixing[0])
        weights = _ops.softmax(logits + bias)
        if mixing is not None:
            weights = _ops.einsum("bnqk,nm->bmqk", weights, mixing[1])
        weights = _ops.cast(weights, query.dtype)
        context = _ops.einsum("bhqk,bkhd->bqhd", self.dropout(weights, dropout), split(value))
        return _ops.reshape(context, (-1, _ops.shape(context)[1], width))

    def first(self, x: Tensor) -> Tensor:
        return x[:, 0]

    def first_as_sequence(self, x: Tensor) -> Tensor:
        return x[:, :1]

    def at_positions(self, x: Tensor, positions: Tensor) -> Tensor:
        return _ops.take_along_axis(x, positions[:, :, None], axis=1)

    def masked_mean(self, x: Tensor, mask: Tensor) -> Tensor:
        weights = _ops.cast(mask[:, :, None] != 0, "float32")
        total = _ops.sum(_ops.cast(x, "float32") * weights, axis=1)
        return _ops.cast(total / _ops.maximum(_ops.sum(weights, axis=1), 1.0), x.dtype)

    def masked_max(self, x: Tensor, mask: Tensor) -> Tensor:
        return _ops.max(_ops.where(mask[:, :, None] != 0, x, _ops.cast(-float("inf"), x.dtype)), axis=1)

    def weighted_sum(self, x: Tensor, weights: Tensor) -> Tensor:
        return _ops.cast(_ops.sum(_ops.cast(x, "float32") * weights[:, :, None], axis=1), x.dtype)

    def pooling_weights(self, mask: Tensor, pooling: WeightedPooling) -> Tensor:
        real = _ops.cast(mask != 0, "float32")
        places = _ops.cumsum(_ops.ones_like(real), axis=1) * real
        match pooling:
            case "mean_sqrt_len_tokens":
                return real / _ops.sqrt(_ops.maximum(_ops.sum(real, axis=1, keepdims=True), 1.0))
            case "weightedmean":
                return places / _ops.maximum(_ops.sum(places, axis=1, keepdims=True), 1.0)
            case "lasttoken":
                return real * _ops.cast(places == _ops.max(places, axis=1, keepdims=True), "float32")

    def without_first(self, mask: Tensor, count: int) -> Tensor:
        positions = _ops.cumsum(_ops.ones_like(mask), axis=1)
        return mask * _ops.cast(positions > count, mask.dtype)
