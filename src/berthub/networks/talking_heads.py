"""BERT with talking-heads attention (Shazeer et al., 2020, https://arxiv.org/abs/2003.02436) and a gated GELU.

The gate is that of Shazeer, 2020 (https://arxiv.org/abs/2002.05202): gelu(x W) * (x V).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from berthub.config import EncoderConfig
from berthub.networks.ops import Ops
from berthub.networks.parts import (
    Layers,
    Shapes,
    attention_shapes,
    dense_shapes,
    mlm_shapes,
    norm_shapes,
    pooler_shapes,
)

__all__ = ["TalkingHeadsConfig", "hidden_states", "weight_shapes"]

T = TypeVar("T")
W = TypeVar("W")


@dataclass(frozen=True, kw_only=True, slots=True)
class TalkingHeadsConfig(EncoderConfig):
    """The settings of a BERT with talking heads and a gated feed-forward layer."""

    architecture: ClassVar[str] = "talking_heads"

    def own_faults(self) -> list[str]:
        """Nothing: there are no settings of its own."""
        return []


def weight_shapes(config: TalkingHeadsConfig) -> Shapes:
    """The names of BERT, and for what BERT has not those of TF Hub's models."""
    hidden, inner, heads = config.hidden_size, config.intermediate_size, config.num_heads
    shapes: Shapes = {
        "bert/embeddings/word_embeddings": (config.vocab_size, hidden),
        "bert/embeddings/position_embeddings": (config.max_positions, hidden),
        "bert/embeddings/token_type_embeddings": (config.type_vocab_size, hidden),
        **norm_shapes("bert/embeddings/LayerNorm", hidden),
    }
    for layer in range(config.num_layers):
        scope = f"bert/encoder/layer_{layer}"
        shapes |= {f"{scope}/attention/self/{when}_softmax_weight": (heads, heads) for when in ("pre", "post")}
        shapes |= attention_shapes(f"{scope}/attention/self", width=hidden, inner=hidden)
        shapes |= dense_shapes(f"{scope}/attention/output/dense", hidden, hidden)
        shapes |= norm_shapes(f"{scope}/attention/output/LayerNorm", hidden)
        shapes |= dense_shapes(f"{scope}/intermediate/dense", hidden, inner)
        shapes |= dense_shapes(f"{scope}/intermediate/gate", hidden, inner)
        shapes |= dense_shapes(f"{scope}/output/dense", inner, hidden)
        shapes |= norm_shapes(f"{scope}/output/LayerNorm", hidden)
    return {**shapes, **pooler_shapes(config), **mlm_shapes(config, embedding_size=hidden)}


def hidden_states(
    ops: Ops[T, W],
    config: TalkingHeadsConfig,
    weights: Mapping[str, W],
    *,
    ids: T,
    mask: T,
    type_ids: T,
    layers: int,
    first_alone: bool = False,
) -> list[T]:
    """See `berthub.networks.network`."""
    on = Layers(ops, config, weights)
    words = ops.gather(weights["bert/embeddings/word_embeddings"], ids)
    types = ops.gather(weights["bert/embeddings/token_type_embeddings"], type_ids)
    positions = ops.leading_rows(weights["bert/embeddings/position_embeddings"], ids)
    x = on.dropout(on.norm(ops.add(ops.add(words, positions), types), "bert/embeddings/LayerNorm"))
    bias = ops.attention_bias(mask)
    states = []
    for layer in range(layers):
        scope = f"bert/encoder/layer_{layer}"
        key, value = (on.dense(x, f"{scope}/attention/self/{part}") for part in ("key", "value"))
        if first_alone and layer == layers - 1:
            x = ops.first_alone(x)
        context = ops.attention(
            on.dense(x, f"{scope}/attention/self/query"),
            key,
            value,
            bias,
            heads=config.num_heads,
            dropout=config.attention_dropout,
            mixing=(
                weights[f"{scope}/attention/self/pre_softmax_weight"],
                weights[f"{scope}/attention/self/post_softmax_weight"],
            ),
        )
        attended = on.dropout(on.dense(context, f"{scope}/attention/output/dense"))
        x = on.norm(ops.add(attended, x), f"{scope}/attention/output/LayerNorm")
        inner = on.activation(on.dense(x, f"{scope}/intermediate/dense"))
        gated = ops.multiply(inner, on.dense(x, f"{scope}/intermediate/gate"))
        outer = on.dropout(on.dense(gated, f"{scope}/output/dense"))
        x = on.norm(ops.add(outer, x), f"{scope}/output/LayerNorm")
        states.append(x)
    return states
