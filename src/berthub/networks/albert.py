"""ALBERT (Lan et al., 2019, https://arxiv.org/abs/1909.11942): narrow embeddings, and layers that share weights."""

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

__all__ = ["AlbertConfig", "hidden_states", "weight_shapes"]

T = TypeVar("T")
W = TypeVar("W")

_PROJECTION = "bert/encoder/embedding_hidden_mapping_in"


@dataclass(frozen=True, kw_only=True, slots=True)
class AlbertConfig(EncoderConfig):
    """The settings of an ALBERT.

    The layers fall into `num_groups` groups of neighbours that share their weights; each layer runs `inner_layers`
    blocks, one after the other. `embedding_size` is the width of the embeddings.
    """

    architecture: ClassVar[str] = "albert"
    shares_layers: ClassVar[bool] = True

    embedding_size: int
    num_groups: int = 1
    inner_layers: int = 1

    def own_faults(self) -> list[str]:
        """What is wrong with the embeddings' width and the groups."""
        faults = size_faults(self, {"embedding_size": 1 << 16, "num_groups": 1 << 10, "inner_layers": 1 << 10})
        if not faults and self.num_groups > self.num_layers:
            faults.append(f"num_groups is {self.num_groups}, and there are {self.num_layers} layers")
        return faults


def weight_shapes(config: AlbertConfig) -> Shapes:
    """The names of Google's release of 2019 (https://github.com/google-research/albert)."""
    width, hidden, inner = config.embedding_size, config.hidden_size, config.intermediate_size
    shapes: Shapes = {
        "bert/embeddings/word_embeddings": (config.vocab_size, width),
        "bert/embeddings/position_embeddings": (config.max_positions, width),
        "bert/embeddings/token_type_embeddings": (config.type_vocab_size, width),
        **norm_shapes("bert/embeddings/LayerNorm", width),
    }
    if width != hidden:
        shapes |= dense_shapes(_PROJECTION, width, hidden)
    for group in range(config.num_groups):
        for block in range(config.inner_layers):
            scope = _scope(group, block)
            shapes |= attention_shapes(f"{scope}/attention_1/self", width=hidden, inner=hidden)
            shapes |= dense_shapes(f"{scope}/attention_1/output/dense", hidden, hidden)
            shapes |= norm_shapes(f"{scope}/LayerNorm", hidden)
            shapes |= dense_shapes(f"{scope}/ffn_1/intermediate/dense", hidden, inner)
            shapes |= dense_shapes(f"{scope}/ffn_1/intermediate/output/dense", inner, hidden)
            shapes |= norm_shapes(f"{scope}/LayerNorm_1", hidden)
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
    first_alone: bool = False,
) -> list[T]:
    """See `berthub.networks.network`."""
    on = Layers(ops, config, weights)
    words = ops.gather(weights["bert/embeddings/word_embeddings"], ids)
    types = ops.gather(weights["bert/embeddings/token_type_embeddings"], type_ids)
    positions = ops.leading_rows(weights["bert/embeddings/position_embeddings"], ids)
    x = on.dropout(on.norm(ops.add(ops.add(words, positions), types), "bert/embeddings/LayerNorm"))
    if config.embedding_size != config.hidden_size:
        x = on.dense(x, _PROJECTION)
    bias = ops.attention_bias(mask)
    states = []
    for layer in range(layers):
        group = layer * config.num_groups // config.num_layers
        for block in range(config.inner_layers):
            last = layer == layers - 1 and block == config.inner_layers - 1
            x = _block(on, x, bias, _scope(group, block), first_alone=first_alone and last)
        states.append(x)
    return states


def _block(on: Layers[T, W], x: T, bias: T, scope: str, *, first_alone: bool) -> T:
    ops, config = on.ops, on.config
    key, value = (on.dense(x, f"{scope}/attention_1/self/{part}") for part in ("key", "value"))
    if first_alone:
        x = ops.first_alone(x)
    query = on.dense(x, f"{scope}/attention_1/self/query")
    context = ops.attention(query, key, value, bias, heads=config.num_heads, dropout=config.attention_dropout)
    attended = on.dropout(on.dense(context, f"{scope}/attention_1/output/dense"))
    x = on.norm(ops.add(attended, x), f"{scope}/LayerNorm")
    inner = on.activation(on.dense(x, f"{scope}/ffn_1/intermediate/dense"))
    outer = on.dropout(on.dense(inner, f"{scope}/ffn_1/intermediate/output/dense"))
    return on.norm(ops.add(outer, x), f"{scope}/LayerNorm_1")


def _scope(group: int, block: int) -> str:
    return f"bert/encoder/transformer/group_{group}/inner_group_{block}"
