"""What a tokenizer's call takes becomes pieces, and these become rows of tokens."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.brief import Brief
from berthub.errors import InputError
from berthub.tokenization.alignment import WordNumbers
from berthub.tokenization.arguments import check_texts, with_pairs
from berthub.tokenization.assemble import Segments, Template, assemble, ranges
from berthub.tokenization.sentences import listed_sentences, split_segments
from berthub.tokenization.tokens import Tokens
from berthub.tokenization.windows import Windows
from berthub.vocabulary import Vocabulary

__all__ = ["Given", "Pieces", "Rows", "laid_out", "numbers_of_words", "pieces_of"]

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


@dataclass(frozen=True, eq=False, repr=False)
class Rows(Brief):
    """Rows of tokens, and which of these are special: bool [t]. `first` and `second` are where in the rows the pieces
    of the two texts are, in their order.
    """

    tokens: Tokens
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


def laid_out(
    first: Segments, second: Segments, has_second: Bools, windows: Windows, *, template: Template, special: bool
) -> Rows:
    """The rows that `windows` describe; without special tokens unless `special`."""
    pairs = has_second[windows.samples]
    own, other = windows.of(first, windows.first), windows.of(second, windows.second)
    tokens = assemble(own, other, pairs, template=template, max_length=None)
    bounds, begins = tokens.bounds, tokens.row_splits[:-1]
    assert bounds is not None, "assemble gives them"
    around = np.zeros(len(tokens.ids), np.bool_)
    around[begins] = around[tokens.row_splits[1:] - 1] = True
    around[ranges(begins + bounds[:, 0], np.where(pairs, bounds[:, 1] - bounds[:, 0], 0))] = True
    in_first, in_second = ranges(begins + 1, own.lengths), ranges(begins + bounds[:, 1], other.lengths)
    if special:
        return Rows(tokens, around, in_first, in_second)
    # How many special tokens stand before each token.
    before = np.cumsum(around)
    lengths = own.lengths + other.lengths
    bare = Tokens(
        ids=tokens.ids[~around],
        type_ids=tokens.type_ids[~around],
        row_splits=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        truncated=tokens.truncated,
        offsets=None if tokens.offsets is None else tokens.offsets[~around],
    )
    return Rows(
        bare,
        np.zeros(len(bare.ids), np.bool_),
        in_first - before[in_first],
        in_second - before[in_second],
    )


def _is_pair_of_sentences(row: Any) -> bool:
    if not isinstance(row, list | tuple) or len(row) != 2:
        return False
    return all(not isinstance(part, str) and hasattr(part, "__len__") for part in row)
