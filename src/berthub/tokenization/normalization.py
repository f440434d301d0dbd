"""How texts are changed before a SentencePiece model cuts them, and which character came from where."""

import itertools
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from berthub.config import Reference
from berthub.tokenization.tf_text import folded, is_mark

__all__ = ["Aligned", "Normalizer"]

_WORD = re.compile(r"\S+")
_WORD_OR_BLANKS = re.compile(r"\S+|\s+")


@dataclass(frozen=True)
class Aligned:
    """A changed text; `starts` and `ends` say which characters of the original each of its characters came from."""

    text: str
    starts: list[int]
    ends: list[int]


class Normalizer:
    """Changes texts before SentencePiece cuts them, as `reference` does.

    `google` is `preprocess_text` of ALBERT's tokenization.py (https://github.com/google-research/albert), `tf_text`
    what TF Hub's preprocessing models do with the operations of TensorFlow Text.
    """

    def __init__(self, reference: Reference, *, lower_case: bool, strip_accents: bool) -> None:
        self._collapses = reference == "google"
        self._change = _google(lower_case, strip_accents) if self._collapses else _tf_text(lower_case, strip_accents)

    def __call__(self, text: str) -> str:
        """The changed text."""
        return self._change(" ".join(text.split()) if self._collapses else text)

    def align(self, text: str) -> Aligned:
        """The changed text, and where it came from."""
        kept, places = text, list(range(len(text)))
        if self._collapses:
            words = [match.span() for match in _WORD.finditer(text)]
            kept = " ".join(text[begin:end] for begin, end in words)
            # A blank stands for the first of those that were there.
            places = list(itertools.chain.from_iterable(range(begin, end + 1) for begin, end in words))[: len(kept)]
        changed = self._change(kept)
        if kept.isascii() and len(changed) == len(kept):
            return Aligned(changed, places, [place + 1 for place in places])
        units = self._units(kept, len(changed))
        starts, ends, position = [], [], 0
        for unit, size in units:
            starts += [places[position]] * size
            position += unit
            ends += [places[position - 1] + 1] * size
        return Aligned(changed, starts, ends)

    def _units(self, text: str, total: int) -> list[tuple[int, int]]:
        """The lengths of parts of the text that change by themselves, before and after."""
        for cut in (_characters, _WORD_OR_BLANKS.findall):
            units = [(len(part), len(self._change(part))) for part in cut(text)]
            if sum(size for _, size in units) == total:
                return units
        return [(len(text), total)]


def _google(lower_case: bool, strip_accents: bool) -> Callable[[str], str]:
    def change(text: str) -> str:
        if strip_accents and not text.isascii():
            text = "".join(itertools.filterfalse(unicodedata.combining, unicodedata.normalize("NFKD", text)))
        return text.lower() if lower_case else text

    return change


def _tf_text(lower_case: bool, strip_accents: bool) -> Callable[[str], str]:
    def change(text: str) -> str:
        if text.isascii():
            return text.lower() if lower_case else text
        if strip_accents:
            text = "".join(itertools.filterfalse(is_mark, unicodedata.normalize("NFD", text)))
        # Unicode's NFKC_Casefold: the characters of the folded ones are composed.
        return unicodedata.normalize("NFC", "".join(map(folded, text))) if lower_case else text

    return change


def _characters(text: str) -> list[str]:
    """The characters of a text, each with the marks behind it, that might be composed with it."""
    parts: list[str] = []
    for character in text:
        # Behind the marks: the vowels and finals of Korean syllables.
        if parts and (unicodedata.category(character)[0] == "M" or "\u1160" <= character <= "\u11ff"):
            parts[-1] += character
        else:
            parts.append(character)
    return parts
