"""Which weight an operation was given: operations see arrays, and names are known to the checkpoint."""

from typing import Any

from berthub.checkpoint import Weights
from berthub.engines.engine import Floats

__all__ = ["Place", "names", "place"]

Place = tuple[Any, ...]


def place(array: Floats) -> Place:
    """Where an array lies, and how: what tells a weight from all others of a checkpoint."""
    return array.__array_interface__["data"][0], array.shape, array.strides


def names(weights: Weights) -> dict[Place, str]:
    """The names of weights, by their places."""
    return {place(weight): name for name, weight in weights.items()}
