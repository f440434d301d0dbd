"""Tokenize sentences that are split into words already; for each word it is known where its tokens are."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from berthub.tokenization.assemble import ranges
from berthub.tokenization.sentences import listed_sentences, spaced
from berthub.tokenization.tokenizer import Tokenizer
from berthub.tokenization.tokens import Tokens

__all__ = ["WordTokens", "word_tokens"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class WordTokens:
    """The tokens of `n` sentences, `w` words in all, in `r` rows `[CLS] pieces [SEP]`.

    `tokens` holds the rows, and marks as truncated those whose only word was truncated. `sentences` int64 [r] is the
    sentence that a row belongs to: a long one has several rows, an empty one none. Words are counted in the order of
    sentence and word: those of sentence `i` are from `word_splits[i]` to `word_splits[i + 1]` (int64 [n + 1]), and
    `first_pieces` int64 [w] is where in `tokens.ids` the first piece of each is.
    """

    tokens: Tokens
    sentences: Ints
    first_pieces: Ints
    word_splits: Ints

    @property
    def rows(self) -> Ints:
        """The row that each word is in, in ascending order: int64 [w]."""
        return np.searchsorted(self.tokens.row_splits, self.first_pieces, side="right") - 1


def word_tokens(tokenizer: Tokenizer, sentences: Iterable[Sequence[str]], *, max_length: int) -> WordTokens:
    """The tokens of sentences given as lists of words; each word is tokenized by itself.

    Where blanks belong to pieces (byte pairs), there is one before every word of a sentence but the first.

    Every word has at least one piece, the unknown one if the tokenizer leaves nothing of it, and is in exactly one
    row: a sentence longer than `max_length` tokens is split between words into rows that follow each other. A word
    that is too long for any row keeps its first pieces. `InputError` names the first sentence or word at fault.
    """
    vocabulary = tokenizer.vocabulary
    capacity = tokenizer.checked_length(max_length, least=3) - 2
    listed = listed_sentences(sentences)
    counts = np.fromiter(map(len, listed), np.int64, len(listed))
    words = list(itertools.chain.from_iterable(listed))
    word_splits = _splits(counts)
    segments = tokenizer.segments(spaced(words, word_splits) if tokenizer.words_need_blanks else words)

    kept = np.clip(segments.lengths, 1, capacity)
    starts = _row_starts(kept, word_splits, capacity)
    rows = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(words)))
    row_splits = _splits(np.bincount(rows, kept, len(starts)).astype(np.int64) + 2)
    first_pieces = np.cumsum(kept) - kept + 2 * rows + 1

    ids = np.full(int(row_splits[-1]), vocabulary.ids[vocabulary.separate], np.int32)
    ids[row_splits[:-1]] = vocabulary.ids[vocabulary.classify]
    # Stays where a word has no piece of its own.
    ids[first_pieces] = vocabulary.ids[vocabulary.unknown]
    own = np.minimum(segments.lengths, capacity)
    ids[ranges(first_pieces, own)] = segments.ids[ranges(np.cumsum(segments.lengths) - segments.lengths, own)]
    truncated = np.zeros(len(starts), np.bool_)
    truncated[rows[segments.lengths > capacity]] = True
    return WordTokens(
        tokens=Tokens(ids=ids, type_ids=np.zeros_like(ids), row_splits=row_splits, truncated=truncated),
        sentences=np.searchsorted(word_splits, starts, side="right") - 1,
        first_pieces=first_pieces,
        word_splits=word_splits,
    )


def _row_starts(pieces: Ints, word_splits: Ints, capacity: int) -> Ints:
    """The first word of every row: as many words of one sentence as have at most `capacity` pieces together."""
    before = _splits(pieces)
    fit = np.searchsorted(before, before[:-1] + capacity, side="right") - 1
    ends = np.repeat(word_splits[1:], np.diff(word_splits))
    following = np.minimum(fit, ends).tolist()
    starts = []
    word = 0
    while word < len(following):
        starts.append(word)
        word = following[word]
    return np.array(starts, np.int64)


def _splits(lengths: Ints) -> Ints:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
