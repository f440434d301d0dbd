"""Count tokens over a file of any size, in bounded memory."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from berthub.cli.tokenized_texts import GROUP_CHARS, aligned, tokenized
from berthub.encoding.chunks import chunks

if TYPE_CHECKING:
    from berthub.tables.block import Block
    from berthub.tokenization.tokenizer import Text, Tokenizer
    from berthub.tokenization.tokens import Tokens

__all__ = ["Counts", "Difference", "Differences", "Frequent", "count"]

# How many different unknown words are kept, how many characters of each, and how many of the texts are shown for which
# two tokenizations differ.
_WORDS, _WORD_CHARS, _EXAMPLES = 100_000, 100, 10
# Characters of a text around what is different in it.
_AROUND = 20


class Frequent:
    """Count how often each word came.

    Beyond twice `limit` different words the rarest are forgotten, and `exact` is False: a word then came as often as
    `most_common` says, or more often.
    """

    def __init__(self, limit: int = _WORDS) -> None:
        self.exact = True
        self._limit = limit
        self._counts: collections.Counter[str] = collections.Counter()

    def add(self, words: Iterable[str]) -> None:
        """Count words; a very long one is truncated."""
        for word in words:
            self._counts[word if len(word) <= _WORD_CHARS else word[: _WORD_CHARS - 1] + "\u2026"] += 1
            if len(self._counts) > 2 * self._limit:
                self.exact = False
                self._counts = collections.Counter(dict(self._counts.most_common(self._limit)))

    def most_common(self, count: int) -> list[tuple[str, int]]:
        """The `count` most frequent words; equally frequent ones in the order in which they came."""
        return self._counts.most_common(count)


@dataclass
class Counts:
    """The counts of one tokenizer over all texts.

    `tokens` includes `[CLS]` and `[SEP]`, `pieces` does not. `unknown` counts pieces; `longest` is in tokens;
    `too_long` are the texts with more tokens than the model takes.
    """

    texts: int = 0
    tokens: int = 0
    pieces: int = 0
    unknown: int = 0
    longest: int = 0
    too_long: int = 0
    unknown_words: Frequent = field(default_factory=Frequent)

    @property
    def mean(self) -> float:
        """The mean number of tokens per text."""
        return self.tokens / self.texts if self.texts else 0.0

    @property
    def unknown_share(self) -> float:
        """The share of the pieces that are unknown."""
        return self.unknown / self.pieces if self.pieces else 0.0


@dataclass(frozen=True)
class Difference:
    """The first place of a text where two tokenizations differ.

    `row` is the number of the text, from 1; `first` and `second` are the pieces of each there. `text` is what they
    stand for, between the characters `before` and `after` it.
    """

    row: int
    before: str
    text: str
    after: str
    first: list[str]
    second: list[str]


@dataclass
class Differences:
    """How many texts there are for which two tokenizations differ, and the first of these texts."""

    texts: int = 0
    examples: list[Difference] = field(default_factory=list)


def count(blocks: Iterable[Block], tokenizers: Mapping[str, Tokenizer]) -> Iterator[tuple[Block, Counted]]:
    """Count block by block; yields each block with all counts so far, always in the same object."""
    counted = Counted({name: Counts() for name in tokenizers}, Differences())
    for block in blocks:
        begin = 0
        for texts in chunks(block.texts, characters=GROUP_CHARS):
            both = [_counted(texts, tokenizer, counted.references[name]) for name, tokenizer in tokenizers.items()]
            if len(both) == 2:
                numbers = [block.number(index) for index in range(begin, begin + len(texts))]
                _compare(texts, numbers, both, [*tokenizers.values()], counted.differences)
            begin += len(texts)
        yield block, counted


@dataclass(frozen=True)
class Counted:
    """The counts of each tokenization, by its name; `differences` are between the first two."""

    references: Mapping[str, Counts]
    differences: Differences


def _counted(texts: Sequence[Text], tokenizer: Tokenizer, counts: Counts) -> Tokens:
    tokens = tokenizer.tokens(texts)
    lengths = tokens.lengths
    special = sum(tokenizer.least(pairs=not isinstance(text, str)) for text in texts)
    unknown = tokenizer.vocabulary.ids[tokenizer.vocabulary.unknown]
    places = np.flatnonzero(tokens.ids == unknown)
    counts.texts += len(texts)
    counts.tokens += len(tokens.ids)
    counts.pieces += len(tokens.ids) - special
    counts.unknown += len(places)
    counts.longest = max(counts.longest, int(lengths.max(initial=0)))
    counts.too_long += int((lengths > tokenizer.max_length).sum())
    # Offsets cost time, and few texts have unknown words.
    rows = np.unique(np.searchsorted(tokens.row_splits, places, side="right") - 1)
    counts.unknown_words.add(_unknown_words([texts[row] for row in rows], tokenizer, unknown))
    return tokens


def _unknown_words(texts: Sequence[Text], tokenizer: Tokenizer, unknown: int) -> Iterator[str]:
    single = [part for text in texts for part in _parts(text)]
    for text, tokens in zip(single, tokenized(tokenizer, single), strict=True):
        for number, (begin, end) in zip(tokens.ids, tokens.offsets, strict=True):
            if number == unknown:
                yield text[begin:end]


def _compare(
    texts: Sequence[Text],
    numbers: Sequence[int],
    both: Sequence[Tokens],
    tokenizers: Sequence[Tokenizer],
    differences: Differences,
) -> None:
    first, second = both
    for index in _different(first, second):
        differences.texts += 1
        if len(differences.examples) < _EXAMPLES:
            differences.examples.append(_example(texts[index], numbers[index], tokenizers))


def _different(first: Tokens, second: Tokens) -> Iterator[int]:
    """The rows whose ids differ."""
    if np.array_equal(first.row_splits, second.row_splits):
        places = np.flatnonzero(first.ids != second.ids)
        yield from np.unique(np.searchsorted(first.row_splits, places, side="right") - 1).tolist()
        return
    for index in range(len(first)):
        one, other = (tokens.ids[slice(*tokens.row_splits[index : index + 2])] for tokens in (first, second))
        if not np.array_equal(one, other):
            yield index


def _example(text: Text, row: int, tokenizers: Sequence[Tokenizer]) -> Difference:
    parts = _parts(text)
    for part, *both in zip(parts, *(tokenized(tokenizer, parts) for tokenizer in tokenizers), strict=True):
        for place in aligned(*both):
            if not place.equal:
                before, after = max(place.begin - _AROUND, 0), place.end + _AROUND
                return Difference(
                    row=row,
                    before=part[before : place.begin],
                    text=part[place.begin : place.end],
                    after=part[place.end : after],
                    first=place.first.tokens,
                    second=place.second.tokens,
                )
    raise AssertionError(f"row {row} was different, and is not with offsets")


def _parts(text: Text) -> list[str]:
    return [text] if isinstance(text, str) else [*text]
