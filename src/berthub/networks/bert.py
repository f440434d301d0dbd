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
    Layers,
    Shapes,
    attention_shapes,
    dense_shapes,
    mlm_shapes,
    norm_shapes,
    pooler_shapes,
)

__all__ = ["BertConfig", "block_shapes", "blocks", "hidden_states", "weight_shapes"]

T = TypeVar("T")
W = TypeVar("W")

_PROJECTION = "bert/embeddings_project"


@dataclass(frozen=True, kw_only=True, slots=True)
class BertConfig(EncoderConfig):
    """The settings of a BERT. `embedding_size` is the width of the embeddings; None: that of the layers."""

    architecture: ClassVar[str] = "bert"

    embedding_size: int | None = None

    @property
    def embedding_width(self) -> int:
        """The width of the embeddings."""
        return self.embedding_size or self.hidden_size

    def own_faults(self) -> list[str]:
        """What is wrong with `embedding_size`."""
        return [] if self.embedding_size is None else size_faults(self, {"embedding_size": 1 << 16})


def weight_shapes(config: BertConfig) -> Shapes:
    """The names of Google's 2018 release, and ELECTRA's for the projection."""
    width = config.embedding_width
    shapes: Shapes = {
        "bert/embeddings/word_embeddings": (config.vocab_size, width),
        "bert/embeddings/position_embeddings": (config.max_positions, width),
        "bert/embeddings/token_type_embeddings": (config.type_vocab_size, width),
        **norm_shapes("bert/embeddings/LayerNorm", width),
    }
    if width != config.hidden_size:
        shapes |= dense_shapes(_PROJECTION, width, config.hidden_size)
    return {**shapes, **block_shapes(config), **pooler_shapes(config), **mlm_shapes(config, embedding_size=width)}


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
    """See `berthub.networks.network`."""
    on = Layers(ops, config, weights)
    words = ops.gather(weights["bert/embeddings/word_embeddings"], ids)
    types = ops.gather(weights["bert/embeddings/token_type_embeddings"], type_ids)
    positions = ops.leading_rows(weights["bert/embeddings/position_embeddings"], ids)
    x = on.dropout(on.norm(ops.add(ops.add(words, positions), types), "bert/embeddings/LayerNorm"))
    if config.embedding_width != config.hidden_size:
        x = on.dense(x, _PROJECTION)
    return blocks(on, x, mask, layers=layers, first_alone=first_alone)


def block_shapes(config: EncoderConfig) -> Shapes:
    """Of all layers."""
    hidden, inner = config.hidden_size, config.intermediate_size
    shapes: Shapes = {}
    for layer in range(config.num_layers):
        scope = f"bert/encoder/layer_{layer}"
        shapes |= attention_shapes(f"{scope}/attention/self", width=hidden, inner=hidden)
        shapes |= dense_shapes(f"{scope}/attention/output/dense", hidden, hidden)
        shapes |= norm_shapes(f"{scope}/attention/output/LayerNorm", hidden)
        shapes |= dense_shapes(f"{scope}/intermediate/dense", hidden, inner)
        shapes |= dense_shapes(f"{scope}/output/dense", inner, hidden)
        shapes |= norm_shapes(f"{scope}/output/LayerNorm", hidden)
    return shapes


def blocks(on: Layers[T, W], x: T, mask: T, *, layers: int, first_alone: bool) -> list[T]:
    """The layers one after the other, from the embeddings `x` [b, s, h]."""
    ops, config = on.ops, on.config
    bias = ops.attention_bias(mask)
    states = []
    for layer in range(layers):
        scope = f"bert/encoder/layer_{layer}"
        key, value = (on.dense(x, f"{scope}/attention/self/{part}") for part in ("key", "value"))
        if first_alone and layer == layers - 1:
            x = ops.first_alone(x)
        query = on.dense(x, f"{scope}/attention/self/query")
        context = ops.attention(query, key, value, bias, heads=config.num_heads, dropout=config.attention_dropout)
        attended = on.dropout(on.dense(context, f"{scope}/attention/output/dense"))
        x = on.norm(ops.add(attended, x), f"{scope}/attention/output/LayerNorm")
        inner = on.activation(on.dense(x, f"{scope}/intermediate/dense"))
        outer = on.dropout(on.dense(inner, f"{scope}/output/dense"))
        x = on.norm(ops.add(outer, x), f"{scope}/output/LayerNorm")
        states.append(x)
    return states
