"""ALBERT's weights in other formats: from BERT's names, with an identity projection, to Google's names and back."""

import dataclasses
from typing import Any

import numpy as np

from berthub.errors import UnsupportedModelError
from berthub.networks.albert import AlbertConfig, block
from berthub.networks.parts import Block

__all__ = ["FIRST_BLOCK", "PROJECTION", "part_in_albert", "with_identity", "without_identity"]

PROJECTION = "bert/encoder/embedding_hidden_mapping_in"
"""The scope of the projection after the embeddings."""

FIRST_BLOCK = "bert/encoder/transformer/group_0/inner_group_0/"
"""The prefix of the names of the first block, which every ALBERT has."""

_BERT_LAYER = "bert/encoder/layer_0/"
# Of BERT's layer -> of ALBERT's block.
_PARTS = {
    str(ours).removeprefix(_BERT_LAYER): str(theirs).removeprefix(FIRST_BLOCK)
    for ours, theirs in zip(dataclasses.astuple(Block.of_layer(0)), dataclasses.astuple(block(0, 0)), strict=True)
}


def part_in_albert(name: str) -> str:
    """Translate a name within a BERT layer, such as output/dense/kernel, to the name within an ALBERT block."""
    return next(new + name.removeprefix(old) for old, new in _PARTS.items() if f"{name}/".startswith(f"{old}/"))


def with_identity(weights: dict[str, Any], config: AlbertConfig) -> dict[str, Any]:
    """Add an identity projection where the embeddings are as wide as the layers."""
    return weights | _identity(config) if config.embedding_size == config.hidden_size else weights


def without_identity(weights: dict[str, Any], config: AlbertConfig, source: str) -> dict[str, Any]:
    """Remove the identity projection, which Google's code lacks, where the embeddings are as wide as the layers.

    One that does change something raises `UnsupportedModelError`.
    """
    if config.embedding_size != config.hidden_size:
        return weights
    for name, expected in _identity(config).items():
        if name in weights and not np.array_equal(weights[name], expected):
            raise UnsupportedModelError(
                f"{source} projects embeddings that are as wide as the layers ({config.hidden_size}); "
                "an ALBERT has that projection only where the widths differ"
            )
    return {name: weight for name, weight in weights.items() if not name.startswith(PROJECTION)}


def _identity(config: AlbertConfig) -> dict[str, Any]:
    return {
        f"{PROJECTION}/kernel": np.eye(config.hidden_size, dtype=np.float32),
        f"{PROJECTION}/bias": np.zeros(config.hidden_size, np.float32),
    }
