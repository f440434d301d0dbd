"""BERT (Devlin et al., 2018, https://arxiv.org/abs/1810.04805), over any backend's operations.

With embeddings narrower than the layers, and a projection between, it is the encoder of ELECTRA (Clark et al., 2020,
https://arxiv.org/abs/2003.10555).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from berthub.config import EncoderConfig, size_faults
from berthub.networks.ops import Ops
from berthub.networks.parts import (
    Block,
    Layers,
    Shapes,
    block_shapes,
    dense_shapes,
    embedding_shapes,
    mlm_shapes,
    pooler_shapes,
)

__all__ = ["BertConfig", "blocks", "blocks_shapes", "hidden_states", "weight_shapes"]

T = TypeVar("T")
W = TypeVar("W")

_PROJECTION = "bert/embeddings_project"


@dataclass(frozen=True, kw_only=True, slots=True)
class BertConfig(EncoderConfig):
    """The settings of a BERT. `embedding_size` is the width of the embeddings; None: that of the layers."""

    architecture: ClassVar[str] = "bert"
    title: ClassVar[str] = "BERT"

    embedding_size: int | None = None

    @property
    def embedding_width(self) -> int:
        """The width of the embeddings."""
        return self.embedding_size or self.hidden_size

    def own_faults(self) -> list[str]:
        """What is wrong with `embedding_size`."""
        return [] if self.embedding_size is None else size_faults(self, {"embedding_size": 1 << 16})


def weight_shapes(config: BertConfig) -> Shapes:
    """The weights' names and shapes; the names are those of Google's 2018 release, and ELECTRA's for the projection."""
    width = config.embedding_width
    shapes = embedding_shapes(config, width=width)
    if width != config.hidden_size:
        shapes |= dense_shapes(_PROJECTION, width, config.hidden_size)
    return {**shapes, **blocks_shapes(config), **pooler_shapes(config), **mlm_shapes(config, embedding_size=width)}


def hidden_states(
    ops: Ops[T, W],
    config: BertConfig,
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
    if config.embedding_width != config.hidden_size:
        x = on.dense(x, _PROJECTION)
    return blocks(on, x, mask, layers=layers, first_only=first_only)


def blocks_shapes(config: EncoderConfig) -> Shapes:
    """The shapes of the weights of all layers."""
    layers = (block_shapes(config, Block.of_layer(layer)) for layer in range(config.num_layers))
    return {name: shape for shapes in layers for name, shape in shapes.items()}


def blocks(on: Layers[T, W], x: T, mask: T, *, layers: int, first_only: bool) -> list[T]:
    """The layers one after the other, from the embeddings `x` [b, s, h]."""
    bias = on.ops.attention_bias(mask)
    states = []
    for layer in range(layers):
        x = on.block(x, bias, Block.of_layer(layer), first_only=first_only and layer == layers - 1)
        states.append(x)
    return states
