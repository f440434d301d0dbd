"""ModernBERT (Warner et al., 2024, https://arxiv.org/abs/2412.13663).

Positions are rotary, and most layers see the tokens nearby alone. The feed-forward layers are gated, norms come before
what they norm, and only the masked-language-model head's output has a bias.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from berthub.config import EncoderConfig, size_faults
from berthub.networks.ops import Ops
from berthub.networks.parts import Block, Layers, Shapes, gate_of_layer, mlm_shapes, without_biases
from berthub.networks.rotary import rotation, rotation_faults

__all__ = ["ModernBertConfig", "hidden_states", "weight_shapes"]

T = TypeVar("T")
W = TypeVar("W")

_FINAL_NORM = "bert/encoder/final/LayerNorm"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModernBertConfig(EncoderConfig):
    """The settings of a ModernBERT.

    Every `global_every`-th layer, the first of all included, sees the whole text, and rotates by `global_theta`. The
    others see `local_attention // 2` positions to either side, and rotate by `local_theta`. `hidden_dropout` is that
    within the feed-forward layers; `attention_dropout` also falls on what comes out of attention.
    """

    architecture: ClassVar[str] = "modernbert"
    title: ClassVar[str] = "ModernBERT"

    global_every: int = 3
    local_attention: int = 128
    global_theta: float = 160_000.0
    local_theta: float = 10_000.0
    embedding_dropout: float = 0.0

    def own_faults(self) -> list[str]:
        """What is wrong with the settings of attention and its rotations."""
        faults = size_faults(self, {"global_every": 1 << 10, "local_attention": 1 << 20})
        if not faults and self.pooler:
            faults.append("pooler must be false: a ModernBERT has none")
        if not isinstance(self.embedding_dropout, int | float) or not 0 <= self.embedding_dropout < 1:
            faults.append(f"embedding_dropout must be at least 0 and less than 1, not {self.embedding_dropout!r}")
        return faults + rotation_faults(self, global_theta=self.global_theta, local_theta=self.local_theta)

    def is_global(self, layer: int) -> bool:
        """Whether a layer sees the whole text."""
        return layer % self.global_every == 0


def weight_shapes(config: ModernBertConfig) -> Shapes:
    """The weights' names and shapes; the names are BERT's as far as it has their like.

    transformers has query, key and value in one kernel, and the two inner layers in another.
    """
    hidden, inner = config.hidden_size, config.intermediate_size
    shapes: Shapes = {
        "bert/embeddings/word_embeddings": (config.vocab_size, hidden),
        "bert/embeddings/LayerNorm/gamma": (hidden,),
    }
    for layer in range(config.num_layers):
        block = Block.of_layer(layer)
        if layer > 0:
            shapes[f"{block.attended_norm}/gamma"] = (hidden,)
        shapes |= {f"{block.attention}/{part}/kernel": (hidden, hidden) for part in ("query", "key", "value")}
        shapes[f"{block.attended}/kernel"] = (hidden, hidden)
        shapes[f"{block.outer_norm}/gamma"] = (hidden,)
        shapes |= {f"{scope}/kernel": (hidden, inner) for scope in (block.inner, gate_of_layer(layer))}
        shapes[f"{block.outer}/kernel"] = (inner, hidden)
    shapes[f"{_FINAL_NORM}/gamma"] = (hidden,)
    return {**shapes, **without_biases(mlm_shapes(config, embedding_size=hidden))}


def hidden_states(
    ops: Ops[T, W],
    config: ModernBertConfig,
    weights: Mapping[str, W],
    *,
    ids: T,
    mask: T,
    type_ids: T,
    layers: int,
    first_only: bool = False,
) -> list[T]:
    """The token vectors after each layer, the last of all normed: see `berthub.networks.network.hidden_states`."""
    on = Layers(ops, config, weights)
    x = on.norm(ops.gather(weights["bert/embeddings/word_embeddings"], ids), "bert/embeddings/LayerNorm")
    x = ops.dropout(x, config.embedding_dropout)
    bias = ops.attention_bias(mask)
    far = rotation(ops, config, ids, theta=config.global_theta)
    near = rotation(ops, config, ids, theta=config.local_theta)
    window = config.local_attention // 2
    near_bias = ops.local_bias(bias, window=window, first_only=False)
    states = []
    for layer in range(layers):
        block = Block.of_layer(layer)
        normed = x if layer == 0 else on.norm(x, block.attended_norm)
        first = None
        if first_only and layer == layers - 1:
            x, first = ops.first_as_sequence(x), ops.first_as_sequence(normed)
        rotate, seen = (far, bias) if config.is_global(layer) else (near, near_bias)
        query, key, value = on.query_key_value(normed, block.attention, first=first)
        if first is None:
            query = rotate(query)
        elif not config.is_global(layer):
            # The first position turns by nothing.
            seen = ops.local_bias(bias, window=window, first_only=True)
        context = ops.attention(
            query, rotate(key), value, seen, heads=config.num_heads, dropout=config.attention_dropout
        )
        x = ops.add(x, ops.dropout(on.dense(context, block.attended), config.attention_dropout))
        inner, factor = on.dense_group(on.norm(x, block.outer_norm), block.inner, gate_of_layer(layer))
        inner = on.dropout(ops.multiply(on.activation(inner), factor))
        x = ops.add(x, on.dense(inner, block.outer))
        states.append(x)
    if layers == config.num_layers:
        states[-1] = on.norm(states[-1], _FINAL_NORM)
    return states
