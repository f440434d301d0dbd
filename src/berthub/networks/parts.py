"""Layers that several architectures share, called by the scope of their weights, and the shapes of these."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from berthub.config import EncoderConfig
from berthub.networks.ops import Dense, Ops

__all__ = [
    "MLM_HEAD",
    "Block",
    "Layers",
    "Shapes",
    "attention_shapes",
    "block_shapes",
    "dense_shapes",
    "embedding_shapes",
    "gate_of_layer",
    "mlm_shapes",
    "norm_shapes",
    "pooler_shapes",
    "without_biases",
]

T = TypeVar("T")
W = TypeVar("W")

Shapes = dict[str, tuple[int, ...]]
"""The shapes of weights, by their canonical names."""

POOLER = "bert/pooler/dense"
PREDICTIONS = "cls/predictions"


@dataclass(frozen=True)
class Block:
    """The scopes of one block: `attention` with query, key and value, what follows it, and the feed-forward layers."""

    attention: str
    attended: str
    attended_norm: str
    inner: str
    outer: str
    outer_norm: str

    @classmethod
    def of_layer(cls, layer: int) -> "Block":
        """The scopes of a layer's block in BERT's names."""
        scope = f"bert/encoder/layer_{layer}"
        return cls(
            attention=f"{scope}/attention/self",
            attended=f"{scope}/attention/output/dense",
            attended_norm=f"{scope}/attention/output/LayerNorm",
            inner=f"{scope}/intermediate/dense",
            outer=f"{scope}/output/dense",
            outer_norm=f"{scope}/output/LayerNorm",
        )


def gate_of_layer(layer: int) -> str:
    """The scope of the dense layer whose output multiplies the activations of the inner one."""
    return f"bert/encoder/layer_{layer}/intermediate/gate"


class Layers(Generic[T, W]):
    """The layers of a network on one backend, called by the scope of their weights."""

    def __init__(self, ops: Ops[T, W], config: EncoderConfig, weights: Mapping[str, W]) -> None:
        self.ops = ops
        self.config = config
        self.weights = weights

    def dense(self, x: T, scope: str) -> T:
        """A dense layer: [..., in] to [..., out]."""
        return self.ops.dense(x, self._dense(scope))

    def table_dense(self, x: T, scope: str) -> T:
        """A dense layer on vectors of a table: [1, n, in] to [1, n, out]."""
        return self.ops.table_dense(x, self._dense(scope))

    def dense_group(self, x: T, *scopes: str) -> tuple[T, ...]:
        """The output of each of several dense layers on the same input."""
        return self.ops.dense_group(x, [self._dense(scope) for scope in scopes])

    def query_key_value(self, x: T, scope: str, *, first: T | None) -> tuple[T, T, T]:
        """The query, key and value of self-attention, [b, s, h] each, from `x` [b, s, h].

        With `first` [b, 1, h], the first position of `x`, the query is made from that alone.
        """
        query, key, value = (f"{scope}/{part}" for part in ("query", "key", "value"))
        if first is None:
            queries, keys, values = self.dense_group(x, query, key, value)
        else:
            keys, values = self.dense_group(x, key, value)
            queries = self.dense(first, query)
        return queries, keys, values

    def norm(self, x: T, scope: str) -> T:
        """A layer norm: [..., h] to [..., h]."""
        gamma, beta = self.weights[f"{scope}/gamma"], self.weights.get(f"{scope}/beta")
        return self.ops.layer_norm(x, gamma, beta, eps=self.config.layer_norm_eps)

    def activation(self, x: T) -> T:
        """The model's activation."""
        return self.ops.activation(x, self.config.activation)

    def dropout(self, x: T) -> T:
        """The dropout of hidden states."""
        return self.ops.dropout(x, self.config.hidden_dropout)

    def embeddings(self, ids: T, type_ids: T | None, *, first: int | None = 0) -> T:
        """Words, positions (from row `first` on) and token types, summed and normed: [b, s] to [b, s, h].

        None stands for a model without an embedding of token types, or of positions.
        """
        x = self.ops.gather(self.weights["bert/embeddings/word_embeddings"], ids)
        if first is not None:
            table = self.weights["bert/embeddings/position_embeddings"]
            x = self.ops.add(x, self.ops.leading_rows(table, ids, first=first))
        if type_ids is not None:
            x = self.ops.add(x, self.ops.gather(self.weights["bert/embeddings/token_type_embeddings"], type_ids))
        return self.dropout(self.norm(x, "bert/embeddings/LayerNorm"))

    def block(
        self,
        x: T,
        bias: T,
        block: Block,
        *,
        first_only: bool,
        mixing: tuple[W, W] | None = None,
        gate: str | None = None,
        scale: float | None = None,
        scores: Callable[[T, T], T] | None = None,
        rotate: Callable[[T], T] | None = None,
        inner_dropout: float = 0.0,
    ) -> T:
        """Attention and feed-forward layer, each added to its input and normed: [b, s, h] to [b, s, h].

        `mixing` and `scale` are those of `Ops.attention`, and `scores` makes those from queries and keys. `rotate`
        turns queries and keys by their positions. `gate` is the scope of a dense layer that inner activations are
        multiplied with; on the product falls `inner_dropout`. With `first_only` only the first position is computed,
        [b, 1, h].
        """
        ops, config = self.ops, self.config
        first = ops.first_as_sequence(x) if first_only else None
        query, key, value = self.query_key_value(x, block.attention, first=first)
        if rotate is not None:
            # The first position turns by nothing.
            query, key = query if first_only else rotate(query), rotate(key)
        x = x if first is None else first
        context = ops.attention(
            query,
            key,
            value,
            bias,
            heads=config.num_heads,
            dropout=config.attention_dropout,
            mixing=mixing,
            scale=scale,
            scores=None if scores is None else scores(query, key),
        )
        x = self.norm(ops.add(self.dropout(self.dense(context, block.attended)), x), block.attended_norm)
        if gate is None:
            inner = self.activation(self.dense(x, block.inner))
        else:
            inner, factor = self.dense_group(x, block.inner, gate)
            inner = ops.dropout(ops.multiply(self.activation(inner), factor), inner_dropout)
        return self.norm(ops.add(self.dropout(self.dense(inner, block.outer)), x), block.outer_norm)

    def pooled(self, x: T) -> T:
        """The pooler: a dense layer with tanh on the first position's vector, [b, s, h] to [b, h]."""
        return self.ops.tanh(self.dense(self.ops.first(x), POOLER))

    def mlm_logits(self, x: T) -> T:
        """The masked-language-model head: [b, p, h] to [b, p, vocabulary]; its output layer is the embedding table."""
        x = self.norm(
            self.activation(self.dense(x, f"{PREDICTIONS}/transform/dense")), f"{PREDICTIONS}/transform/LayerNorm"
        )
        table, bias = self.weights["bert/embeddings/word_embeddings"], self.weights[f"{PREDICTIONS}/output_bias"]
        return self.ops.tied_dense(x, table, bias)

    def _dense(self, scope: str) -> Dense[W]:
        return Dense(scope, self.weights[f"{scope}/kernel"], self.weights.get(f"{scope}/bias"))


def dense_shapes(scope: str, inputs: int, outputs: int) -> Shapes:
    """The shapes of a dense layer's kernel and bias."""
    return {f"{scope}/kernel": (inputs, outputs), f"{scope}/bias": (outputs,)}


def norm_shapes(scope: str, width: int) -> Shapes:
    """The shapes of a layer norm's gamma and beta."""
    return {f"{scope}/gamma": (width,), f"{scope}/beta": (width,)}


def attention_shapes(scope: str, *, width: int, inner: int) -> Shapes:
    """The shapes of the query, key and value layers of a self-attention, from vectors `width` wide to `inner` wide."""
    return {
        name: shape
        for part in ("query", "key", "value")
        for name, shape in dense_shapes(f"{scope}/{part}", width, inner).items()
    }


def embedding_shapes(
    config: EncoderConfig, *, width: int, skipped: int = 0, positions: bool = True, types: bool = True
) -> Shapes:
    """The shapes of the embedding tables (positions with `skipped` rows before the first) and of their layer norm."""
    return {
        "bert/embeddings/word_embeddings": (config.vocab_size, width),
        **({"bert/embeddings/position_embeddings": (skipped + config.max_positions, width)} if positions else {}),
        **({"bert/embeddings/token_type_embeddings": (config.type_vocab_size, width)} if types else {}),
        **norm_shapes("bert/embeddings/LayerNorm", width),
    }


def block_shapes(config: EncoderConfig, block: Block) -> Shapes:
    """The shapes of one block's weights."""
    hidden, inner = config.hidden_size, config.intermediate_size
    return {
        **attention_shapes(block.attention, width=hidden, inner=hidden),
        **dense_shapes(block.attended, hidden, hidden),
        **norm_shapes(block.attended_norm, hidden),
        **dense_shapes(block.inner, hidden, inner),
        **dense_shapes(block.outer, inner, hidden),
        **norm_shapes(block.outer_norm, hidden),
    }


def pooler_shapes(config: EncoderConfig) -> Shapes:
    """The shapes of the pooler's weights; none where the model has no pooler."""
    return dense_shapes(POOLER, config.hidden_size, config.hidden_size) if config.pooler else {}


def mlm_shapes(config: EncoderConfig, *, embedding_size: int) -> Shapes:
    """The shapes of the masked-language-model head's own weights; none where the model has no such head."""
    if not config.mlm:
        return {}
    return _mlm_shapes(config.hidden_size, embedding_size, config.vocab_size)


def without_biases(shapes: Shapes) -> Shapes:
    """The shapes without those of dense layers' biases and of layer norms' betas."""
    return {name: shape for name, shape in shapes.items() if not name.endswith(("/bias", "/beta"))}


def _mlm_shapes(hidden: int, embedding_size: int, vocabulary: int) -> Shapes:
    return {
        **dense_shapes(f"{PREDICTIONS}/transform/dense", hidden, embedding_size),
        **norm_shapes(f"{PREDICTIONS}/transform/LayerNorm", embedding_size),
        f"{PREDICTIONS}/output_bias": (vocabulary,),
    }


MLM_HEAD = frozenset(_mlm_shapes(1, 1, 1))
"""The names of the masked-language-model head's own weights."""
