"""What several architectures are built of: layers by the scope of their weights, and the heads."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from berthub.config import EncoderConfig
from berthub.networks.ops import Ops

__all__ = ["Layers", "Shapes", "attention_shapes", "dense_shapes", "mlm_shapes", "norm_shapes", "pooler_shapes"]

T = TypeVar("T")
W = TypeVar("W")

Shapes = dict[str, tuple[int, ...]]
"""Weights by their canonical names."""

POOLER = "bert/pooler/dense"
PREDICTIONS = "cls/predictions"


class Layers(Generic[T, W]):
    """Layers on one backend: each is named by the scope that its weights have."""

    def __init__(self, ops: Ops[T, W], config: EncoderConfig, weights: Mapping[str, W]) -> None:
        self.ops = ops
        self.config = config
        self.weights = weights

    def dense(self, x: T, scope: str) -> T:
        """A dense layer: [..., in] to [..., out]."""
        return self.ops.dense(x, self.weights[f"{scope}/kernel"], self.weights[f"{scope}/bias"])

    def norm(self, x: T, scope: str) -> T:
        """A layer norm."""
        gamma, beta = self.weights[f"{scope}/gamma"], self.weights[f"{scope}/beta"]
        return self.ops.layer_norm(x, gamma, beta, eps=self.config.layer_norm_eps)

    def activation(self, x: T) -> T:
        """The model's activation."""
        return self.ops.activation(x, self.config.activation)

    def dropout(self, x: T) -> T:
        """The dropout of hidden states."""
        return self.ops.dropout(x, self.config.hidden_dropout)

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


def dense_shapes(scope: str, inputs: int, outputs: int) -> Shapes:
    """Of a dense layer."""
    return {f"{scope}/kernel": (inputs, outputs), f"{scope}/bias": (outputs,)}


def norm_shapes(scope: str, width: int) -> Shapes:
    """Of a layer norm."""
    return {f"{scope}/gamma": (width,), f"{scope}/beta": (width,)}


def attention_shapes(scope: str, *, width: int, inner: int) -> Shapes:
    """Of a self-attention without its output layer, on vectors `width` wide."""
    return {
        name: shape
        for part in ("query", "key", "value")
        for name, shape in dense_shapes(f"{scope}/{part}", width, inner).items()
    }


def pooler_shapes(config: EncoderConfig) -> Shapes:
    """Of the pooler, if there is one."""
    return dense_shapes(POOLER, config.hidden_size, config.hidden_size) if config.pooler else {}


def mlm_shapes(config: EncoderConfig, *, embedding_size: int) -> Shapes:
    """Of the masked-language-model head, if there is one."""
    if not config.mlm:
        return {}
    return {
        **dense_shapes(f"{PREDICTIONS}/transform/dense", config.hidden_size, embedding_size),
        **norm_shapes(f"{PREDICTIONS}/transform/LayerNorm", embedding_size),
        f"{PREDICTIONS}/output_bias": (config.vocab_size,),
    }
