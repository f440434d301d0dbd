"""RoBERTa (Liu et al., 2019, https://arxiv.org/abs/1907.11692): BERT's layers, other positions and vocabulary."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from berthub.config import EncoderConfig, size_faults
from berthub.networks.bert import blocks, blocks_shapes
from berthub.networks.ops import Ops
from berthub.networks.parts import Layers, Shapes, embedding_shapes, mlm_shapes, pooler_shapes

__all__ = ["RobertaConfig", "hidden_states", "weight_shapes"]

T = TypeVar("T")
W = TypeVar("W")


@dataclass(frozen=True, kw_only=True, slots=True)
class RobertaConfig(EncoderConfig):
    """The settings of a RoBERTa.

    `first_position` is the row of the position table that a text's first token has: the one after that of padding,
    whose row is the id of the padding piece. `max_positions` does not count those rows.
    """

    architecture: ClassVar[str] = "roberta"
    title: ClassVar[str] = "RoBERTa"

    first_position: int = 2

    def own_faults(self) -> list[str]:
        """What is wrong with `first_position`."""
        return size_faults(self, {"first_position": 1 << 20})


def weight_shapes(config: RobertaConfig) -> Shapes:
    """The weights' names and shapes; the names are BERT's."""
    hidden = config.hidden_size
    return {
        **embedding_shapes(config, width=hidden, skipped=config.first_position),
        **blocks_shapes(config),
        **pooler_shapes(config),
        **mlm_shapes(config, embedding_size=hidden),
    }


def hidden_states(
    ops: Ops[T, W],
    config: RobertaConfig,
    weights: Mapping[str, W],
    *,
    ids: T,
    mask: T,
    type_ids: T,
    layers: int,
    first_only: bool = False,
) -> list[T]:
    """The token vectors after each layer: see `berthub.networks.network.hidden_states`.

    Padding has the positions that follow the text's; in the original it has one position of its own. That changes the
    vectors of the padding, and nothing else.
    """
    on = Layers(ops, config, weights)
    x = on.embeddings(ids, type_ids, first=config.first_position)
    return blocks(on, x, mask, layers=layers, first_only=first_only)
