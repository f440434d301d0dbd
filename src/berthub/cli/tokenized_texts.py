"""Tokenized texts as the reports of `berthub tokenize` need them, and two tokenizations of one text aligned."""

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

__all__ = ["GROUP_CHARS", "Kind", "Place", "TokenizedText", "aligned", "kind_of", "tokenized"]

Kind = Literal["special", "unknown", "continued", "begun"]
"""The kind of a piece: added around the text, not in the vocabulary, continuing a word, or beginning one."""

GROUP_CHARS = 1 << 20
"""How many characters are tokenized at a time: a block of the input may have millions of them, and tokens with offsets
take many times the memory of the text."""
# What a piece begins with that begins a word.
_BLANKS = ("\u2581", "\u0120")


@dataclass(frozen=True)
class TokenizedText:
    """The tokens of one text, `[CLS]` and `[SEP]` included, and the characters that each stands for."""

    tokens: list[str]
    ids: list[int]
    offsets: list[tuple[int, int]]

    def part(self, begin: int, end: int) -> TokenizedText:
        """The tokens from `begin` to `end`."""
        return TokenizedText(self.tokens[begin:end], self.ids[begin:end], self.offsets[begin:end])


@dataclass(frozen=True)
class Place:
    """The characters of a text from `begin` to `end`, and the tokens that each of two tokenizations has there.

    No token of either crosses the ends.
    """

    begin: int
    end: int
    first: TokenizedText
    second: TokenizedText

    @property
    def equal(self) -> bool:
        """Whether the model gets the same from both."""
        return self.first.ids == self.second.ids


def tokenized(tokenizer: Tokenizer, texts: Sequence[Text]) -> Iterator[TokenizedText]:
    """The tokens that the model gets for each text, not truncated."""
    for group in chunks(texts, characters=GROUP_CHARS):
        tokens = tokenizer.tokens(group, offsets=True)
        assert tokens.offsets is not None
        splits = tokens.row_splits.tolist()
        for begin, end in itertools.pairwise(splits):
            ids = tokens.ids[begin:end].tolist()
            pairs = [(first, last) for first, last in tokens.offsets[begin:end].tolist()]
            yield TokenizedText(tokenizer.convert_ids_to_tokens(ids), ids, pairs)


def kind_of(piece: str, vocabulary: Vocabulary) -> Kind:
    """The kind of a piece, for the reader of a report."""
    if piece == vocabulary.unknown:
        return "unknown"
    if piece in vocabulary.special:
        return "special"
    if vocabulary.algorithm == "wordpiece":
        return "continued" if piece.startswith(CONTINUED) else "begun"
    return "begun" if piece.startswith(_BLANKS) else "continued"


def aligned(first: TokenizedText, second: TokenizedText) -> Iterator[Place]:
    """Align two tokenizations of one text: the smallest places whose ends no token crosses, in the text's order.

    `[CLS]` and `[SEP]` are left out. Takes linear time.
    """
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
