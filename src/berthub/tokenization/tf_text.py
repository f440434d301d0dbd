"""The words that TF Hub's preprocessing models (`bert_*_preprocess`) split texts into, to the letter.

They are made of TensorFlow Text's operations, as `BasicTokenizer` in its `bert_tokenizer.py` puts them together: case
folding, decomposition, marks removed, control and format characters replaced by blanks, a split at blanks and around
punctuation and Chinese characters. All of that but the order of marks happens to each character by itself, and so is a
table here.
"""

import functools
import re
import unicodedata

import numpy as np

from berthub.tokenization.characters import (
    REMEMBERED,
    CharacterTable,
    SpacedText,
    all_pinned,
    in_canonical_order,
    is_pinned,
)
from berthub.tokenization.tf_text_table import (
    NEWER_COMBINING,
    NEWER_CONTROL,
    NEWER_DECOMPOSED,
    NEWER_FOLDED,
    NEWER_MARK,
    NEWER_PUNCTUATION,
    NEWER_STAYING,
)
from berthub.tokenization.unicode_table import (
    CHINESE,
    CONTROL,
    IGNORABLE,
    MARK,
    PUNCTUATION,
    STAYING,
    SYMBOLS,
    character_class,
)

__all__ = ["Spacer", "composed", "decomposed", "folded", "is_ignorable", "is_mark", "joins_newer"]


class Spacer:
    """Puts blanks between the words of texts, after folding their case (`lower_case`); lone surrogates are excluded."""

    def __init__(self, *, lower_case: bool) -> None:
        self._spaced = CharacterTable(self._becomes)
        self._lower_case = lower_case

    def __call__(self, text: str) -> str:
        """The words of a text, with one or more blanks between them."""
        spaced = text.translate(self._spaced)
        return self._reordered(text)[0] if self._must_reorder(spaced) else spaced

    def align(self, text: str) -> SpacedText:
        """The same, and what each character came from."""
        spaced = self._spaced.align(text)
        if not self._must_reorder(spaced.text):
            return spaced
        reordered, places = self._reordered(text)
        return SpacedText(reordered, np.array(places, np.int32))

    def _becomes(self, character: str) -> str:
        parts = folded(character) if self._lower_case else character
        return "".join(_spaced(part, lower_case=self._lower_case) for part in parts)

    def _must_reorder(self, spaced: str) -> bool:
        # Of the characters that stay, few change places, and only next to each other.
        return self._lower_case and not spaced.isascii() and _reordering().search(spaced) is not None

    def _reordered(self, text: str) -> tuple[str, list[int]]:
        """In canonical order (Unicode Standard Annex #15), which is set up while the marks are still there."""
        decomposed = ((part, place) for place, character in enumerate(text) for part in folded(character))
        ordered = in_canonical_order(decomposed, _combining)
        parts = [(_spaced(part, lower_case=True), place) for part, place in ordered]
        return "".join(part for part, _ in parts), [place for part, place in parts for _ in part]


@functools.lru_cache(maxsize=REMEMBERED)
def folded(character: str) -> str:
    """The canonical decomposition of NFKC_Casefold (The Unicode Standard, 3.13, "Default Caseless Matching")."""
    if character.isascii():
        return character.lower()
    if is_ignorable(character):
        return ""
    if not is_pinned(character):
        return NEWER_FOLDED.get(character, character)
    kept = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", character).casefold()).casefold()
    return unicodedata.normalize("NFKD", _ignorable().sub("", kept))


def decomposed(text: str) -> str:
    """Canonically decomposed: NFD (Unicode Standard Annex #15)."""
    return _in_order(text.translate(_decompositions()))


def composed(text: str) -> str:
    """The canonical composition, NFC, of decomposed characters in whatever order."""
    text = _in_order(text)
    if all_pinned(text):
        return unicodedata.normalize("NFC", text)
    parts: list[str] = []
    starter, before = -1, 0
    for part in text:
        combining = _combining(part)
        # Others between it and the starter are in the way, unless their class is lower.
        if starter >= 0 and (starter == len(parts) - 1 or before < combining):
            pair = _composition(parts[starter], part)
            if pair is not None:
                parts[starter] = pair
                continue
        if not combining:
            starter = len(parts)
        before = combining
        parts.append(part)
    return "".join(parts)


def joins_newer(character: str) -> bool:
    """Whether a character that is not in `unicode_table` may change places, or be composed with what is before it."""
    return character in NEWER_COMBINING or character in _newer_seconds()


def is_ignorable(character: str) -> bool:
    """Whether NFKC_Casefold drops the character."""
    return _ignorable().match(character) is not None


@functools.lru_cache(maxsize=REMEMBERED)
def is_mark(character: str) -> bool:
    """Whether the character is a nonspacing mark (Mn), which goes where accents do."""
    return _mark().match(character) is not None


def _spaced(part: str, *, lower_case: bool) -> str:
    if _blank().match(part):
        return " "
    if _alone().match(part):
        return f" {part} "
    return "" if lower_case and is_mark(part) else part


@functools.cache
def _blank() -> re.Pattern[str]:
    return re.compile(f"[ {character_class((*CONTROL, *NEWER_CONTROL))}]")


@functools.cache
def _alone() -> re.Pattern[str]:
    return re.compile(f"[{character_class((*SYMBOLS, *PUNCTUATION, *NEWER_PUNCTUATION, *CHINESE))}]")


@functools.cache
def _mark() -> re.Pattern[str]:
    return re.compile(f"[{character_class((*MARK, *NEWER_MARK))}]")


@functools.cache
def _ignorable() -> re.Pattern[str]:
    return re.compile(f"[{character_class(IGNORABLE)}]")


@functools.cache
def _reordering() -> re.Pattern[str]:
    return re.compile(f"[{character_class((*STAYING, *NEWER_STAYING))}]{{2}}")


def _decomposition(character: str) -> str:
    if is_pinned(character):
        return unicodedata.normalize("NFD", character)
    return NEWER_DECOMPOSED.get(character, character)


def _in_order(text: str) -> str:
    """In canonical order: `unicodedata` takes quadratic time for it where many marks follow each other."""
    classes = np.frombuffer(text.translate(_classes()).encode("latin-1"), np.uint8)
    if not ((classes[1:] < classes[:-1]) & (classes[1:] > 0)).any():
        return text
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    return codes[np.lexsort((classes, np.cumsum(classes == 0)))].tobytes().decode("utf-32-le")


@functools.cache
def _decompositions() -> CharacterTable:
    return CharacterTable(_decomposition)


@functools.cache
def _classes() -> CharacterTable:
    return CharacterTable(lambda character: chr(_combining(character)))


@functools.lru_cache(maxsize=REMEMBERED)
def _composition(first: str, second: str) -> str | None:
    """The character that the two are composed to, if there is one."""
    if all_pinned(first + second):
        pair = unicodedata.normalize("NFC", first + second)
        return pair if len(pair) == 1 else None
    return _newer_composed().get(_decomposition(first) + _decomposition(second))


@functools.cache
def _newer_composed() -> dict[str, str]:
    return {parts: character for character, parts in NEWER_DECOMPOSED.items()}


@functools.cache
def _newer_seconds() -> frozenset[str]:
    return frozenset("".join(parts[1:] for parts in NEWER_DECOMPOSED.values()))


def _combining(character: str) -> int:
    if is_pinned(character):
        return unicodedata.combining(character)
    return NEWER_COMBINING.get(character, 0)
