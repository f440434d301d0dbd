"""Group tokens into batches that suit an engine, by length, and pad them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from berthub.checkpoint import Checkpoint
from berthub.engines.engine import AnyBatch, Batch, Limits, PaddedBatch
from berthub.tokenization.assemble import ranges
from berthub.tokenization.tokens import Tokens

__all__ = ["Padding", "batches", "companions", "pad", "padded", "plan", "select"]

# Padding that is taken rather than one batch more, in tokens: a batch costs about as much as 16 (MiniLM) to 27 tokens
# (BERT-base) do, and a shape that is new 10 to 50 more, once.
_PADDING = 32
# Where batches are computed at the same time, the last few rows go with those before if that takes so few tokens: for a
# batch of less, an engine may want weights laid out another way, and keep both.
_LEAST = 128


def batches(tokens: Tokens, limits: Limits) -> Iterator[Batch]:
    """The tokens as ragged batches within the limits: every row in exactly one."""
    for rows in plan(tokens.lengths, limits):
        yield select(tokens, rows)


def plan(lengths: npt.NDArray[np.int64], limits: Limits) -> list[npt.NDArray[np.int64]]:
    """Rows of similar length in batches within the limits; every row is in exactly one of them.

    In a batch the longest rows come first. So do batches of more tokens: the memory that they took is enough for the
    others, and those that run side by side end at about the same time.
    """
    order = np.argsort(-lengths, kind="stable")
    return _padded_plan(lengths, order, limits) if limits.padded else _ragged_plan(lengths, order, limits)


def _padded_plan(
    lengths: npt.NDArray[np.int64], order: npt.NDArray[np.int64], limits: Limits
) -> list[npt.NDArray[np.int64]]:
    found: list[npt.NDArray[np.int64]] = []
    start = 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        most = max(1, limits.tokens // longest)
        candidates = order[start : start + most]
        padding = np.cumsum(longest - lengths[candidates])
        count = max(1, int((padding <= _PADDING).sum()))
        if limits.few_shapes and count < most:
            count = _round(count, bits=3, up=False)
        rest = len(order) - start - count
        many = limits.concurrent_from is not None and len(found) >= limits.concurrent_from
        if many and rest <= most - count and rest * longest <= _LEAST:
            count += rest
        found.append(candidates[:count])
        start += count
    return sorted(found, key=lambda rows: -len(rows) * int(lengths[rows[0]]))


def _ragged_plan(
    lengths: npt.NDArray[np.int64], order: npt.NDArray[np.int64], limits: Limits
) -> list[npt.NDArray[np.int64]]:
    ends = np.cumsum(lengths[order])
    found: list[npt.NDArray[np.int64]] = []
    start = before = 0
    while start < len(order):
        end = max(start + 1, int(np.searchsorted(ends, before + limits.tokens, side="right")))
        found.append(order[start:end])
        start, before = end, int(ends[end - 1])
    return sorted(found, key=lambda rows: -int(lengths[rows].sum()))


def companions(lengths: npt.NDArray[np.int64], row: int, limits: Limits) -> slice:
    """The run of rows to compute in one batch with `row`, of all that wait: by number, sorted by falling length.

    Of all runs that hold `row` and keep to the limits it is the one with the most tokens.
    """
    if not limits.padded:
        ends = np.cumsum(lengths[row:])
        end = row + max(1, int(np.searchsorted(ends, limits.tokens, side="right")))
        before = np.cumsum(lengths[:row][::-1])
        start = row - int(np.searchsorted(before, limits.tokens - int(ends[end - row - 1]), side="right"))
        return slice(start, end)
    best, most_tokens, start = slice(row, row + 1), 0, row
    while start >= 0:
        longest = max(1, int(lengths[start]))
        most = max(1, limits.tokens // longest)
        # All rows of that length, as far as there is room for `row` behind them.
        first = int(np.searchsorted(-lengths, -lengths[start]))
        start = max(first, row - most + 1)
        padding = np.cumsum(longest - lengths[start : start + most])
        count = int((padding <= _PADDING).sum())
        if count <= row - start or longest != lengths[start]:
            break
        if limits.few_shapes and count < most:
            count = max(_round(count, bits=3, up=False), row - start + 1)
        tokens = int(lengths[start : start + count].sum())
        if tokens > most_tokens:
            best, most_tokens = slice(start, start + count), tokens
        start = first - 1
    return best


def select(tokens: Tokens, rows: npt.NDArray[np.int64]) -> Batch:
    """The given rows as one ragged batch; of a single row as a view."""
    starts = tokens.row_splits[rows]
    lengths = tokens.row_splits[rows + 1] - starts
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    flat = slice(int(starts[0]), int(starts[0] + lengths[0])) if len(rows) == 1 else ranges(starts, lengths)
    return Batch(ids=tokens.ids[flat], type_ids=tokens.type_ids[flat], offsets=offsets, rows=rows)


@dataclass(frozen=True, kw_only=True)
class Padding:
    """The padding of batches for a model: `pad` is the id that fills rows up to a width.

    Every row is padded with `margin` tokens, or more, up to the `widest` that the model takes: a model that
    sees its padding gets some after every row. With `few_widths` a width is rounded up, so that few of them occur.
    """

    pad: int
    margin: int
    widest: int
    few_widths: bool

    @classmethod
    def of(cls, checkpoint: Checkpoint, limits: Limits) -> Self:
        """The padding that suits a model, and an engine with these limits."""
        config, vocabulary = checkpoint.config, checkpoint.vocabulary
        return cls(
            pad=vocabulary.ids[vocabulary.pad],
            margin=int(config.sees_padding),
            widest=config.max_positions,
            few_widths=limits.few_shapes,
        )

    def width(self, longest: int) -> int:
        """The width of a batch whose longest row has that many tokens."""
        width = longest + self.margin
        return min(_round(width, bits=6, up=True) if self.few_widths else width, self.widest)


def padded(batches: Iterable[AnyBatch], padding: Padding) -> Iterator[PaddedBatch]:
    """Every batch, padded one after the other as it is needed; those that are padded already as they are."""
    for batch in batches:
        if isinstance(batch, PaddedBatch):
            yield batch
        else:
            yield pad(batch, width=padding.width(int(batch.lengths.max(initial=0))), value=padding.pad)


def pad(batch: Batch, *, width: int, value: int) -> PaddedBatch:
    """A ragged batch as a padded one [b, width], filled with the id `value`; no row may be longer."""
    inside = np.arange(width) < batch.lengths[:, None]
    ids = np.full(inside.shape, value, np.int32)
    ids[inside] = batch.ids
    type_ids = np.zeros(inside.shape, np.int32)
    type_ids[inside] = batch.type_ids
    return PaddedBatch(ids=ids, mask=inside.astype(np.int32), type_ids=type_ids, rows=batch.rows)


def _round(number: int, *, bits: int, up: bool) -> int:
    """The next integer, upwards or downwards, that has at most `bits` significant bits."""
    step = 1 << max(0, (number - up).bit_length() - bits)
    return (number + up * (step - 1)) // step * step
