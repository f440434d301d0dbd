"""DistilBERT (Sanh et al., 2019, https://arxiv.org/abs/1910.01108): BERT's layers without token types and pooler."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from berthub.config import EncoderConfig
from berthub.networks.bert import blocks, blocks_shapes
from berthub.networks.ops import Ops
from berthub.networks.parts import Layers, Shapes, embedding_shapes, mlm_shapes

__all__ = ["DistilBertConfig", "hidden_states", "weight_shapes"]

T = TypeVar("T")
W = TypeVar("W")


@dataclass(frozen=True, kw_only=True, slots=True)
class DistilBertConfig(EncoderConfig):
    """The settings of a DistilBERT. There is one token type, 0, since none has an embedding."""

    architecture: ClassVar[str] = "distilbert"
    title: ClassVar[str] = "DistilBERT"

    def own_faults(self) -> list[str]:
        """What does not fit a model without token types and pooler."""
        faults = [f"a DistilBERT has one token type, not {self.type_vocab_size}"] if self.type_vocab_size != 1 else []
        return [*faults, *(["a DistilBERT has no pooler"] if self.pooler else [])]


def weight_shapes(config: DistilBertConfig) -> Shapes:
    """The weights' names and shapes; the names are BERT's."""
    hidden = config.hidden_size
    return {
        **embedding_shapes(config, width=hidden, types=False),
        **blocks_shapes(config),
        **mlm_shapes(config, embedding_size=hidden),
    }


def hidden_states(
    ops: Ops[T, W],
    config: DistilBertConfig,
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
    return blocks(on, on.embeddings(ids, None), mask, layers=layers, first_only=first_only)
