"""The projection behind ALBERT's embeddings, which some packagings have even where it changes no width."""

from typing import Any

import numpy as np

from berthub.errors import UnsupportedModelError
from berthub.networks.albert import AlbertConfig

__all__ = ["PROJECTION", "identity", "without_identity"]

PROJECTION = "bert/encoder/embedding_hidden_mapping_in"


def identity(config: AlbertConfig) -> dict[str, Any]:
    """The projection that changes nothing, float32 [hidden, hidden], by its canonical names."""
    return {
        f"{PROJECTION}/kernel": np.eye(config.hidden_size, dtype=np.float32),
        f"{PROJECTION}/bias": np.zeros(config.hidden_size, np.float32),
    }


def without_identity(weights: dict[str, Any], config: AlbertConfig, *, source: str) -> dict[str, Any]:
    """The weights as Google's code has them: without a projection where the embeddings are as wide as the layers.

    One that does change something raises `UnsupportedModelError`.
    """
    if config.embedding_size != config.hidden_size:
        return weights
    for name, expected in identity(config).items():
        if name in weights and not np.array_equal(weights[name], expected):
            raise UnsupportedModelError(
                f"{source} projects embeddings that are as wide as the layers ({config.hidden_size}); "
                "an ALBERT has that projection only where the widths differ"
            )
    return {name: weight for name, weight in weights.items() if not name.startswith(PROJECTION)}
