"""Count the floating-point operations of texts, to compare a system's speed with the processor's."""

from collections.abc import Sequence
from typing import Any


def flops(config: dict[str, Any], lengths: Sequence[int]) -> float:
    """The operations of all layers for texts of these lengths; a multiplication and an addition count as two.

    The matrix products of the dense layers with their weights, and those of attention at the texts' own lengths. The
    pooler, the norms and the activations are left out (well under 1%), and so is padding. Nothing is taken off for a
    system that finds out that pooled output needs only a part of the last layer.
    """
    hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    # Query, key, value and output; and the two of the feed-forward network.
    weights = 4 * hidden * hidden + 2 * hidden * inner
    # Queries with keys, and weights with values.
    attention = 2 * 2 * hidden * sum(length * length for length in lengths)
    return layers * (2.0 * weights * sum(lengths) + attention)
