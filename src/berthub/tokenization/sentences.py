"""Sentences that are split into words already: their check, and the pieces of their words."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence, Set

import numpy as np
import numpy.typing as npt

from berthub.errors import InputError
from berthub.tokenization.assemble import Segments

__all__ = ["listed_sentences", "spaced", "split_segments"]

Ints = npt.NDArray[np.int64]


def listed_sentences(sentences: Iterable[Sequence[str]]) -> list[list[str]]:
    """The sentences as lists of words; `InputError` names the first sentence or word that is none."""
    if isinstance(sentences, str | bytes | Mapping) or not isinstance(sentences, Iterable):
        raise InputError(
            f"sentences are a list of lists of words, not of type {type(sentences).__name__}: "
            "split a text into words first, e.g. [text.split()]"
        )
    return [_words(index, sentence) for index, sentence in enumerate(sentences)]


def spaced(words: list[str], word_splits: Ints) -> list[str]:
    """The words of all sentences, with a blank before each but the first of its sentence."""
    first = set(word_splits.tolist())
    return [word if index in first else f" {word}" for index, word in enumerate(words)]


def split_segments(
    sentences: list[list[str]], segments: Callable[..., Segments], *, blanks: bool, offsets: bool
) -> tuple[Segments, Ints]:
    """The pieces of sentences, each word tokenized by itself, and of each piece the number of its word, int64 [t].

    `segments` is the tokenizer's, and `blanks` its `words_need_blanks`. Offsets are those in the word.
    """
    counts = np.fromiter(map(len, sentences), np.int64, len(sentences))
    word_splits = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    words = list(itertools.chain.from_iterable(sentences))
    found = segments(spaced(words, word_splits) if blanks else words, offsets=offsets)
    splits = np.concatenate([np.zeros(1, np.int64), np.cumsum(found.lengths)])
    numbers = np.arange(len(words)) - np.repeat(word_splits[:-1], counts)
    places = found.offsets
    if blanks and places is not None:
        places = np.maximum(places - np.repeat(numbers > 0, found.lengths)[:, None], 0).astype(np.int32)
    return Segments(found.ids, np.diff(splits[word_splits]), places), np.repeat(numbers, found.lengths)


def _words(index: int, sentence: Sequence[str]) -> list[str]:
    if isinstance(sentence, str):
        raise InputError(
            f"sentence {index} is a str, and a list of words is wanted: split it into words first, e.g. text.split()"
        )
    foreign = isinstance(sentence, bytes | Mapping | Set)
    if foreign or not isinstance(sentence, Iterable) or getattr(sentence, "ndim", 1) != 1:
        raise InputError(f"sentence {index} is of type {type(sentence).__name__}; a sentence is a list of words (str)")
    words = list(sentence)
    if set(map(type, words)) - {str}:
        for place, word in enumerate(words):
            if not isinstance(word, str):
                raise InputError(
                    f"word {place} of sentence {index} is of type {type(word).__name__}: {word!r:.60}; "
                    "a sentence is a list of words (str)"
                )
    return words
