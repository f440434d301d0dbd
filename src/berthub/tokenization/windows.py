"""Which pieces of its texts stand in each row: all of them, those that truncation leaves, or windows one after another.

What is truncated, and in which order windows follow each other, is as in Hugging Face's tokenizers library.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from berthub.brief import Brief
from berthub.errors import InputError
from berthub.tokenization.assemble import LargerHalf, Segments, Side, longest_first, ranges

__all__ = ["Limits", "Strategy", "Windows", "windows"]

Ints = npt.NDArray[np.int64]

Strategy = Literal["longest_first", "only_first", "only_second"]
"""Which text of a pair is truncated: the longer one, piece by piece, or always the first or the second."""

# From which to which of its pieces.
_Range = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How rows are truncated: to `max_length` tokens, of which `special` are taken in a row with one text.

    `between` more are taken in a row with two. `stride` None drops what is beyond; a number makes further rows of it,
    each of which begins with so many pieces of the one before.
    """

    max_length: int
    special: int
    between: int
    strategy: Strategy
    side: Side
    larger_half: LargerHalf
    stride: int | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Windows(Brief):
    """The pieces in each of `r` rows.

    `samples` int64 [r] are the texts that rows belong to, and `first` and `second`, int64 [r, 2], say from which to
    which of the pieces of its first and second text a row holds. `truncated` bool [n]: which texts do not fit in a row.
    """

    samples: Ints
    first: Ints
    second: Ints
    truncated: npt.NDArray[np.bool_]

    def of(self, segments: Segments, ranges_of_rows: Ints) -> Segments:
        """The pieces of each row, from those of the texts; `ranges_of_rows` is `first` or `second`."""
        if not self.truncated.any():
            return segments
        source = self.source(segments.lengths, ranges_of_rows)
        offsets = None if segments.offsets is None else segments.offsets[source]
        return Segments(segments.ids[source], ranges_of_rows[:, 1] - ranges_of_rows[:, 0], offsets)

    def source(self, lengths: Ints, ranges_of_rows: Ints) -> Ints:
        """Where the pieces of each row are among the pieces of all texts, which have these `lengths`."""
        begins = (np.cumsum(lengths) - lengths)[self.samples] + ranges_of_rows[:, 0]
        return ranges(begins, ranges_of_rows[:, 1] - ranges_of_rows[:, 0])


def windows(first: Ints, second: Ints, has_second: npt.NDArray[np.bool_], limits: Limits | None) -> Windows:
    """The rows of texts with so many pieces, int64 [n] each; None keeps everything.

    `InputError` where the strategy truncates a text that is too short for it, or where windows would not move on.
    """
    samples = np.arange(len(first))
    if limits is None:
        return Windows(samples, _from_zero(first), _from_zero(second), np.zeros(len(first), np.bool_))
    budget = limits.max_length - limits.special - limits.between * has_second
    kept_first, kept_second = _kept(first, second, has_second, budget, limits)
    truncated = (kept_first < first) | (kept_second < second)
    if limits.stride is None or not truncated.any():
        return Windows(
            samples, _placed(first, kept_first, limits.side), _placed(second, kept_second, limits.side), truncated
        )
    rows: list[tuple[int, _Range, _Range]] = []
    lengths = (first.tolist(), kept_first.tolist(), second.tolist(), kept_second.tolist())
    for sample, (length, kept, other_length, other_kept) in enumerate(zip(*lengths, strict=True)):
        own = _parts(length, kept, sample, limits)
        others = _parts(other_length, other_kept, sample, limits)
        rows.append((sample, own[0], others[0]))
        rows.extend((sample, part, other) for part in own[1:] for other in others)
        rows.extend((sample, own[0], other) for other in others[1:])
    return Windows(
        np.array([sample for sample, _, _ in rows], np.int64),
        np.array([part for _, part, _ in rows], np.int64),
        np.array([part for _, _, part in rows], np.int64),
        truncated,
    )


def _kept(
    first: Ints, second: Ints, has_second: npt.NDArray[np.bool_], budget: Ints, limits: Limits
) -> tuple[Ints, Ints]:
    """How many pieces of each text stay."""
    if limits.strategy == "longest_first":
        return longest_first(first, second, budget, larger_half=limits.larger_half)
    over = first + second > budget
    if limits.strategy == "only_first":
        target, other = first, second
    else:
        target, other = second, first
        if (missing := np.flatnonzero(over & ~has_second)).size:
            raise InputError(
                f"truncation='only_second' truncates the second text of a pair, and text {missing[0]} is too long and "
                "no pair: use truncation=True"
            )
    left = budget - other
    # As the library: where there is no place for any piece, none stays, of neither text.
    if (wrong := np.flatnonzero(over & (left <= 0) & (budget > 0))).size:
        index = int(wrong[0])
        raise InputError(
            f"truncation={limits.strategy!r} cannot make text {index} fit into max_length={limits.max_length}: the "
            f"other text of the pair has {other[index]:,} pieces already. Use truncation='longest_first', or a larger "
            "max_length"
        )
    kept = np.where(over, np.maximum(left, 0), target)
    kept_other = np.where(over & (budget == 0), 0, other)
    return (kept, kept_other) if limits.strategy == "only_first" else (kept_other, kept)


def _parts(length: int, kept: int, sample: int, limits: Limits) -> list[_Range]:
    """The windows of a text, of `kept` pieces each, in the order in which they follow each other."""
    if kept >= length:
        return [(0, length)]
    stride = limits.stride or 0
    if stride >= kept:
        raise InputError(
            f"max_length={limits.max_length} leaves text {sample} {kept} pieces a row, and stride={stride} of them "
            "would be those of the row before; stride must be less, or max_length more"
        )
    step = kept - stride
    count = 1 + -(-(length - kept) // step)
    if limits.side == "right":
        return [(start, min(start + kept, length)) for start in range(0, count * step, step)]
    return [(max(0, stop - kept), stop) for stop in range(length, length - count * step, -step)]


def _placed(lengths: Ints, kept: Ints, side: Side) -> Ints:
    begins = lengths - kept if side == "left" else np.zeros_like(kept)
    return np.stack([begins, begins + kept], 1)


def _from_zero(lengths: Ints) -> Ints:
    return np.stack([np.zeros_like(lengths), lengths], 1)
