"""The operations of a network as TensorFlow's own, for graphs that run without Keras."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from berthub.config import Activation
from berthub.networks.ops import MASKED, Dense, Ops, Rows, WeightedPooling

__all__ = ["TensorFlowOps"]

Tensor = Any
Weight = Any


class TensorFlowOps(Ops[Tensor, Weight]):
    """`berthub.networks.ops.Ops` in float32 on TensorFlow; `training` tells whether there is dropout."""

    def __init__(self, *, training: bool) -> None:
        self._training = training

    def gather(self, table: Weight, ids: Tensor) -> Tensor:
        return tf.gather(table, ids)

    def leading_rows(self, table: Weight, ids: Tensor, *, first: int = 0) -> Tensor:
        return table[tf.newaxis, first : first + tf.shape(ids)[1]]

    def constant_rows(self, name: str, table: npt.NDArray[np.float32], ids: Tensor) -> Tensor:
        return self.leading_rows(tf.constant(table), ids)

    def rotate(self, x: Tensor, cos: Tensor, sin: Tensor, *, heads: int) -> Tensor:
        split = tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1], heads, x.shape[-1] // heads])
        first, second = tf.split(split, 2, axis=-1)
        turned = split * cos[:, :, tf.newaxis] + tf.concat([-second, first], axis=-1) * sin[:, :, tf.newaxis]
        return tf.reshape(turned, [tf.shape(x)[0], tf.shape(x)[1], x.shape[-1]])

    def dense(self, x: Tensor, layer: Dense[Weight]) -> Tensor:
        y = tf.matmul(x, layer.kernel)
        return y if layer.bias is None else y + layer.bias

    def table(self, table: Weight) -> Tensor:
        return table[tf.newaxis]

    def tied_dense(self, x: Tensor, table: Weight, bias: Weight) -> Tensor:
        return tf.matmul(x, table, transpose_b=True) + bias

    def scale_shift(self, x: Tensor, gamma: Weight, beta: Weight) -> Tensor:
        return x * gamma + beta

    def layer_norm(self, x: Tensor, gamma: Weight, beta: Weight | None, *, eps: float) -> Tensor:
        mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
        # The constant's name is what readers of a graph look for: `berthub.formats.tensorflow.graph`.
        with tf.name_scope("batchnorm"):
            variance = tf.add(variance, eps, name="add")
        scaled = (x - mean) * tf.math.rsqrt(variance) * gamma
        return scaled if beta is None else scaled + beta

    def activation(self, x: Tensor, name: Activation) -> Tensor:
        if name == "relu":
            return tf.nn.relu(x)
        if name == "silu":
            return tf.nn.silu(x)
        return tf.nn.gelu(x, approximate=name == "gelu_tanh")

    def tanh(self, x: Tensor) -> Tensor:
        return tf.tanh(x)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y

    def multiply(self, x: Tensor, y: Tensor) -> Tensor:
        return x * y

    def neighbours(self, x: Tensor) -> Tensor:
        padded = tf.pad(x, ((0, 0), (1, 1), (0, 0)))
        return tf.concat([padded[:, 2:], x, padded[:, :-2]], axis=-1)

    def masked(self, x: Tensor, mask: Tensor) -> Tensor:
        return x * tf.cast(tf.cast(mask, tf.bool), x.dtype)[:, :, tf.newaxis]

    def dropout(self, x: Tensor, rate: float) -> Tensor:
        return tf.nn.dropout(x, rate) if self._training and rate else x

    def attention_bias(self, mask: Tensor) -> Tensor:
        return tf.where(tf.cast(mask, tf.bool)[:, tf.newaxis, tf.newaxis, :], 0.0, MASKED)

    def relative_bias(self, table: Weight, ids: Tensor, rows: Rows, *, first_only: bool = False) -> Tensor:
        keys = tf.range(tf.shape(ids)[1])
        queries = keys[:1] if first_only else keys
        places = keys - queries[:, tf.newaxis] + (len(rows) // 2 - 1)
        return tf.transpose(tf.gather(table, tf.gather(rows, places)), (2, 0, 1))[tf.newaxis]

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
        queries_, keys_ = (tf.range(tf.shape(x)[1]) for x in (query, key))
        chosen = tf.gather(rows, keys_ - queries_[:, tf.newaxis] + (len(rows) // 2 - 1))

        def split(x: Tensor) -> Tensor:
            return tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1], heads, size])

        def products(x: Tensor, vectors: Tensor, starts: Tensor) -> Tensor:
            count = tf.shape(vectors)[1]
            found = tf.einsum("bshd,nhd->bhsn", split(x), split(vectors)[0] * scale)
            flat = tf.reshape(found, [tf.shape(x)[0], heads, tf.shape(x)[1] * count])
            return tf.gather(flat, starts * count + chosen, axis=2)

        parts = []
        if keys is not None:
            parts.append(products(query, keys, queries_[:, tf.newaxis]))
        if queries is not None:
            parts.append(products(key, queries, keys_))
        return tf.add_n(parts)

    def local_bias(self, bias: Tensor, *, window: int, first_only: bool) -> Tensor:
        positions = tf.range(tf.shape(bias)[-1])
        distances = tf.abs(positions[: 1 if first_only else None, tf.newaxis] - positions)
        return tf.where(distances <= window, bias, MASKED)

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
            return tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1], heads, width // heads])

        scale = 1 / math.sqrt(width // heads) if scale is None else scale
        logits = tf.einsum("bqhd,bkhd->bhqk", split(query) * scale, split(key))
        if scores is not None:
            logits = logits + scores
        if mixing is not None:
            logits = tf.einsum("bnqk,nm->bmqk", logits, mixing[0])
        weights = tf.nn.softmax(logits + bias)
        if mixing is not None:
            weights = tf.einsum("bnqk,nm->bmqk", weights, mixing[1])
        context = tf.einsum("bhqk,bkhd->bqhd", self.dropout(weights, dropout), split(value))
        return tf.reshape(context, [tf.shape(query)[0], tf.shape(query)[1], width])

    def first(self, x: Tensor) -> Tensor:
        return x[:, 0]

    def first_as_sequence(self, x: Tensor) -> Tensor:
        return x[:, :1]

    def at_positions(self, x: Tensor, positions: Tensor) -> Tensor:
        return tf.gather(x, positions, batch_dims=1)

    def masked_mean(self, x: Tensor, mask: Tensor) -> Tensor:
        weights = tf.cast(tf.cast(mask, tf.bool), x.dtype)[:, :, tf.newaxis]
        return tf.math.divide_no_nan(tf.reduce_sum(x * weights, 1), tf.reduce_sum(weights, 1))

    def masked_max(self, x: Tensor, mask: Tensor) -> Tensor:
        return tf.reduce_max(tf.where(tf.cast(mask, tf.bool)[:, :, tf.newaxis], x, x.dtype.min), 1)

    def weighted_sum(self, x: Tensor, weights: Tensor) -> Tensor:
        return tf.reduce_sum(x * weights[:, :, tf.newaxis], 1)

    def pooling_weights(self, mask: Tensor, pooling: WeightedPooling) -> Tensor:
        real = tf.cast(tf.cast(mask, tf.bool), tf.float32)
        places = real * tf.cumsum(tf.ones_like(real), axis=1)
        match pooling:
            case "mean_sqrt_len_tokens":
                return tf.math.divide_no_nan(real, tf.sqrt(tf.reduce_sum(real, 1, keepdims=True)))
            case "weightedmean":
                return tf.math.divide_no_nan(places, tf.reduce_sum(places, 1, keepdims=True))
            case "lasttoken":
                return real * tf.cast(places == tf.reduce_max(places, 1, keepdims=True), tf.float32)

    def without_first(self, mask: Tensor, count: int) -> Tensor:
        return mask * tf.cast(tf.cumsum(tf.ones_like(mask), axis=1) > count, mask.dtype)
