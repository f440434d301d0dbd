"""Find texts that come more than once, so that they are computed once."""

import itertools

import numpy as np
import numpy.typing as npt

from berthub.encoding.chunks import taken
from berthub.tokenization.tokens import Tokens

__all__ = ["without_repeats"]


def without_repeats(tokens: Tokens) -> tuple[Tokens, npt.NDArray[np.int64] | None]:
    """The rows that differ from all before them, and for every row of `tokens` which of these it is, int64 [n].

    None in place of the latter says that all rows differ. Offsets are left out.
    """
    if len(tokens) < 2:
        return tokens, None
    ids, type_ids = tokens.ids.tobytes(), tokens.type_ids.tobytes()
    size = tokens.ids.itemsize
    # A text that holds separators can have the ids of a pair, and has other windows.
    seconds = [0] * len(tokens) if tokens.bounds is None else tokens.bounds[:, 1].tolist()
    places: dict[tuple[bytes, bytes, int], int] = {}
    which = np.fromiter(
        (
            places.setdefault(
                (ids[size * start : size * end], type_ids[size * start : size * end], second), len(places)
            )
            for (start, end), second in zip(itertools.pairwise(tokens.row_splits.tolist()), seconds, strict=True)
        ),
        np.int64,
        len(tokens),
    )
    if len(places) == len(tokens):
        return tokens, None
    _, first = np.unique(which, return_index=True)
    return taken(tokens, first), which
