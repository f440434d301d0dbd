"""NomicBERT (Nussbaum et al., 2024, https://arxiv.org/abs/2402.01613): BERT with rotary positions and gated layers.

Apart from norms, pooler and masked-language-model head it has no biases.
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
    norm_shapes,
    pooler_shapes,
    without_biases,
)
from berthub.networks.rotary import rotation, rotation_faults

__all__ = ["NomicBertConfig", "hidden_states", "weight_shapes"]

T = TypeVar("T")
W = TypeVar("W")


@dataclass(frozen=True, kw_only=True, slots=True)
class NomicBertConfig(EncoderConfig):
    """The settings of a NomicBERT; pairs of components turn by powers of `rotary_theta`, all `rotary_factor` slower."""

    architecture: ClassVar[str] = "nomic_bert"
    title: ClassVar[str] = "NomicBERT"

    rotary_theta: float = 1000.0
    rotary_factor: float = 1.0

    def own_faults(self) -> list[str]:
        """What is wrong with the settings of the rotation."""
        return rotation_faults(self, rotary_theta=self.rotary_theta, rotary_factor=self.rotary_factor)


def weight_shapes(config: NomicBertConfig) -> Shapes:
    """The weights' names and shapes; the names are BERT's as far as it has their like."""
    hidden = config.hidden_size
    shapes = embedding_shapes(config, width=hidden, positions=False)
    for layer in range(config.num_layers):
        block = Block.of_layer(layer)
        gated = block_shapes(config, block) | dense_shapes(gate_of_layer(layer), hidden, config.intermediate_size)
        shapes |= without_biases(gated)
        shapes |= norm_shapes(block.attended_norm, hidden) | norm_shapes(block.outer_norm, hidden)
    return {**shapes, **pooler_shapes(config), **mlm_shapes(config, embedding_size=hidden)}


def hidden_states(
    ops: Ops[T, W],
    config: NomicBertConfig,
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
    x = on.embeddings(ids, type_ids, first=None)
    rotate = rotation(ops, config, ids, theta=config.rotary_theta, factor=config.rotary_factor)
    bias = ops.attention_bias(mask)
    states = []
    for layer in range(layers):
        x = on.block(
            x,
            bias,
            Block.of_layer(layer),
            first_only=first_only and layer == layers - 1,
            gate=gate_of_layer(layer),
            rotate=rotate,
        )
        states.append(x)
    return states
