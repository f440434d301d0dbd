"""The vectors of a column of texts as an Arrow array, with nulls where the column has them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from berthub.encoding.encoder import Encoder
from berthub.errors import InputError

__all__ = ["vector_array"]


def vector_array(
    encoder: Encoder, texts: Sequence[Any], options: Mapping[str, Any], *, of: str
) -> pa.FixedSizeListArray:
    """The vectors of `Encoder.embed`, fixed-size lists of float32; None among the texts has a null.

    `InputError` for what is neither a str nor None; `of` says in it what the texts are.
    """
    for row, text in enumerate(texts):
        if text is not None and not isinstance(text, str):
            raise InputError(
                f"row {row} of {of} holds {text!r:.60} (of type {type(text).__name__}): a text is a str, or null for "
                "none"
            )
    absent = np.array([text is None for text in texts], bool)
    found = encoder.embed([text for text in texts if text is not None], **options)
    vectors = np.zeros((len(texts), found.shape[1]), np.float32)
    vectors[~absent] = found
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), found.shape[1], mask=pa.array(absent))
