"""How alike vectors are, as sentence-transformers computes it."""

from typing import Any

import numpy as np

from berthub.choices import Similarity
from berthub.engines.engine import Floats
from berthub.errors import InputError
from berthub.vector_layers import unit_length

__all__ = ["similarity", "similarity_pairwise"]

# How many differences of components are held at a time.
_DIFFERENCES = 1 << 24


def similarity(vectors: Any, others: Any, function: Similarity) -> Floats:
    """Each of `vectors` [n, width] with each of `others` [m, width]: float32 [n, m], the larger the more alike.

    cosine and dot; euclidean and manhattan are distances, negative. One vector [width] counts as a list of one.
    `InputError` for arrays of other shapes.
    """
    first, second = _matrix(vectors, "the first"), _matrix(others, "the second")
    if first.shape[1] != second.shape[1]:
        raise InputError(f"the vectors have {first.shape[1]} components, and the others {second.shape[1]}")
    match function:
        case "cosine":
            return unit_length(first) @ unit_length(second).T
        case "dot":
            return first @ second.T
        case "euclidean" | "manhattan":
            step = max(1, _DIFFERENCES // max(1, second.size))
            parts = [
                _distance(first[start : start + step, None] - second[None], function)
                for start in range(0, len(first), step)
            ]
            return np.concatenate([np.zeros((0, len(second)), np.float32), *parts])


def similarity_pairwise(vectors: Any, others: Any, function: Similarity) -> Floats:
    """Each of `vectors` [n, width] with the one in its place among `others` [n, width]: float32 [n]."""
    first, second = _matrix(vectors, "the first"), _matrix(others, "the second")
    if first.shape != second.shape:
        raise InputError(f"the vectors are of shape {first.shape}, and the others of {second.shape}: not pairs")
    if function == "cosine":
        first, second = unit_length(first), unit_length(second)
    products: Floats = (
        (first * second).sum(-1) if function in ("cosine", "dot") else _distance(first - second, function)
    )
    return products


def _distance(differences: Floats, function: Similarity) -> Floats:
    """The negative length of differences [..., width]."""
    lengths: Floats = (
        np.abs(differences).sum(-1) if function == "manhattan" else np.sqrt(np.square(differences).sum(-1))
    )
    return -lengths


def _matrix(vectors: Any, which: str) -> Floats:
    try:
        array = np.asarray(vectors, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"{which} vectors are no array of numbers: {error}") from error
    if array.ndim == 1 and len(array):
        array = array[None]
    if array.ndim != 2:
        raise InputError(f"{which} vectors should be an array [n, width]; they are of shape {array.shape}")
    return array
