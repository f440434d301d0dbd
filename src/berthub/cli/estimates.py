"""Estimates of a model's size and of its cost, from its configuration alone."""

import math

from berthub.config import EncoderConfig
from berthub.networks.bert import BertConfig
from berthub.networks.network import weight_shapes

__all__ = ["BERT_BASE", "BYTES", "LENGTH", "flops_per_token", "parameters_by_part", "peak_bytes", "relative_cost"]

BYTES = 4
"""The size of a float32."""
LENGTH = 128
"""The length in tokens at which costs are compared: what TF Hub's preprocessing models pad to."""

BERT_BASE = BertConfig(
    vocab_size=30522,
    hidden_size=768,
    num_layers=12,
    num_heads=12,
    intermediate_size=3072,
    max_positions=512,
    type_vocab_size=2,
    activation="gelu_tanh",
    layer_norm_eps=1e-12,
    lower_case=True,
)
"""The configuration of BERT-base, with which other models are compared."""

# Measured with the OpenVINO engine on Linux: Python, the libraries, and an idle engine.
_PROCESS = 140 << 20
# Tokens of a batch (the limits of the OpenVINO engine), and how many batches are computed at a time on two cores.
_BATCH, _IN_FLIGHT = 1024, 2
# What the engine keeps for each shape of a batch, in units of one batch's activations.
_SHAPES = 5


def parameters_by_part(config: EncoderConfig) -> dict[str, int]:
    """The number of parameters of the embeddings, layers, pooler and mlm_head; those that it does not have are 0."""
    parts = dict.fromkeys(("embeddings", "layers", "pooler", "mlm_head"), 0)
    for name, shape in weight_shapes(config).items():
        parts[_part(config, name)] += math.prod(shape)
    return parts


def flops_per_token(config: EncoderConfig) -> int:
    """The floating-point operations per token in texts of `LENGTH` tokens: the matrix products of the encoder.

    A kernel [in, out] takes 2 * in * out of them, once for each layer that it is used in, that of the pooler once for
    a text; attention takes 4 * LENGTH * width a layer, and mixing talking heads 4 * LENGTH * heads^2.
    """
    shapes = weight_shapes(config)
    total = sum(_kernel_flops(config, name, shape) for name, shape in shapes.items())
    return round(total + config.num_blocks * config.attention_flops(LENGTH))


def relative_cost(config: EncoderConfig) -> float:
    """The operations per token, as a multiple of those of BERT-base."""
    return flops_per_token(config) / flops_per_token(BERT_BASE)


def peak_bytes(config: EncoderConfig) -> int:
    """An estimate of the most memory that a process takes which encodes with OpenVINO in float32.

    The embeddings are mapped from their file, the engine keeps the layers in an order of its own, and batches are
    under way.
    """
    weights = BYTES * sum(parameters_by_part(config).values())
    activations = BYTES * _BATCH * (config.intermediate_size + 2 * config.hidden_size)
    return _PROCESS + weights + (_IN_FLIGHT + _SHAPES) * activations


def _part(config: EncoderConfig, name: str) -> str:
    begins = {"mlm_head": ("cls/",), "pooler": ("bert/pooler/",), "embeddings": config.embedding_scopes}
    # All other names are those of the layers.
    return next((part for part, beginnings in begins.items() if name.startswith(beginnings)), "layers")


def _kernel_flops(config: EncoderConfig, name: str, shape: tuple[int, ...]) -> float:
    part = _part(config, name)
    if not name.endswith("/kernel") or part == "mlm_head":
        return 0
    uses = 1 / LENGTH if part == "pooler" else config.uses_of(name)
    return 2 * math.prod(shape) * uses
