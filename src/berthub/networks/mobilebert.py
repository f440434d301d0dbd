"""MobileBERT (Sun et al., 2020, https://arxiv.org/abs/2004.02984): thin layers between bottlenecks.

A word's embedding is made of those of three neighbouring pieces. The last layer of a text thus sees one piece of
padding, as in the original.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar, get_args

from berthub.config import EncoderConfig, size_faults
from berthub.networks.ops import Ops
from berthub.networks.parts import Layers, Shapes, dense_shapes, mlm_shapes, norm_shapes, pooler_shapes

__all__ = ["MobileBertConfig", "Normalization", "hidden_states", "weight_shapes"]

T = TypeVar("T")
W = TypeVar("W")

Normalization = Literal["layer_norm", "no_norm"]
"""`no_norm` is a scale and a shift, without mean and variance (section 3.3 of the paper)."""

_PROJECTION = "bert/embeddings/embedding_transformation"


@dataclass(frozen=True, kw_only=True, slots=True)
class MobileBertConfig(EncoderConfig):
    """The settings of a MobileBERT.

    `bottleneck_size` is the width between the bottlenecks, `num_feedforward` how many feed-forward networks a layer
    has. `shared_bottleneck`: queries and keys are made from a bottleneck of their own, and values from the layer's
    input; `bottleneck_attention`: all three are made from the layer's bottleneck; neither: all from its input.
    """

    architecture: ClassVar[str] = "mobilebert"
    title: ClassVar[str] = "MobileBERT"
    width_of_heads: ClassVar[str] = "bottleneck_size"
    pools_first_token: ClassVar[bool] = True
    embeddings_are_state: ClassVar[bool] = True
    sees_padding: ClassVar[bool] = True

    embedding_size: int
    bottleneck_size: int
    num_feedforward: int
    shared_bottleneck: bool = True
    bottleneck_attention: bool
    normalization: Normalization = "no_norm"

    def own_faults(self) -> list[str]:
        """What is wrong with the settings of the bottlenecks."""
        faults = size_faults(self, {"embedding_size": 1 << 16, "bottleneck_size": 1 << 16, "num_feedforward": 1 << 10})
        if not faults and self.num_layers * self.num_feedforward > 1 << 12:
            faults.append(
                f"num_layers {self.num_layers} times num_feedforward {self.num_feedforward} are more than {1 << 12:,}"
            )
        for name in ("shared_bottleneck", "bottleneck_attention"):
            if not isinstance(getattr(self, name), bool):
                faults.append(f"{name} must be true or false, not {getattr(self, name)!r}")
        if self.normalization not in get_args(Normalization):
            faults.append(f"normalization must be layer_norm or no_norm, not {self.normalization!r}")
        return faults


def weight_shapes(config: MobileBertConfig) -> Shapes:
    """The weights' names and shapes; the names are those of Google's release (https://github.com/google-research/google-research/tree/master/mobilebert).

    But NoNorm is called LayerNorm, too (there: FakeLayerNorm), and the last of the feed-forward networks is counted
    like the others. The masked-language-model head is that of TensorFlow's Model Garden, which leads to the width of
    the embeddings; that of the release has weights of its own for the rest of the width.
    """
    hidden, thin, inner = config.hidden_size, config.bottleneck_size, config.intermediate_size
    shapes: Shapes = {
        "bert/embeddings/word_embeddings": (config.vocab_size, config.embedding_size),
        "bert/embeddings/position_embeddings": (config.max_positions, hidden),
        "bert/embeddings/token_type_embeddings": (config.type_vocab_size, hidden),
        **dense_shapes(_PROJECTION, 3 * config.embedding_size, hidden),
        **norm_shapes("bert/embeddings/LayerNorm", hidden),
    }
    value = thin if config.bottleneck_attention else hidden
    query = thin if config.bottleneck_attention or config.shared_bottleneck else hidden
    for layer in range(config.num_layers):
        scope = f"bert/encoder/layer_{layer}"
        shapes |= dense_shapes(f"{scope}/bottleneck/input/dense", hidden, thin)
        shapes |= norm_shapes(f"{scope}/bottleneck/input/LayerNorm", thin)
        if config.shared_bottleneck:
            shapes |= dense_shapes(f"{scope}/bottleneck/attention/dense", hidden, thin)
            shapes |= norm_shapes(f"{scope}/bottleneck/attention/LayerNorm", thin)
        for part, width in (("query", query), ("key", query), ("value", value)):
            shapes |= dense_shapes(f"{scope}/attention/self/{part}", width, thin)
        shapes |= dense_shapes(f"{scope}/attention/output/dense", thin, thin)
        shapes |= norm_shapes(f"{scope}/attention/output/LayerNorm", thin)
        for index in range(config.num_feedforward):
            shapes |= dense_shapes(f"{scope}/ffn_layer_{index}/intermediate/dense", thin, inner)
            shapes |= dense_shapes(f"{scope}/ffn_layer_{index}/output/dense", inner, thin)
            shapes |= norm_shapes(f"{scope}/ffn_layer_{index}/output/LayerNorm", thin)
        shapes |= dense_shapes(f"{scope}/output/bottleneck/dense", thin, hidden)
        shapes |= norm_shapes(f"{scope}/output/bottleneck/LayerNorm", hidden)
    return {**shapes, **pooler_shapes(config), **mlm_shapes(config, embedding_size=config.embedding_size)}


def hidden_states(
    ops: Ops[T, W],
    config: MobileBertConfig,
    weights: Mapping[str, W],
    *,
    ids: T,
    mask: T,
    type_ids: T,
    layers: int,
    first_only: bool = False,
) -> list[T]:
    """The embeddings, then the token vectors after each layer: see `berthub.networks.network.hidden_states`."""
    on = Layers(ops, config, weights)

    def norm(x: T, scope: str) -> T:
        if config.normalization == "layer_norm":
            return on.norm(x, scope)
        return ops.scale_shift(x, weights[f"{scope}/gamma"], weights[f"{scope}/beta"])

    words = ops.gather(weights["bert/embeddings/word_embeddings"], ids)
    types = ops.gather(weights["bert/embeddings/token_type_embeddings"], type_ids)
    positions = ops.leading_rows(weights["bert/embeddings/position_embeddings"], ids)
    words = on.dense(ops.neighbours(words), _PROJECTION)
    x = on.dropout(norm(ops.add(ops.add(words, positions), types), "bert/embeddings/LayerNorm"))
    bias = ops.attention_bias(mask)
    states = [x]
    for layer in range(layers - 1):
        scope = f"bert/encoder/layer_{layer}"
        attention, into, apart = (
            f"{scope}/{part}" for part in ("attention/self", "bottleneck/input", "bottleneck/attention")
        )
        first_only_here = first_only and layer == layers - 2
        if config.shared_bottleneck and not config.bottleneck_attention:
            thin, shared = on.dense_group(x, f"{into}/dense", f"{apart}/dense")
            thin, shared = norm(thin, f"{into}/LayerNorm"), norm(shared, f"{apart}/LayerNorm")
            # Query and key have one input, too. As a group they would share one scale in int8, and its numbers change.
            key, value = on.dense(shared, f"{attention}/key"), on.dense(x, f"{attention}/value")
            query = on.dense(ops.first_as_sequence(shared) if first_only_here else shared, f"{attention}/query")
        else:
            thin = norm(on.dense(x, f"{into}/dense"), f"{into}/LayerNorm")
            source = thin if config.bottleneck_attention else x
            first = ops.first_as_sequence(source) if first_only_here else None
            query, key, value = on.query_key_value(source, attention, first=first)
        if first_only_here:
            x, thin = ops.first_as_sequence(x), ops.first_as_sequence(thin)
        context = ops.attention(query, key, value, bias, heads=config.num_heads, dropout=config.attention_dropout)
        attended = on.dense(context, f"{scope}/attention/output/dense")
        thin = norm(ops.add(attended, thin), f"{scope}/attention/output/LayerNorm")
        for index in range(config.num_feedforward):
            feed = f"{scope}/ffn_layer_{index}"
            inner = on.activation(on.dense(thin, f"{feed}/intermediate/dense"))
            thin = norm(ops.add(on.dense(inner, f"{feed}/output/dense"), thin), f"{feed}/output/LayerNorm")
        wide = on.dropout(on.dense(thin, f"{scope}/output/bottleneck/dense"))
        x = norm(ops.add(wide, x), f"{scope}/output/bottleneck/LayerNorm")
        states.append(x)
    return states
