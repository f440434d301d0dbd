"""What tokens stand for in their texts: which text of a pair, which bytes, which word."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from berthub.tokenization.arguments import Text
from berthub.tokenization.google import BasicTokenizer
from berthub.tokenization.pipeline import without_surrogates
from berthub.tokenization.tokens import Tokens
from berthub.vocabulary import CONTINUED, Vocabulary

__all__ = ["WordNumbers", "byte_offsets", "second_starts", "word_ids"]

Ints = npt.NDArray[np.int64]


def second_starts(tokens: Tokens, *, separate: int) -> Ints:
    """Where in each row its last text begins: the second of a pair, or the only one, int64 [n].

    Tokens of foreign making have no `bounds`: then it is told by `separate`, the id of `[SEP]`, as if no text held it.
    """
    if tokens.bounds is not None:
        return tokens.bounds[:, 1]
    places = np.flatnonzero(tokens.ids == separate)
    counts = np.bincount(np.searchsorted(tokens.row_splits, places, side="right") - 1, minlength=len(tokens))
    starts = np.ones(len(tokens), np.int64)
    pairs = counts > 1
    # The last separator but one stands before the second text.
    starts[pairs] = places[np.cumsum(counts)[pairs] - 2] - tokens.row_splits[:-1][pairs] + 1
    return starts


def byte_offsets(tokens: Tokens, texts: Sequence[Text], *, separate: int) -> npt.NDArray[np.int32]:
    """The character offsets of `tokens` as places in the UTF-8 of the texts: int32 [t, 2].

    `texts` are those that the tokens were made of. A lone surrogate counts as the three bytes of U+FFFD.
    """
    assert tokens.offsets is not None, "the tokens were made with offsets"
    places = tokens.offsets.copy()
    for part, begin, end in _parts(tokens, texts, separate):
        if not part.isascii():
            places[begin:end] = _byte_places(part)[places[begin:end]]
    return places


def word_ids(tokens: Tokens, texts: Sequence[Text], vocabulary: Vocabulary) -> list[list[int | None]]:
    """For each token the number of its word in its text, counted from 0; None for special tokens.

    `tokens` have offsets, unless the vocabulary is one of word pieces.
    """
    separate = vocabulary.ids[vocabulary.separate]
    flat: list[int | None] = [None] * len(tokens.ids)
    numbers = WordNumbers(vocabulary)
    for part, begin, end in _parts(tokens, texts, separate):
        places = None if tokens.offsets is None else tokens.offsets[begin:end]
        flat[begin:end] = numbers(tokens.ids[begin:end], places, part).tolist()
    return [flat[begin:end] for begin, end in itertools.pairwise(tokens.row_splits.tolist())]


class WordNumbers:
    """Numbers the words of a text's pieces, from 0 on: words are those of BERT, punctuation marks among them."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._wordpiece = vocabulary.algorithm == "wordpiece"
        self._continued = np.array([self._wordpiece and piece.startswith(CONTINUED) for piece in vocabulary.pieces])
        self._basic = BasicTokenizer(lower_case=False, strip_accents=False, split_chinese=True)

    def __call__(self, ids: npt.NDArray[np.int32], offsets: npt.NDArray[np.int32] | None, text: str) -> Ints:
        """The number of the word of each piece of `text`, int64; offsets may be None for word pieces."""
        if self._wordpiece:
            new = ~self._continued[ids]
        else:
            assert offsets is not None, "the tokens were made with offsets"
            numbers = _words(self._basic, text)[offsets[:, 0]]
            new = np.diff(np.maximum.accumulate(numbers), prepend=-1) > 0
        # Words without tokens are not counted.
        return np.cumsum(new) - 1


def _parts(tokens: Tokens, texts: Sequence[Text], separate: int) -> Iterator[tuple[str, int, int]]:
    """Every text, of pairs both, and from where to where its tokens are, special ones left out."""
    starts = tokens.row_splits[:-1] + second_starts(tokens, separate=separate)
    for row, (text, begin, start, end) in enumerate(
        zip(texts, tokens.row_splits[:-1].tolist(), starts.tolist(), tokens.row_splits[1:].tolist(), strict=True)
    ):
        if isinstance(text, str):
            yield text, begin + 1, end - 1
            continue
        first, second = text
        if tokens.bounds is not None:
            yield first, begin + 1, begin + int(tokens.bounds[row, 0])
        else:
            yield first, begin + 1, begin + int((tokens.ids[begin:start] == separate).argmax())
        yield second, start, end - 1


def _byte_places(text: str) -> npt.NDArray[np.int32]:
    """Where each character begins in UTF-8, and where the last one ends: int32 [characters + 1]."""
    points = np.frombuffer(without_surrogates(text).encode("utf-32-le"), np.uint32)
    sizes = 1 + (points > 0x7F) + (points > 0x7FF) + (points > 0xFFFF)
    return np.concatenate([np.zeros(1, np.int32), np.cumsum(sizes, dtype=np.int32)])


def _words(basic: BasicTokenizer, text: str) -> Ints:
    """The number of the word of every character, int64 [characters + 1]; what is in none belongs to the next."""
    words = basic.words(text)
    numbers = np.full(len(text) + 1, max(0, len(words) - 1), np.int64)
    origins = [word.origins for word in words]
    flat = np.fromiter(itertools.chain.from_iterable(origins), np.int64)
    numbers[flat] = np.repeat(np.arange(len(words)), [*map(len, origins)])
    return np.minimum.accumulate(numbers[::-1])[::-1]
