"""Texts cut into tokens, with what a report says of each, and two cuts of one text laid side by side."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from berthub.encoding.chunks import chunks
from berthub.vocabulary import CONTINUED

if TYPE_CHECKING:
    from berthub.tokenization.tokenizer import Text, Tokenizer
    from berthub.vocabulary import Vocabulary

__all__ = ["GROUP_CHARS", "Cut", "Kind", "Place", "aligned", "cuts", "kind_of"]

Kind = Literal["special", "unknown", "continued", "begun"]
"""What a piece is: added around the text, not in the vocabulary, or one that continues or begins a word."""

GROUP_CHARS = 1 << 20
"""How much text is cut at a time: a block of the input may have millions of characters, and tokens with offsets take
many times their room."""
_BLANKS = {"sentencepiece": "\u2581", "byte_bpe": "\u0120"}


@dataclass(frozen=True)
class Cut:
    """The tokens of one text, `[CLS]` and `[SEP]` included, and the characters that each stands for."""

    tokens: list[str]
    ids: list[int]
    offsets: list[tuple[int, int]]

    def part(self, begin: int, end: int) -> Cut:
        """The tokens from `begin` to `end`."""
        return Cut(self.tokens[begin:end], self.ids[begin:end], self.offsets[begin:end])


@dataclass(frozen=True)
class Place:
    """Characters of a text, from `begin` to `end`, that no token of either cut crosses, and each one's tokens there."""

    begin: int
    end: int
    first: Cut
    second: Cut

    @property
    def equal(self) -> bool:
        """Whether the model gets the same from both."""
        return self.first.ids == self.second.ids


def cuts(tokenizer: Tokenizer, texts: Sequence[Text]) -> Iterator[Cut]:
    """What the model gets for each text, of any length."""
    for group in chunks(texts, characters=GROUP_CHARS):
        tokens = tokenizer.tokens(group, offsets=True)
        assert tokens.offsets is not None
        splits = tokens.row_splits.tolist()
        for begin, end in itertools.pairwise(splits):
            ids = tokens.ids[begin:end].tolist()
            pairs = [(first, last) for first, last in tokens.offsets[begin:end].tolist()]
            yield Cut(tokenizer.convert_ids_to_tokens(ids), ids, pairs)


def kind_of(piece: str, vocabulary: Vocabulary) -> Kind:
    """What a piece of the vocabulary is, to those who read it."""
    if piece == vocabulary.unknown:
        return "unknown"
    if piece in vocabulary.special:
        return "special"
    if vocabulary.algorithm == "wordpiece":
        return "continued" if piece.startswith(CONTINUED) else "begun"
    return "begun" if piece.startswith(_BLANKS[vocabulary.algorithm]) else "continued"


def aligned(first: Cut, second: Cut) -> Iterator[Place]:
    """Two cuts of one text in the smallest parts that neither crosses, in linear time; `[CLS]` and `[SEP]` left out."""
    one = other = 1
    last_one, last_other = len(first.ids) - 1, len(second.ids) - 1
    while one < last_one or other < last_other:
        start_one, start_other = one, other
        end = min(
            offsets[place][1]
            for offsets, place, last in ((first.offsets, one, last_one), (second.offsets, other, last_other))
            if place < last
        )
        # Whatever begins before the end belongs to the place, and may move the end.
        while True:
            after_one, end_one = _taken(first.offsets, one, last_one, end)
            after_other, end_other = _taken(second.offsets, other, last_other, end)
            if (after_one, after_other) == (one, other):
                break
            one, other, end = after_one, after_other, max(end_one, end_other)
        here, there = first.part(start_one, one), second.part(start_other, other)
        begin = min(begin for begin, _ in [*here.offsets, *there.offsets])
        yield Place(begin, end, here, there)


def _taken(offsets: Sequence[tuple[int, int]], place: int, last: int, end: int) -> tuple[int, int]:
    """How far the tokens go that begin before `end`, or end there, and where the last of them ends."""
    while place < last and (offsets[place][0] < end or offsets[place][1] <= end):
        end = max(end, offsets[place][1])
        place += 1
    return place, end
