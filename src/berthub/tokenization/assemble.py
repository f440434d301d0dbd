"""Pieces of texts become model inputs, such as `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`, truncated to a length."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from berthub.brief import Brief
from berthub.tokenization.tokens import Tokens
from berthub.vocabulary import Vocabulary

__all__ = ["LargerHalf", "Segments", "Side", "Template", "assemble", "longest_first", "ranges"]

Ints = npt.NDArray[np.int64]

Side = Literal["left", "right"]
"""Where a text that is too long is truncated: at its beginning, or at its end."""

LargerHalf = Literal["first", "longer"]
"""Which text of a pair keeps one piece more where both have more than their halves of an odd number: the first, as in
Google's code, or the longer one (of two that are as long the second), as in the tokenizers library."""


@dataclass(frozen=True, eq=False, repr=False)
class Segments(Brief):
    """The bare pieces of `n` texts: `ids` int32 [t], `lengths` int64 [n], `offsets` int32 [t, 2] or None."""

    ids: npt.NDArray[np.int32]
    lengths: Ints
    offsets: npt.NDArray[np.int32] | None


@dataclass(frozen=True)
class Template:
    """The frame around segments: the ids of `[CLS]` and `[SEP]`, and what stands around a second segment.

    `between` is the number of separators between two segments, and `second_type` the type id of the second one.
    """

    classify: int
    separate: int
    between: int = 1
    second_type: int = 1

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> "Template":
        """The template of a vocabulary's frame."""
        frame = vocabulary.framed
        classify, separate = vocabulary.ids[vocabulary.classify], vocabulary.ids[vocabulary.separate]
        return cls(classify, separate, between=frame.between, second_type=frame.second_type)

    def special(self, *, pairs: bool) -> int:
        """The number of special tokens in a row with one segment, or with two."""
        return 2 + self.between * pairs


def assemble(
    first: Segments,
    second: Segments,
    has_second: npt.NDArray[np.bool_],
    *,
    template: Template,
    max_length: int | None,
    side: Side = "right",
    larger_half: LargerHalf = "first",
) -> Tokens:
    """Join the pieces of each row.

    `second` has a segment for every row, empty where `has_second` is false. Rows longer than `max_length` are truncated
    by `longest_first`, at the ends of segments, or at their beginnings with the `side` left; None keeps everything.
    """
    if len(first.lengths) == 1 and not has_second[0]:
        return _one(first, template=template, max_length=max_length, side=side)
    kept_first, kept_second = first.lengths, second.lengths
    if max_length is not None:
        budget = max_length - 2 - template.between * has_second
        kept_first, kept_second = longest_first(kept_first, kept_second, budget, larger_half=larger_half)
    truncated = kept_first < first.lengths
    lengths = 2 + kept_first
    pairs = bool(has_second.any())
    if pairs:
        truncated |= kept_second < second.lengths
        lengths += np.where(has_second, kept_second + template.between, 0)
    row_splits = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    starts, total = row_splits[:-1], int(row_splits[-1])

    ids = np.full(total, template.separate, np.int32)
    ids[starts] = template.classify
    type_ids = np.zeros(total, np.int32)
    offsets = None if first.offsets is None else np.zeros((total, 2), np.int32)
    begin_second = starts + kept_first + 1 + template.between
    for segments, kept, begin in ((first, kept_first, starts + 1), (second, kept_second, begin_second)):
        if not len(segments.ids):
            continue
        target = ranges(begin, kept)
        whole = kept is segments.lengths or bool((kept == segments.lengths).all())
        ends = np.cumsum(segments.lengths)
        source = slice(None) if whole else ranges(ends - (kept if side == "left" else segments.lengths), kept)
        ids[target] = segments.ids[source]
        if offsets is not None and segments.offsets is not None:
            offsets[target] = segments.offsets[source]
    if pairs:
        type_ids[ranges(begin_second[has_second], kept_second[has_second] + 1)] = template.second_type
    first_ends = kept_first + 1
    return Tokens(
        ids=ids,
        type_ids=type_ids,
        row_splits=row_splits,
        truncated=truncated,
        offsets=offsets,
        bounds=np.stack([first_ends, np.where(has_second, first_ends + template.between, 1)], 1),
    )


def _one(segment: Segments, *, template: Template, max_length: int | None, side: Side) -> Tokens:
    """The row of a single text, as all rows are made: most calls of a server have one."""
    length = len(segment.ids)
    kept = length if max_length is None else min(length, max_length - 2)
    source = slice(length - kept, length) if side == "left" else slice(0, kept)
    ids = np.empty(kept + 2, np.int32)
    ids[0], ids[-1] = template.classify, template.separate
    ids[1:-1] = segment.ids[source]
    offsets = None
    if segment.offsets is not None:
        offsets = np.zeros((kept + 2, 2), np.int32)
        offsets[1:-1] = segment.offsets[source]
    return Tokens(
        ids=ids,
        type_ids=np.zeros(kept + 2, np.int32),
        row_splits=np.array([0, kept + 2], np.int64),
        truncated=np.array([kept < length]),
        offsets=offsets,
        bounds=np.array([[kept + 1, 1]], np.int64),
    )


def longest_first(first: Ints, second: Ints, budget: Ints, *, larger_half: LargerHalf = "first") -> tuple[Ints, Ints]:
    """How many pieces of each of two segments stay when together they may have `budget`: all int64 [n].

    With the `larger_half` of the first that is the outcome of Google's `_truncate_seq_pair`
    (https://github.com/google-research/bert, `run_classifier.py`), which takes pieces one at a time from the end of the
    longer segment, on a tie from the second.
    """
    fits = first + second <= budget
    if fits.all():
        return first, second
    # The shorter segment is left whole unless it has more than its half.
    short_second = np.minimum(second, budget // 2)
    short_first = np.minimum(first, budget - budget // 2 if larger_half == "first" else budget // 2)
    kept_first = np.where(second < first, budget - short_second, short_first)
    kept_second = np.where(second < first, short_second, budget - short_first)
    return np.where(fits, first, kept_first), np.where(fits, second, kept_second)


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """The concatenation of `range(start, start + length)` for every pair: int64."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    places: Ints = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
    return places
