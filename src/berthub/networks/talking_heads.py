"""BERT with talking-heads attention (Shazeer et al., 2020, https://arxiv.org/abs/2003.02436) and a gated GELU.

The gate is that of Shazeer, 2020 (https://arxiv.org/abs/2002.05202): gelu(x W) * (x V).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from berthub.config import EncoderConfig
from berthub.networks.ops import Ops
from berthub.networks.parts import (
    Block,
    Layers,
    Shapes,
    block_shapes,
    dense_shapes,
    embedding_shapes,
    gate_of_layer,
    mlm_shapes,
    pooler_shapes,
)

__all__ = ["TalkingHeadsConfig", "hidden_states", "weight_shapes"]

T = TypeVar("T")
W = TypeVar("W")


@dataclass(frozen=True, kw_only=True, slots=True)
class TalkingHeadsConfig(EncoderConfig):
    """The settings of a BERT with talking heads and a gated feed-forward layer."""

    architecture: ClassVar[str] = "talking_heads"
    title: ClassVar[str] = "BERT with talking heads and a gated feed-forward"

    def own_faults(self) -> list[str]:
        """Nothing is wrong: there are no settings of its own."""
        return []

    def attention_flops(self, length: int) -> int:
        """With the two products that mix the heads."""
        return EncoderConfig.attention_flops(self, length) + 4 * length * self.num_heads**2


def weight_shapes(config: TalkingHeadsConfig) -> Shapes:
    """The weights' names and shapes; the names are BERT's, and TF Hub's for the mixing of heads and the gate."""
    hidden, heads = config.hidden_size, config.num_heads
    shapes = embedding_shapes(config, width=hidden)
    for layer in range(config.num_layers):
        shapes |= dict.fromkeys(_mixing(layer), (heads, heads))
        shapes |= block_shapes(config, Block.of_layer(layer))
        shapes |= dense_shapes(gate_of_layer(layer), hidden, config.intermediate_size)
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
    first_only: bool = False,
) -> list[T]:
    """The token vectors after each layer: see `berthub.networks.network.hidden_states`."""
    on = Layers(ops, config, weights)
    x = on.embeddings(ids, type_ids)
    bias = ops.attention_bias(mask)
    states = []
    for layer in range(layers):
        before, after = _mixing(layer)
        x = on.block(
            x,
            bias,
            Block.of_layer(layer),
            first_only=first_only and layer == layers - 1,
            mixing=(weights[before], weights[after]),
            gate=gate_of_layer(layer),
        )
        states.append(x)
    return states


def _mixing(layer: int) -> tuple[str, str]:
    scope = f"bert/encoder/layer_{layer}/attention/self"
    return f"{scope}/pre_softmax_weight", f"{scope}/post_softmax_weight"
