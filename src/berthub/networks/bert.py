"""BERT, the encoder of Devlin et al., 2018 (https://arxiv.org/abs/1810.04805), over any backend's operations."""

from collections.abc import Mapping
from typing import TypeVar

from berthub.config import BertConfig
from berthub.networks.ops import Ops

__all__ = ["hidden_states", "pooled_output"]

T = TypeVar("T")
W = TypeVar("W")


def hidden_states(
    ops: Ops[T, W],
    config: BertConfig,
    weights: Mapping[str, W],
    *,
    ids: T,
    mask: T,
    type_ids: T,
    layers: int,
    first_alone: bool = False,
) -> list[T]:
    """The outputs [b, s, h] of the first `layers` layers, from ids, mask and type ids [b, s].

    Positions count from the row's start, whatever the mask says, as in the original. With `first_alone` the highest
    of these layers is computed for the first position only, [b, 1, h]: all that the pooler needs of it.
    """

    def dense(x: T, scope: str) -> T:
        return ops.dense(x, weights[f"{scope}/kernel"], weights[f"{scope}/bias"])

    def normed(x: T, scope: str) -> T:
        return ops.layer_norm(x, weights[f"{scope}/gamma"], weights[f"{scope}/beta"], eps=config.layer_norm_eps)

    words = ops.gather(weights["bert/embeddings/word_embeddings"], ids)
    types = ops.gather(weights["bert/embeddings/token_type_embeddings"], type_ids)
    positions = ops.leading_rows(weights["bert/embeddings/position_embeddings"], ids)
    x = normed(ops.add(ops.add(words, positions), types), "bert/embeddings/LayerNorm")
    x = ops.dropout(x, config.hidden_dropout)

    bias = ops.attention_bias(mask)
    states = []
    for layer in range(layers):
        scope = f"bert/encoder/layer_{layer}"
        key, value = (dense(x, f"{scope}/attention/self/{part}") for part in ("key", "value"))
        if first_alone and layer == layers - 1:
            x = ops.first_alone(x)
        query = dense(x, f"{scope}/attention/self/query")
        context = ops.attention(query, key, value, bias, heads=config.num_heads, dropout=config.attention_dropout)
        attended = ops.dropout(dense(context, f"{scope}/attention/output/dense"), config.hidden_dropout)
        x = normed(ops.add(attended, x), f"{scope}/attention/output/LayerNorm")
        inner = ops.activation(dense(x, f"{scope}/intermediate/dense"), config.activation)
        outer = ops.dropout(dense(inner, f"{scope}/output/dense"), config.hidden_dropout)
        x = normed(ops.add(outer, x), f"{scope}/output/LayerNorm")
        states.append(x)
    return states


def pooled_output(ops: Ops[T, W], weights: Mapping[str, W], sequence_output: T) -> T:
    """The pooler: a dense layer with tanh on the first position's vector, [b, s, h] to [b, h]."""
    scope = "bert/pooler/dense"
    return ops.tanh(ops.dense(ops.first(sequence_output), weights[f"{scope}/kernel"], weights[f"{scope}/bias"]))
