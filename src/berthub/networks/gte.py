"""GTE (Zhang et al., 2024, https://arxiv.org/abs/2407.19669): BERT with rotary positions and gated layers.

The two inner layers have no biases. There may be no token types.
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
    embedding_shapes,
    gate_of_layer,
    mlm_shapes,
    pooler_shapes,
)
from berthub.networks.rotary import rotation, rotation_faults

__all__ = ["GteConfig", "hidden_states", "weight_shapes"]

T = TypeVar("T")
W = TypeVar("W")


@dataclass(frozen=True, kw_only=True, slots=True)
class GteConfig(EncoderConfig):
    """The settings of a GTE; pairs of components turn by powers of `rotary_theta`, all `rotary_factor` slower.

    Without `token_types` the embeddings are those of words alone, and `type_vocab_size` is 1.
    """

    architecture: ClassVar[str] = "gte"
    title: ClassVar[str] = "GTE"

    rotary_theta: float = 160_000.0
    rotary_factor: float = 1.0
    token_types: bool = True

    def own_faults(self) -> list[str]:
        """What is wrong with the settings of the rotation and of the token types."""
        faults = rotation_faults(self, rotary_theta=self.rotary_theta, rotary_factor=self.rotary_factor)
        if not isinstance(self.token_types, bool):
            faults.append(f"token_types must be true or false, not {self.token_types!r}")
        elif not self.token_types and self.type_vocab_size != 1:
            faults.append(f"type_vocab_size must be 1 without token_types, not {self.type_vocab_size}")
        return faults


def weight_shapes(config: GteConfig) -> Shapes:
    """The weights' names and shapes; the names are BERT's as far as it has their like."""
    hidden, inner = config.hidden_size, config.intermediate_size
    shapes = embedding_shapes(config, width=hidden, positions=False, types=config.token_types)
    for layer in range(config.num_layers):
        block = Block.of_layer(layer)
        of_block = block_shapes(config, block)
        del of_block[f"{block.inner}/bias"]
        shapes |= {**of_block, f"{gate_of_layer(layer)}/kernel": (hidden, inner)}
    return {**shapes, **pooler_shapes(config), **mlm_shapes(config, embedding_size=hidden)}


def hidden_states(
    ops: Ops[T, W],
    config: GteConfig,
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
    x = on.embeddings(ids, type_ids if config.token_types else None, first=None)
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
            inner_dropout=config.hidden_dropout,
        )
        states.append(x)
    return states
