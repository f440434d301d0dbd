"""Normalize texts before a SentencePiece model tokenizes them, and tell which character came from where."""

import functools
import itertools
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from berthub.choices import Tokenization
from berthub.tokenization.characters import REMEMBERED, CharacterTable, is_pinned, lowered
from berthub.tokenization.tf_text import composed, decomposed, folded, is_mark, joins_newer

__all__ = ["Aligned", "Normalizer"]

Ints = npt.NDArray[np.int32]

_WORD = re.compile(r"\S+")
_WORD_OR_BLANKS = re.compile(r"\S+|\s+")


@dataclass(frozen=True, eq=False)
class Aligned:
    """A changed text; `starts` and `ends` int32 [len(text)] say which characters of the original became each of its."""

    text: str
    starts: Ints
    ends: Ints


class Normalizer:
    """Normalizes texts, which have no lone surrogates, as `tokenization` does before SentencePiece tokenizes them.

    `google` is `preprocess_text` of ALBERT's tokenization.py (https://github.com/google-research/albert), `tf_text`
    what TF Hub's preprocessing models do with the operations of TensorFlow Text.
    """

    def __init__(self, tokenization: Tokenization, *, lower_case: bool, strip_accents: bool) -> None:
        google = tokenization == "google"
        self._lower_case = lower_case
        self._collapses = google
        self._change = (_google if google else _tf_text)(lower_case, strip_accents)
        self._joins = _joins if google else _joins_in_tf_text
        self._size = functools.lru_cache(maxsize=REMEMBERED)(lambda character: len(self._changed(character)))

    def __call__(self, text: str) -> str:
        """The changed text."""
        return self._changed(_collapsed(text) if self._collapses else text)

    def align(self, text: str) -> Aligned:
        """The changed text, and where it came from."""
        kept, places = text, np.arange(len(text) + 1, dtype=np.int32)
        if self._collapses and _collapsed(text) != text:
            words = [match.span() for match in _WORD.finditer(text)]
            kept = " ".join(text[begin:end] for begin, end in words)
            # A blank stands for the first of those that were there.
            runs = [places[begin : end + 1] for begin, end in words]
            places = np.concatenate([*runs, places[:0]])
        places = places[: len(kept)]
        changed = self._changed(kept)
        if kept.isascii() and len(changed) == len(kept):
            return Aligned(changed, places, places + 1)
        lengths, sizes = np.array(self._units(kept, len(changed)), np.int64).reshape(-1, 2).T
        behind = np.cumsum(lengths)
        return Aligned(changed, np.repeat(places[behind - lengths], sizes), np.repeat(places[behind - 1] + 1, sizes))

    def _changed(self, text: str) -> str:
        if text.isascii():
            return text.lower() if self._lower_case else text
        return self._change(text)

    def _units(self, text: str, total: int) -> list[tuple[int, int]]:
        """The lengths of parts of the text that change by themselves, before and after."""
        for split in (self._characters, _WORD_OR_BLANKS.findall):
            units = [
                (len(part), self._size(part) if len(part) == 1 else len(self._changed(part))) for part in split(text)
            ]
            if sum(size for _, size in units) == total:
                return units
        return [(len(text), total)]

    def _characters(self, text: str) -> list[str]:
        """The characters of a text, each with the marks behind it, that might be composed with it."""
        begins = [place for place, character in enumerate(text) if not place or not self._joins(character)]
        return [text[begin:end] for begin, end in itertools.pairwise([*begins, len(text)])]


def _collapsed(text: str) -> str:
    if text.isascii() and text.isprintable() and "  " not in text:
        # The only blanks that it can have: the same, by far faster.
        return text.strip()
    return " ".join(text.split())


def _google(lower_case: bool, strip_accents: bool) -> Callable[[str], str]:
    bare = CharacterTable(_bare)

    def change(text: str) -> str:
        if strip_accents:
            text = text.translate(bare)
        return lowered(text) if lower_case else text

    return change


def _tf_text(lower_case: bool, strip_accents: bool) -> Callable[[str], str]:
    without_marks = CharacterTable(lambda character: "" if is_mark(character) else character)
    folding = CharacterTable(folded)

    def change(text: str) -> str:
        if strip_accents:
            text = decomposed(text).translate(without_marks)
        # Unicode's NFKC_Casefold: the characters of the folded ones are composed.
        return composed(text.translate(folding)) if lower_case else text

    return change


def _bare(character: str) -> str:
    """The compatibility decomposition, without combining characters: whose order makes no difference then."""
    if not is_pinned(character):
        return character
    return "".join(itertools.filterfalse(unicodedata.combining, unicodedata.normalize("NFKD", character)))


@functools.lru_cache(maxsize=REMEMBERED)
def _joins(character: str) -> bool:
    # Beside the marks: the vowels and finals of Korean syllables.
    return is_pinned(character) and (unicodedata.category(character)[0] == "M" or "\u1160" <= character <= "\u11ff")


def _joins_in_tf_text(character: str) -> bool:
    return _joins(character) or joins_newer(character)
