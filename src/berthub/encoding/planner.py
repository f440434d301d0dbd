"""Lengths become batches: which texts are computed together, and how wide each batch is padded."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from berthub.engines.engine import Batch
from berthub.tokenization.tokens import Tokens

__all__ = ["cut", "plan"]

# Padded tokens in a batch: enough to keep the matrix units busy, few enough for activations to stay in cache.
BUDGET = 2048
# A batch smaller than this is worth some padding; a larger one takes no text shorter than this share of its longest.
_SMALL, _SHORTEST = 256, 0.9


def plan(lengths: npt.NDArray[np.int64], *, budget: int = BUDGET) -> list[npt.NDArray[np.int64]]:
    """Rows of similar length in batches, the longest first; none has more than `budget` tokens, padding included.

    A row longer than `budget` makes a batch of its own. Every row is in exactly one batch.
    """
    order = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        most = max(1, budget // longest)
        candidates = order[start : start + most]
        similar = int((lengths[candidates] >= _SHORTEST * longest).sum())
        count = min(len(candidates), max(similar, _SMALL // longest, 1))
        batches.append(candidates[:count])
        start += count
    return batches


def cut(tokens: Tokens, *, pad: int, budget: int = BUDGET) -> Iterator[Batch]:
    """The tokens as padded batches; `pad` is the id that fills them up."""
    lengths = tokens.lengths
    for rows in plan(lengths, budget=budget):
        counts = lengths[rows]
        width = int(counts[0])
        inside = np.arange(width) < counts[:, None]
        places = (tokens.row_splits[rows][:, None] + np.arange(width))[inside]
        ids = np.full((len(rows), width), pad, np.int32)
        ids[inside] = tokens.ids[places]
        type_ids = np.zeros((len(rows), width), np.int32)
        type_ids[inside] = tokens.type_ids[places]
        yield Batch(ids=ids, mask=inside.astype(np.int32), type_ids=type_ids, rows=rows)
