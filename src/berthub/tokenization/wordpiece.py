"""Tokenization as in BERT: words, then WordPiece (Devlin et al., 2018; https://github.com/google-research/bert).

There is one class for each reference implementation. All use the tokenizers library. The classes for Google's code and
for TensorFlow Text use their own code for texts on which that library gives other pieces.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from berthub.tokenization.added import look_for_added
from berthub.tokenization.assemble import Segments, ranges
from berthub.tokenization.characters import SpacedText
from berthub.tokenization.google import BasicTokenizer, differs_from_library
from berthub.tokenization.pipeline import run, without_surrogates
from berthub.tokenization.tf_text import Spacer
from berthub.vocabulary import CONTINUED, Vocabulary

__all__ = ["GoogleWordPiece", "TFTextWordPiece", "TransformersWordPiece"]


# Google's `tokenization.py` gives up on words of more characters (`max_input_chars_per_word`).
_MOST_CHARACTERS = 200
# TensorFlow Text gives up on words of more bytes (`max_bytes_per_word`).
_MOST_BYTES = 100
# The tokenizers library gives up on words of more characters (`max_input_chars_per_word`).
_MOST_IN_LIBRARY = 100
# Only these can have more bytes, of which a character has at most four.
_MAYBE_LONG = re.compile(f"[^ ]{{{_MOST_BYTES // 4 + 1},}}")
# Which the library drops, and TensorFlow Text does not.
_ASCII_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

# An id, and the characters of the text that it stands for.
_Piece = tuple[int, int, int]


class GoogleWordPiece:
    """Tokenizes as Google's `FullTokenizer`: by the tokenizers library, or by `BasicTokenizer` where that differs."""

    # What follows a blank, or a Chinese character, does not change the pieces before it.
    splits_at_blanks = True

    def __init__(
        self, vocabulary: Vocabulary, *, lower_case: bool, strip_accents: bool | None, split_chinese: bool
    ) -> None:
        self.splits_chinese = split_chinese
        self._unknown = vocabulary.ids[vocabulary.unknown]
        self._model = _model(vocabulary, _MOST_CHARACTERS)
        self._pipeline = _pipeline(
            self._model,
            normalizers.BertNormalizer(
                clean_text=True,
                handle_chinese_chars=split_chinese,
                strip_accents=strip_accents,
                lowercase=lower_case,
            ),
        )
        self._spaced = _spaced_pipeline(self._model)
        self._basic = BasicTokenizer(
            lower_case=lower_case,
            strip_accents=lower_case if strip_accents is None else strip_accents,
            split_chinese=split_chinese,
        )

    def segments(self, texts: list[str], *, offsets: bool) -> Segments:
        """The bare pieces of texts."""
        different = np.fromiter(map(differs_from_library, texts), np.bool_, len(texts))
        same = run(self._pipeline, _chosen(texts, ~different), offsets=offsets)
        if not different.any():
            return same
        return _merged(same, self._as_google(_chosen(texts, different), offsets=offsets), different)

    def _as_google(self, texts: list[str], *, offsets: bool) -> Segments:
        texts = [*map(without_surrogates, texts)]
        hard: npt.NDArray[np.bool_]
        if offsets:
            aligned = [*map(self._basic.align, texts)]
            hard = np.fromiter((text is None for text in aligned), np.bool_, len(aligned))
            easy = _aligned([text for text in aligned if text is not None], partial(run, self._spaced, offsets=True))
        else:
            spaced = [*map(self._basic.spaced, texts)]
            hard = np.fromiter((text is None for text in spaced), np.bool_, len(spaced))
            easy = run(self._spaced, [text for text in spaced if text is not None], offsets=False)
        return _merged(easy, self._one_by_one(_chosen(texts, hard), offsets=offsets), hard)

    def _one_by_one(self, texts: list[str], *, offsets: bool) -> Segments:
        rows = [[*self._pieces(text)] for text in texts]
        flat = np.array([*itertools.chain.from_iterable(rows)], np.int32).reshape(-1, 3)
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        return Segments(flat[:, 0].copy(), lengths, _in_order(flat[:, 1:], lengths) if offsets else None)

    def _pieces(self, text: str) -> Iterator[_Piece]:
        for word in self._basic.words(text):
            place = 0
            for token in self._model.tokenize(word.text):
                whole = token.id == self._unknown
                size = len(word.text) if whole else len(token.value.removeprefix(CONTINUED if place else ""))
                origins = word.origins[place : place + size]
                yield token.id, min(origins), max(origins) + 1
                place += size


class TFTextWordPiece:
    """Tokenizes as TF Hub's preprocessing models: ASCII by the tokenizers library, other texts after a `Spacer`."""

    splits_at_blanks = splits_chinese = True

    def __init__(self, vocabulary: Vocabulary, *, lower_case: bool) -> None:
        model = _model(vocabulary, _MOST_BYTES)
        self._ascii = _pipeline(model, normalizers.BertNormalizer(lowercase=lower_case))
        self._spaced = _spaced_pipeline(model)
        self._spacer = Spacer(lower_case=lower_case)
        known = set().union(*vocabulary.pieces)
        # A character that makes a word unknown.
        self._foreign = next(chr(code) for code in itertools.count(0xE000) if chr(code) not in known)

    def segments(self, texts: list[str], *, offsets: bool) -> Segments:
        """The bare pieces of texts."""
        other = np.fromiter((not _is_plain(text) for text in texts), np.bool_, len(texts))
        fast = run(self._ascii, _chosen(texts, ~other), offsets=offsets)
        if not other.any():
            return fast
        others = [*map(without_surrogates, _chosen(texts, other))]
        if offsets:
            slow = _aligned([*map(self._spacer.align, others)], partial(self._split, offsets=True))
        else:
            slow = self._split([*map(self._spacer, others)], offsets=False)
        return _merged(fast, slow, other)

    def _split(self, spaced: list[str], *, offsets: bool) -> Segments:
        return run(self._spaced, [*map(self._without_long, spaced)], offsets=offsets)

    def _without_long(self, spaced: str) -> str:
        """The text with an unknown character in each word of more than `_MOST_BYTES` bytes."""
        if spaced.isascii():
            # The library counts characters, which are as many.
            return spaced

        def foreign(match: re.Match[str]) -> str:
            word = match[0]
            return self._foreign + word[1:] if len(word.encode()) > _MOST_BYTES else word

        return _MAYBE_LONG.sub(foreign, spaced)


class TransformersWordPiece:
    """Tokenizes as transformers' `BertTokenizer`, which first looks for added and special tokens in a text."""

    def __init__(
        self, vocabulary: Vocabulary, *, lower_case: bool, strip_accents: bool | None, split_chinese: bool
    ) -> None:
        self._pipeline = _pipeline(
            _model(vocabulary, _MOST_IN_LIBRARY),
            normalizers.BertNormalizer(
                clean_text=True,
                handle_chinese_chars=split_chinese,
                strip_accents=strip_accents,
                lowercase=lower_case,
            ),
        )
        look_for_added(self._pipeline, vocabulary)

    def segments(self, texts: list[str], *, offsets: bool) -> Segments:
        """The bare pieces of texts."""
        return run(self._pipeline, texts, offsets=offsets)


def _model(vocabulary: Vocabulary, longest: int) -> models.WordPiece:
    return models.WordPiece(
        dict(vocabulary.own_ids),
        unk_token=vocabulary.unknown,
        max_input_chars_per_word=longest,
        continuing_subword_prefix=CONTINUED,
    )


def _pipeline(model: models.WordPiece, normalizer: normalizers.BertNormalizer) -> Tokenizer:
    pipeline = Tokenizer(model)
    pipeline.normalizer = normalizer
    pipeline.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return pipeline


def _spaced_pipeline(model: models.WordPiece) -> Tokenizer:
    """A pipeline for texts whose words are separated by blanks already."""
    pipeline = Tokenizer(model)
    pipeline.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(" ")
    return pipeline


def _is_plain(text: str) -> bool:
    # The first is by far the faster one, and true of most texts.
    return text.isascii() and (text.isprintable() or _ASCII_CONTROL.search(text) is None)


def _chosen(texts: list[str], which: npt.NDArray[np.bool_]) -> list[str]:
    return texts if which.all() else [*itertools.compress(texts, which.tolist())]


def _aligned(spaced: list[SpacedText], split: Callable[[list[str]], Segments]) -> Segments:
    """The pieces of spaced texts, with offsets in the texts that these were made of."""
    found = split([text.text for text in spaced])
    assert found.offsets is not None
    return Segments(found.ids, found.lengths, _in_order(_origins(spaced, found.offsets, found.lengths), found.lengths))


def _origins(
    spaced: Sequence[SpacedText], offsets: npt.NDArray[np.int32], lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.int32]:
    """Places in spaced texts as places in the texts that they were made of: int32 [t, 2]."""
    if not len(offsets):
        return offsets
    sizes = np.fromiter((len(text.text) for text in spaced), np.int64, len(spaced))
    # One more entry: a place may be the end of the last text.
    flat = np.concatenate([*(text.origins for text in spaced), np.zeros(1, np.int32)])
    places = (offsets + np.repeat(np.cumsum(sizes) - sizes, lengths)[:, None]).ravel()
    starts = np.minimum.reduceat(flat, places)[::2]
    ends = np.maximum.reduceat(flat, places)[::2] + 1
    return np.stack([starts, ends], 1)


def _in_order(places: npt.NDArray[np.int32], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Widen the offsets of pieces whose characters have changed places, so that starts and ends never go backwards."""
    places = places.copy()
    starts, ends = places[:, 0], places[:, 1]
    splits = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    rows = np.repeat(np.arange(len(lengths)), lengths)
    back = (rows[1:] == rows[:-1]) & ((starts[1:] < starts[:-1]) | (ends[1:] < ends[:-1]))
    for row in np.unique(rows[1:][back]).tolist():
        part = slice(splits[row], splits[row + 1])
        starts[part] = np.minimum.accumulate(starts[part][::-1])[::-1]
        ends[part] = np.maximum.accumulate(ends[part])
    return places


def _merged(others: Segments, chosen: Segments, which: npt.NDArray[np.bool_]) -> Segments:
    """The segments of all rows: those of `chosen` where `which` is true, those of `others` elsewhere."""
    if not which.any():
        return others
    if which.all():
        return chosen
    lengths = np.empty(len(which), np.int64)
    lengths[which], lengths[~which] = chosen.lengths, others.lengths
    begins = np.cumsum(lengths) - lengths
    ids = np.empty(int(lengths.sum()), np.int32)
    offsets = None if others.offsets is None else np.empty((len(ids), 2), np.int32)
    for rows, segments in ((which, chosen), (~which, others)):
        target = ranges(begins[rows], segments.lengths)
        ids[target] = segments.ids
        if offsets is not None and segments.offsets is not None:
            offsets[target] = segments.offsets
    return Segments(ids, lengths, offsets)
