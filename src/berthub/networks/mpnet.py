"""MPNet (Song et al., 2020, https://arxiv.org/abs/2004.09297): BERT's layers, with a bias for relative positions.

The bias is T5's (Raffel et al., 2019, https://arxiv.org/abs/1910.10683): the distances fall into buckets, each of which
has a number for every head that is added to the attention scores. It is the same in all layers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from berthub.config import EncoderConfig, size_faults
from berthub.networks.bert import blocks_shapes
from berthub.networks.ops import Ops, Rows
from berthub.networks.parts import Block, Layers, Shapes, embedding_shapes, mlm_shapes, pooler_shapes

__all__ = ["BUCKETS", "MPNetConfig", "buckets", "hidden_states", "weight_shapes"]

T = TypeVar("T")
W = TypeVar("W")

BUCKETS = 32
"""How many buckets there are, half of them for each direction; a constant of the original's code."""
# Distances from here on fall into the last bucket.
_FARTHEST = 128
_BIAS = "bert/encoder/relative_position_embeddings"


@dataclass(frozen=True, kw_only=True, slots=True)
class MPNetConfig(EncoderConfig):
    """The settings of an MPNet. There is one token type, 0, since none has an embedding.

    `first_position` is that of `berthub.networks.roberta`.
    """

    architecture: ClassVar[str] = "mpnet"
    title: ClassVar[str] = "MPNet"
    embedding_scopes: ClassVar[tuple[str, ...]] = ("bert/embeddings", _BIAS)

    first_position: int = 2

    def own_faults(self) -> list[str]:
        """What is wrong with `first_position`, and with token types."""
        faults = [f"an MPNet has one token type, not {self.type_vocab_size}"] if self.type_vocab_size != 1 else []
        return faults + size_faults(self, {"first_position": 1 << 20})


def weight_shapes(config: MPNetConfig) -> Shapes:
    """The weights' names and shapes; the names are BERT's."""
    hidden = config.hidden_size
    return {
        **embedding_shapes(config, width=hidden, skipped=config.first_position, types=False),
        _BIAS: (BUCKETS, config.num_heads),
        **blocks_shapes(config),
        **pooler_shapes(config),
        **mlm_shapes(config, embedding_size=hidden),
    }


def hidden_states(
    ops: Ops[T, W],
    config: MPNetConfig,
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
    x = on.embeddings(ids, None, first=config.first_position)
    bias, rows = ops.attention_bias(mask), buckets(config.max_positions)
    scores = ops.relative_bias(weights[_BIAS], ids, rows)
    states = []
    for layer in range(layers):
        first = first_only and layer == layers - 1
        if first:
            scores = ops.relative_bias(weights[_BIAS], ids, rows, first_only=True)
        x = on.block(x, bias, Block.of_layer(layer), first_only=first, scores=lambda *_, found=scores: found)
        states.append(x)
    return states


def buckets(longest: int) -> Rows:
    """The bucket of each distance, for texts of up to `longest` positions: see `Rows`.

    Half of a direction's buckets are for one distance each, and the others grow with its logarithm.
    """
    import numpy as np

    half = BUCKETS // 2
    exact = half // 2
    distances = np.arange(1 - longest, longest + 1)
    far = np.abs(distances)
    # In float32, as the original: between two buckets rounding decides.
    logs = np.log(np.maximum(far, exact).astype(np.float32) / np.float32(exact))
    steps = logs / np.float32(np.log(_FARTHEST / exact)) * np.float32(half - exact)
    found = np.where(far < exact, far, np.minimum(exact + steps.astype(np.int64), half - 1))
    rows: Rows = (found + half * (distances > 0)).astype(np.int32)
    return rows
