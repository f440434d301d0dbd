"""What a tokenizer's call takes becomes pieces, and these become rows of tokens."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.brief import Brief
from berthub.cached import cached_property
from berthub.errors import InputError
from berthub.tokenization.alignment import WordNumbers
from berthub.tokenization.arguments import check_texts, with_pairs
from berthub.tokenization.assemble import Segments, Template, assemble, ranges
from berthub.tokenization.sentences import listed_sentences, split_segments
from berthub.tokenization.tokens import Tokens
from berthub.tokenization.windows import Windows
from berthub.vocabulary import Vocabulary

__all__ = ["Given", "Pieces", "Rows", "numbers_of_words", "pieces_of"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Given:
    """What a call was given: the first texts, and the second ones of pairs, each a str or a list of words.

    `has_second` bool [n] tells which are pairs; where none is, `second` is empty, and else "" or [] stands for none.
    `single` is whether it was one text, and not a list of them.
    """

    first: list[Any]
    second: list[Any]
    has_second: Bools
    split: bool
    single: bool

    @classmethod
    def of(cls, text: Any, text_pair: Any, *, split: bool) -> "Given":
        """The texts of a call; `InputError` for what are none."""
        if split:
            return cls._of_words(text, text_pair)
        texts = with_pairs(text, text_pair)
        check_texts(texts)
        return cls._paired(texts, str, single=isinstance(text, str))

    def shortened(self, beginnings: Callable[[list[str]], list[str]]) -> "Given":
        """These texts, each with what `beginnings` leaves of it; lists of words stay as they are."""
        if self.split:
            return self
        return dataclasses.replace(self, first=beginnings(self.first), second=beginnings(self.second))

    @classmethod
    def _of_words(cls, text: Any, text_pair: Any) -> "Given":
        if isinstance(text, str) or isinstance(text_pair, str):
            raise InputError(
                "is_split_into_words=True is for lists of words, and this is a str: split it first, as in "
                "text.split(), or leave the option out"
            )
        single = not (isinstance(text, list | tuple) and len(text) and not isinstance(text[0], str))
        rows = [text] if single else list(text)
        if text_pair is not None:
            others = [text_pair] if single else list(text_pair)
            if len(others) != len(rows):
                raise InputError(f"text_pair must have a sentence for each of the {len(rows)}; it has {len(others)}")
            rows = [*zip(rows, others, strict=True)]
        return cls._paired(rows, list, single=single)

    @classmethod
    def _paired(cls, rows: Sequence[Any], kind: type, *, single: bool) -> "Given":
        pairs = [not isinstance(row, str) if kind is str else _is_pair_of_sentences(row) for row in rows]
        has_second = np.array(pairs, np.bool_)
        first = [row[0] if pair else row for row, pair in zip(rows, pairs, strict=True)]
        second = [row[1] if pair else kind() for row, pair in zip(rows, pairs, strict=True)] if any(pairs) else []
        if kind is list:
            first, second = listed_sentences(first), listed_sentences(second)
        return cls(first, second, has_second, split=kind is list, single=single)


@dataclass(frozen=True, eq=False)
class Pieces:
    """The pieces of texts, and of those that were split into words the number of each piece's word."""

    segments: Segments
    words: Ints | None


@dataclass(frozen=True, eq=False)
class Places:
    """Which tokens of rows are special, bool [t], and where the pieces of their first and second texts are."""

    special: Bools
    first: Ints
    second: Ints


def pieces_of(tokenizer: Any, texts: list[Any], *, split: bool, offsets: bool) -> Pieces:
    """The pieces of texts, or of lists of words."""
    if not split:
        return Pieces(tokenizer.segments(texts, offsets=offsets), None)
    segments, words = split_segments(texts, tokenizer.segments, blanks=tokenizer.words_need_blanks, offsets=offsets)
    return Pieces(segments, words)


def numbers_of_words(pieces: Pieces, texts: list[Any], vocabulary: Vocabulary) -> Ints:
    """The number of each piece's word in its text, int64 [t]."""
    if pieces.words is not None:
        return pieces.words
    numbers = WordNumbers(vocabulary)
    segments, found, begin = pieces.segments, [np.zeros(0, np.int64)], 0
    for text, length in zip(texts, segments.lengths.tolist(), strict=True):
        places = None if segments.offsets is None else segments.offsets[begin : begin + length]
        found.append(numbers(segments.ids[begin : begin + length], places, text))
        begin += length
    return np.concatenate(found)


def _places_in(framed: Tokens, lengths: tuple[Ints, Ints]) -> Places:
    """The places in rows with their special tokens, whose texts have so many pieces."""
    begins, bounds = framed.row_splits[:-1], framed.bounds
    assert bounds is not None, "assemble gives them"
    special = np.ones(len(framed.ids), np.bool_)
    first, second = ranges(begins + 1, lengths[0]), ranges(begins + bounds[:, 1], lengths[1])
    special[first] = special[second] = False
    return Places(special, first, second)


def _without_special(framed: Tokens, places: Places) -> tuple[Tokens, Places]:
    """Rows without their special tokens, and the places in them."""
    kept = ~places.special
    # How many special tokens stand before each place.
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(places.special)])
    tokens = Tokens(
        ids=framed.ids[kept],
        type_ids=framed.type_ids[kept],
        row_splits=framed.row_splits - before[framed.row_splits],
        truncated=framed.truncated,
        offsets=None if framed.offsets is None else framed.offsets[kept],
    )
    first, second = (place - before[place] for place in (places.first, places.second))
    return tokens, Places(np.zeros(len(tokens.ids), np.bool_), first, second)


@dataclass(frozen=True, eq=False, repr=False)
class Rows(Brief):
    """The rows that `windows` make of the pieces of texts, without special tokens unless `special`."""

    framed: Tokens
    lengths: tuple[Ints, Ints]
    special: bool

    @classmethod
    def of(
        cls,
        first: Segments,
        second: Segments,
        has_second: Bools,
        windows: Windows,
        *,
        template: Template,
        special: bool,
    ) -> "Rows":
        """The rows of these pieces."""
        own, other = windows.of(first, windows.first), windows.of(second, windows.second)
        framed = assemble(own, other, has_second[windows.samples], template=template, max_length=None)
        return cls(framed, (own.lengths, other.lengths), special)

    @cached_property
    def _bare(self) -> tuple[Tokens, Places]:
        return _without_special(self.framed, _places_in(self.framed, self.lengths))

    @property
    def tokens(self) -> Tokens:
        """The tokens of the rows."""
        return self.framed if self.special else self._bare[0]

    @property
    def places(self) -> Places:
        """Where in the rows special tokens are, and the pieces of the two texts."""
        return _places_in(self.framed, self.lengths) if self.special else self._bare[1]


def _is_pair_of_sentences(row: Any) -> bool:
    if not isinstance(row, list | tuple) or len(row) != 2:
        return False
    return all(not isinstance(part, str) and hasattr(part, "__len__") for part in row)
