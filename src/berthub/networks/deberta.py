"""DeBERTa v2 and v3 (He et al., 2020, https://arxiv.org/abs/2006.03654; 2021, https://arxiv.org/abs/2111.09543).

BERT's layers with disentangled attention: beside the products of the contents' queries and keys, scores come from those
of content and distance. The distances have an embedding, which all layers share, and fall into buckets.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar, get_args

from berthub.config import Activation, EncoderConfig, size_faults
from berthub.networks.bert import blocks_shapes
from berthub.networks.ops import Ops, Rows
from berthub.networks.parts import Block, Layers, Shapes, dense_shapes, embedding_shapes, mlm_shapes, norm_shapes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["ConvolutionActivation", "DebertaConfig", "distance_rows", "hidden_states", "weight_shapes"]

T = TypeVar("T")
W = TypeVar("W")

ConvolutionActivation = Literal["tanh"] | Activation
"""The activation after the convolution."""

_DISTANCES, _NORM = "bert/encoder/relative_position_embeddings", "bert/encoder/LayerNorm"
_CONVOLUTION, _CONVOLUTION_NORM = "bert/encoder/convolution/dense", "bert/encoder/convolution/LayerNorm"
_ACTIVATIONS = ("tanh", *get_args(Activation))
_SWITCHES = (
    "position_embeddings",
    "type_embeddings",
    "relative_attention",
    "content_to_position",
    "position_to_content",
    "shared_projections",
    "norm_distances",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DebertaConfig(EncoderConfig):
    """The settings of a DeBERTa, v2 or v3.

    `position_embeddings` and `type_embeddings` tell whether words have these added; without the latter, token types,
    which the tokenizer still tells apart, change nothing. With `relative_attention` there
    are embeddings of distances, normed with `norm_distances`. With `content_to_position` the queries are multiplied
    with keys that are made of them, with `position_to_content` the keys with queries; with `shared_projections` by the
    layers that make those of the contents. Both count in the scale of the attention.

    Distances count up to `max_distance`. With `position_buckets` so many embeddings are for each direction: half of
    them for one distance each, the others for ever more. `convolution` is the activation after the convolution of three
    words that is added to the first layer's output; None: there is no convolution.
    """

    architecture: ClassVar[str] = "deberta_v2"
    title: ClassVar[str] = "DeBERTa v2/v3"
    embedding_scopes: ClassVar[tuple[str, ...]] = ("bert/embeddings", _DISTANCES, _NORM)

    position_embeddings: bool
    type_embeddings: bool
    relative_attention: bool
    content_to_position: bool
    position_to_content: bool
    shared_projections: bool
    norm_distances: bool
    max_distance: int
    position_buckets: int | None
    convolution: ConvolutionActivation | None = None

    @property
    def directions(self) -> int:
        """How many rows of the embeddings of distances each direction has."""
        return self.position_buckets or self.max_distance

    def own_faults(self) -> list[str]:
        """What is wrong with the settings of disentangled attention."""
        faults = [
            f"{name} must be true or false, not {getattr(self, name)!r}"
            for name in _SWITCHES
            if not isinstance(getattr(self, name), bool)
        ]
        sizes = {"max_distance": 1 << 20} | ({} if self.position_buckets is None else {"position_buckets": 1 << 20})
        faults += size_faults(self, sizes)
        if self.convolution is not None and self.convolution not in _ACTIVATIONS:
            faults.append(f"convolution must be one of {', '.join(_ACTIVATIONS)} or null, not {self.convolution!r}")
        if faults:
            return faults
        if self.relative_attention and not (self.content_to_position or self.position_to_content):
            faults.append("relative_attention needs content_to_position, position_to_content or both")
        if self.position_buckets is not None and not 1 <= self.position_buckets // 2 < self.max_distance - 1:
            faults.append(
                f"position_buckets must be from 2 to {2 * self.max_distance - 3}, since max_distance is "
                f"{self.max_distance}, not {self.position_buckets}"
            )
        if self.pooler:
            faults.append("a DeBERTa has no pooler")
        return faults

    @property
    def attention_scale(self) -> float:
        """What attention scores are multiplied with: they are sums of up to three products."""
        products = 1 + self.content_to_position + self.position_to_content
        return float((self.head_size * products) ** -0.5)

    def uses_of(self, weight: str) -> int:
        """What is made of distances is the same for all texts."""
        return 0 if "/pos_" in weight else 1

    def attention_flops(self, length: int) -> int:
        """With the products of content and distance: a position has one with each vector that the length calls for."""
        added = (self.content_to_position + self.position_to_content) * self.relative_attention
        vectors = min(2 * length - 1, 2 * self.directions)
        return EncoderConfig.attention_flops(self, length) + 2 * added * vectors * self.attention_size


def weight_shapes(config: DebertaConfig) -> Shapes:
    """The weights' names and shapes; the names are BERT's, and transformers' for the projections of distances."""
    hidden = config.hidden_size
    shapes = embedding_shapes(
        config, width=hidden, positions=config.position_embeddings, types=config.type_embeddings
    ) | blocks_shapes(config)
    if config.relative_attention:
        shapes[_DISTANCES] = (2 * config.directions, hidden)
        if config.norm_distances:
            shapes |= norm_shapes(_NORM, hidden)
        if not config.shared_projections:
            for layer in range(config.num_layers):
                keys, queries = _projections(config, layer)
                shapes |= dense_shapes(keys, hidden, hidden) if config.content_to_position else {}
                shapes |= dense_shapes(queries, hidden, hidden) if config.position_to_content else {}
    if config.convolution is not None:
        shapes |= dense_shapes(_CONVOLUTION, 3 * hidden, hidden) | norm_shapes(_CONVOLUTION_NORM, hidden)
    return {**shapes, **mlm_shapes(config, embedding_size=hidden)}


def hidden_states(
    ops: Ops[T, W],
    config: DebertaConfig,
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
    embeddings = on.embeddings(
        ids, type_ids if config.type_embeddings else None, first=0 if config.position_embeddings else None
    )
    x, bias, distances = embeddings, ops.attention_bias(mask), None
    if config.relative_attention:
        distances = ops.table(weights[_DISTANCES])
        distances = on.norm(distances, _NORM) if config.norm_distances else distances
    rows = distance_rows(config)
    states = []
    for layer in range(layers):
        first = first_only and layer == layers - 1
        x = on.block(
            x,
            bias,
            Block.of_layer(layer),
            first_only=first,
            scale=config.attention_scale,
            scores=None
            if distances is None
            else _scores(on, config, layer, distances=distances, rows=rows, ids=ids, first_only=first),
        )
        if layer == 0 and config.convolution is not None:
            added = _convolution(on, config.convolution, embeddings, mask)
            x = on.norm(ops.add(x, ops.first_as_sequence(added) if first else added), _CONVOLUTION_NORM)
        states.append(x)
    return states


def distance_rows(config: DebertaConfig) -> Rows:
    """The row of the embeddings of distances for each distance: see `Rows`."""
    import numpy as np

    longest, span = config.max_positions, config.directions
    distances = -np.arange(1 - longest, longest + 1, dtype=np.int64)
    if config.position_buckets is not None:
        distances = _buckets(distances, config.position_buckets // 2, config.max_distance)
    rows: Rows = np.clip(distances + span, 0, 2 * span - 1).astype(np.int32)
    return rows


def _buckets(distances: "npt.NDArray[np.int64]", exact: int, most: int) -> "npt.NDArray[np.int64]":
    """The bucket of each distance: up to `exact` the distance, and then what grows with its logarithm."""
    import numpy as np

    far = np.abs(distances)

    # In float32, as the original: between two buckets rounding decides.
    relative = np.maximum(far, exact).astype(np.float32) / np.float32(exact)
    logs = _log(relative) / _log(np.array((most - 1) / exact, np.float32))
    steps = np.ceil(logs * np.float32(exact - 1)).astype(np.int64) + exact
    found: npt.NDArray[np.int64] = np.where(far <= exact, distances, steps * np.sign(distances))
    return found


def _log(x: "npt.NDArray[np.float32]") -> "npt.NDArray[np.float32]":
    import numpy as np

    # Rounded correctly, which NumPy's of float32 need not be.
    found: npt.NDArray[np.float32] = np.log(x.astype(np.float64)).astype(np.float32)
    return found


def _scores(
    on: Layers[T, W], config: DebertaConfig, layer: int, *, distances: T, rows: Rows, ids: T, first_only: bool
) -> Callable[[T, T], T]:
    """What makes the scores of content and distance from a layer's queries and keys."""
    distances = on.dropout(distances)
    to_keys, to_queries = _projections(config, layer)
    keys = on.table_dense(distances, to_keys) if config.content_to_position else None
    queries = on.table_dense(distances, to_queries) if config.position_to_content else None

    def scores(query: T, key: T) -> T:
        return on.ops.relative_scores(
            query,
            key,
            ids,
            rows,
            keys=keys,
            queries=queries,
            heads=config.num_heads,
            scale=config.attention_scale,
            first_only=first_only,
        )

    return scores


def _projections(config: DebertaConfig, layer: int) -> tuple[str, str]:
    """The scopes of the layers that make keys and queries of distances."""
    scope = Block.of_layer(layer).attention
    if config.shared_projections:
        return f"{scope}/key", f"{scope}/query"
    return f"{scope}/pos_key", f"{scope}/pos_query"


def _convolution(on: Layers[T, W], activation: ConvolutionActivation, x: T, mask: T) -> T:
    """A convolution of each word with its two neighbours; its kernel is for the next, the word, the previous one."""
    x = on.dropout(on.dense(on.ops.neighbours(on.ops.masked(x, mask)), _CONVOLUTION))
    return on.ops.tanh(x) if activation == "tanh" else on.ops.activation(x, activation)
