"""Which vectors of encodings are compared where the likeness of texts is shown."""

from typing import TYPE_CHECKING

import numpy as np

from berthub.encoding.request import EMBEDDING
from berthub.engines.engine import Floats

if TYPE_CHECKING:
    from berthub.encoding.encodings import Encodings

__all__ = ["compared_vectors"]


def compared_vectors(encodings: "Encodings") -> "tuple[Floats, str]":
    """One vector for each text, float32 [n, width], and what they are in words.

    The first that there is of embedding, the mean of the token vectors, and pooled_output; `OutputNotComputedError`
    where there is none of them.
    """
    outputs = encodings.outputs
    if EMBEDDING in outputs:
        vectors: Floats = outputs[EMBEDDING]
        return vectors, "the embeddings"
    if "sequence_output" in outputs:
        # Zeros follow a text's last token.
        sums, lengths = outputs["sequence_output"].sum(1), encodings.ragged_tokens.lengths
        means: Floats = sums / np.maximum(lengths, 1)[:, None].astype(np.float32)
        return means, "the means of the token vectors"
    pooled: Floats = encodings["pooled_output"]
    return pooled, "pooled_output"
