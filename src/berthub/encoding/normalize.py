"""Scale vectors to length 1."""

import numpy as np

from berthub.engines.engine import Floats

__all__ = ["unit_length"]


def unit_length(vectors: Floats) -> Floats:
    """Scale every vector [..., hidden] to length 1, so that a dot product is a cosine; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Floats = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled
