"""ALBERT (Lan et al., 2019, https://arxiv.org/abs/1909.11942): narrow embeddings, and layers that share weights."""

import re
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

__all__ = ["AlbertConfig", "block", "hidden_states", "weight_shapes"]

T = TypeVar("T")
W = TypeVar("W")

_PROJECTION = "bert/encoder/embedding_hidden_mapping_in"
_GROUP = re.compile(r"/group_(\d+)/")


@dataclass(frozen=True, kw_only=True, slots=True)
class AlbertConfig(EncoderConfig):
    """The settings of an ALBERT.

    The layers fall into `num_groups` groups of neighbours that share their weights; each layer runs `inner_layers`
    blocks, one after the other. `embedding_size` is the width of the embeddings.
    """

    architecture: ClassVar[str] = "albert"
    title: ClassVar[str] = "ALBERT"
    shares_layers: ClassVar[bool] = True
    embedding_scopes: ClassVar[tuple[str, ...]] = ("bert/embeddings", _PROJECTION)

    embedding_size: int
    num_groups: int = 1
    inner_layers: int = 1

    def own_faults(self) -> list[str]:
        """What is wrong with the embeddings' width and the groups."""
        faults = size_faults(self, {"embedding_size": 1 << 16, "num_groups": 1 << 10, "inner_layers": 1 << 10})
        if not faults and self.num_groups * self.inner_layers > 1 << 10:
            faults.append(
                f"num_groups {self.num_groups} times inner_layers {self.inner_layers} are more than {1 << 10:,}"
            )
        if not faults and self.num_groups > self.num_layers:
            faults.append(f"num_groups is {self.num_groups}, and there are {self.num_layers} layers")
        return faults

    @property
    def num_blocks(self) -> int:
        """Each layer has several."""
        return self.num_layers * self.inner_layers

    def group_of(self, layer: int) -> int:
        """The group that the layer is in."""
        return layer * self.num_groups // self.num_layers

    def uses_of(self, weight: str) -> int:
        """A group's weights are used in each of its layers."""
        group = _GROUP.search(weight)
        return 1 if group is None else sum(self.group_of(layer) == int(group[1]) for layer in range(self.num_layers))


def weight_shapes(config: AlbertConfig) -> Shapes:
    """The weights' names and shapes; the names are those of Google's release (https://github.com/google-research/albert)."""
    width, hidden = config.embedding_size, config.hidden_size
    shapes = embedding_shapes(config, width=width)
    if width != hidden:
        shapes |= dense_shapes(_PROJECTION, width, hidden)
    for group in range(config.num_groups):
        for number in range(config.inner_layers):
            shapes |= block_shapes(config, block(group, number))
    return {**shapes, **pooler_shapes(config), **mlm_shapes(config, embedding_size=width)}


def hidden_states(
    ops: Ops[T, W],
    config: AlbertConfig,
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
    if config.embedding_size != config.hidden_size:
        x = on.dense(x, _PROJECTION)
    bias = ops.attention_bias(mask)
    states = []
    for layer in range(layers):
        group = config.group_of(layer)
        for number in range(config.inner_layers):
            last = layer == layers - 1 and number == config.inner_layers - 1
            x = on.block(x, bias, block(group, number), first_only=first_only and last)
        states.append(x)
    return states


def block(group: int, number: int) -> Block:
    """The scopes of a block, by its group and its number in the group."""
    scope = f"bert/encoder/transformer/group_{group}/inner_group_{number}"
    return Block(
        attention=f"{scope}/attention_1/self",
        attended=f"{scope}/attention_1/output/dense",
        attended_norm=f"{scope}/LayerNorm",
        inner=f"{scope}/ffn_1/intermediate/dense",
        outer=f"{scope}/ffn_1/intermediate/output/dense",
        outer_norm=f"{scope}/LayerNorm_1",
    )
