"""Lengths become batches: which texts are computed together, and how wide each batch is padded."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from berthub.config import EncoderConfig
from berthub.engines.engine import Batch
from berthub.tokenization.tokens import Tokens

__all__ = ["cut", "pad_batch", "plan"]

# Padded tokens in a batch: enough to keep the matrix units busy, few enough for activations to stay in cache.
BUDGET = 1024
# Padding that is taken rather than one batch more, in tokens: a batch costs about as much as 16 (MiniLM) to 27 tokens
# (BERT-base) do, and a shape that is new 10 to 50 more, once.
_PADDING = 32
# In a call of so many batches the last few rows go with those before if that takes so few tokens: for a batch of less,
# an engine may want weights laid out another way, and keep both.
_MANY, _LEAST = 8, 128


def plan(lengths: npt.NDArray[np.int64], *, budget: int = BUDGET) -> list[npt.NDArray[np.int64]]:
    """Rows of similar length in batches; none has more than `budget` tokens, padding included.

    A row longer than `budget` makes a batch of its own. Every row is in exactly one batch, in which the longest come
    first. So do batches of more tokens: the memory that they took is enough for the others, and those that run side by
    side end at about the same time.
    Few counts of rows occur: an engine prepares itself for each new shape and remembers it, in time and in memory.
    """
    order = np.argsort(-lengths, kind="stable")
    batches: list[npt.NDArray[np.int64]] = []
    start = 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        most = max(1, budget // longest)
        candidates = order[start : start + most]
        padding = np.cumsum(longest - lengths[candidates])
        count = max(1, int((padding <= _PADDING).sum()))
        if count < most:
            count = _round(count, bits=3, up=False)
        rest = len(order) - start - count
        if len(batches) >= _MANY and rest <= most - count and rest * longest <= _LEAST:
            count += rest
        batches.append(candidates[:count])
        start += count
    return sorted(batches, key=lambda rows: -len(rows) * int(lengths[rows[0]]))


def cut(tokens: Tokens, config: EncoderConfig, *, pad: int, budget: int = BUDGET) -> Iterator[Batch]:
    """The tokens as padded batches; `pad` is the id that fills them up.

    The width of a batch is that of its longest row or a little more, so that few widths occur; at most as many as the
    model has positions. A model that sees its padding gets some behind every row, and behind every one the same.
    """
    lengths = tokens.lengths
    for rows in plan(lengths, budget=budget):
        width = min(_round(int(lengths[rows[0]]) + config.sees_padding, bits=6, up=True), config.max_positions)
        yield pad_batch(tokens, rows, width=width, pad=pad)


def pad_batch(tokens: Tokens, rows: npt.NDArray[np.int64], *, width: int, pad: int) -> Batch:
    """The given rows as one batch [b, width]; none of them may be longer."""
    lengths = tokens.row_splits[rows + 1] - tokens.row_splits[rows]
    inside = np.arange(width) < lengths[:, None]
    places = (tokens.row_splits[rows][:, None] + np.arange(width))[inside]
    ids = np.full((len(rows), width), pad, np.int32)
    ids[inside] = tokens.ids[places]
    type_ids = np.zeros((len(rows), width), np.int32)
    type_ids[inside] = tokens.type_ids[places]
    return Batch(ids=ids, mask=inside.astype(np.int32), type_ids=type_ids, rows=rows)


def _round(number: int, *, bits: int, up: bool) -> int:
    """The next integer, upwards or downwards, that has at most `bits` significant bits."""
    step = 1 << max(0, (number - up).bit_length() - bits)
    return (number + up * (step - 1)) // step * step
