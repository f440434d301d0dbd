"""Google's basic tokenization, to the letter (https://github.com/google-research/bert, `tokenization.py`, 2018).

The tokenizers library's BERT settings differ from it on some hundred characters, and in capital sigma at a word's end.
Texts that hold none of these go through the library (`differs_from_library` tells); the others go through this module,
which is slower and exact.
"""

import functools
import re
import unicodedata
from dataclasses import dataclass

from berthub.tokenization.characters import (
    REMEMBERED,
    CharacterTable,
    SpacedText,
    in_canonical_order,
    is_pinned,
    lowered,
)
from berthub.tokenization.unicode_table import (
    CHINESE,
    CONTROL,
    MARK,
    PUNCTUATION,
    SPACE,
    STAYING,
    SYMBOLS,
    UNASSIGNED,
    UNLIKE_LIBRARY,
    character_class,
)

__all__ = ["BasicTokenizer", "Word", "differs_from_library"]


@dataclass(frozen=True)
class Word:
    """A word, and for each of its characters which one of the original text it came from."""

    text: str
    origins: list[int]


def differs_from_library(text: str) -> bool:
    """Whether the tokenizers library might split this text otherwise than Google's code."""
    return not text.isascii() and _unlike().search(text) is not None


class BasicTokenizer:
    """Cleans, splits and (with `lower_case`) lower-cases texts; `strip_accents` and `split_chinese` can be chosen."""

    def __init__(self, *, lower_case: bool, strip_accents: bool, split_chinese: bool) -> None:
        self._lower_case = lower_case
        self._strip_accents = strip_accents
        self._split_chinese = split_chinese
        self._table = CharacterTable(self._becomes)
        self._cleaned = CharacterTable(self._cleans)

    def words(self, text: str) -> list[Word]:
        """The words of a text, in order."""
        return [
            Word("".join(characters), origins)
            for token, places in self._tokens(text)
            for characters, origins in _split_punctuation(*self._normalized(token, places))
        ]

    def spaced(self, text: str) -> str | None:
        """The words of a text with blanks between them; None where characters do not become words one by one."""
        spaced = self._with_small_sigmas(text).translate(self._table)
        return None if self._must_reorder(spaced) else spaced

    def align(self, text: str) -> SpacedText | None:
        """The same, and what each character came from."""
        spaced = self._table.align(self._with_small_sigmas(text))
        return None if self._must_reorder(spaced.text) else spaced

    def _with_small_sigmas(self, text: str) -> str:
        """The text with the lower-case form of each capital sigma, which depends on what stands around it."""
        if not self._lower_case or _SIGMA not in text:
            return text
        forms = re.findall(f"[{_SMALL_SIGMAS}]", lowered(text.translate(self._cleaned)))
        return "".join(form + part for form, part in zip(("", *forms), text.split(_SIGMA), strict=True))

    def _cleans(self, character: str) -> str:
        """What becomes of a character before it is lower-cased; another letter for a small sigma."""
        match _kind(character):
            case "dropped":
                return ""
            case "blank":
                return " "
            case "chinese" if self._split_chinese:
                return f" {character} "
            case _:
                return "s" if character in _SMALL_SIGMAS else character

    def _must_reorder(self, spaced: str) -> bool:
        # Of the characters that stay, few change places, and only next to each other.
        return self._strip_accents and not spaced.isascii() and _reordering().search(spaced) is not None

    def _becomes(self, character: str) -> str:
        """What a character that stands alone becomes, with blanks around what is a word by itself."""
        match _kind(character):
            case "dropped":
                return ""
            case "blank":
                return " "
            case kind:
                words = self._normalized(character, [0])[0]
                split = "".join(
                    " " if part.isspace() else f" {part} " if _is_punctuation(part) else part for part in words
                )
                return f" {split} " if kind == "chinese" and self._split_chinese else split

    def _tokens(self, text: str) -> list[tuple[str, list[int]]]:
        """The tokens of the cleaned text, split at white space and around Chinese characters."""
        tokens: list[tuple[str, list[int]]] = []
        characters: list[str] = []
        places: list[int] = []

        def end() -> None:
            if characters:
                tokens.append(("".join(characters), places.copy()))
                characters.clear()
                places.clear()

        for place, character in enumerate(text):
            kind = _kind(character)
            if kind == "dropped":
                continue
            if kind == "blank":
                end()
                continue
            if kind == "chinese" and self._split_chinese:
                end()
                tokens.append((character, [place]))
                continue
            characters.append(character)
            places.append(place)
        end()
        return tokens

    def _normalized(self, token: str, places: list[int]) -> tuple[str, list[int]]:
        if self._lower_case:
            token, places = _lowered(token, places)
        return _without_marks(token, places) if self._strip_accents else (token, places)


# Beyond the first 65,536 code points: emoji and Chinese, on which the two agree; all others go through this module.
_AGREED = ((0x1F300, 0x1F6D7), (0x20000, 0x2A6DF), (0x2A700, 0x2B738), (0x2B740, 0x2B81D), (0x2F800, 0x2FA1D))
_PRIVATE = (0xE000, 0xF8FF)
_SIGMA, _SMALL_SIGMAS = "\u03a3", "\u03c3\u03c2"
# The original splits with `str.split`, which knows these two beside the spaces.
_SEPARATORS = ((0x2028, 0x2029),)
_DROPPED = ((0, 8), (0xB, 0xC), (0xE, 0x1F), (0xFFFD, 0xFFFD), *(pair for pair in CONTROL if pair[0] >= 0x7F))
_BLANK = ((9, 10), (13, 13), *SPACE, *_SEPARATORS)


@functools.cache
def _kinds() -> tuple[tuple[str, re.Pattern[str]], ...]:
    ranges = {"dropped": _DROPPED, "blank": _BLANK, "chinese": CHINESE}
    return tuple((kind, re.compile(f"[{character_class(pairs)}]")) for kind, pairs in ranges.items())


@functools.lru_cache(maxsize=REMEMBERED)
def _kind(character: str) -> str:
    return next((kind for kind, pattern in _kinds() if pattern.match(character)), "kept")


@functools.cache
def _reordering() -> re.Pattern[str]:
    return re.compile(f"[{character_class(STAYING)}]{{2}}")


@functools.cache
def _unlike() -> re.Pattern[str]:
    low = [pair for pair in UNASSIGNED if pair[1] <= 0xFFFF]
    begins = [0x10000, *(last + 1 for _, last in _AGREED)]
    ends = [*(first - 1 for first, _ in _AGREED), 0x10FFFF]
    high = [pair for pair in zip(begins, ends, strict=True) if pair[0] <= pair[1]]
    return re.compile(f"[{_SIGMA}{character_class((_PRIVATE, *UNLIKE_LIBRARY, *low, *high))}]")


@functools.cache
def _mark() -> re.Pattern[str]:
    return re.compile(f"[{character_class(MARK)}]")


@functools.cache
def _punctuation() -> re.Pattern[str]:
    return re.compile(f"[{character_class((*SYMBOLS, *PUNCTUATION))}]")


def _lowered(token: str, places: list[int]) -> tuple[str, list[int]]:
    changed = lowered(token)
    if len(changed) == len(token):
        return changed, places
    sizes = (len(character.lower()) if is_pinned(character) else 1 for character in token)
    return changed, [place for place, size in zip(places, sizes, strict=True) for _ in range(size)]


def _without_marks(token: str, places: list[int]) -> tuple[str, list[int]]:
    """The canonical decomposition (Unicode Standard Annex #15), without nonspacing marks."""
    if token.isascii():
        return token, places
    pairs = zip(token, places, strict=True)
    decomposed = ((part, place) for character, place in pairs for part in _decomposition(character))
    kept = [(part, place) for part, place in in_canonical_order(decomposed, _combining) if not _is_mark(part)]
    return "".join(part for part, _ in kept), [place for _, place in kept]


@functools.lru_cache(maxsize=REMEMBERED)
def _decomposition(character: str) -> str:
    return unicodedata.normalize("NFD", character) if is_pinned(character) else character


@functools.lru_cache(maxsize=REMEMBERED)
def _is_mark(character: str) -> bool:
    return _mark().match(character) is not None


@functools.lru_cache(maxsize=REMEMBERED)
def _is_punctuation(character: str) -> bool:
    return _punctuation().match(character) is not None


@functools.lru_cache(maxsize=REMEMBERED)
def _combining(character: str) -> int:
    return unicodedata.combining(character) if is_pinned(character) else 0


def _split_punctuation(token: str, places: list[int]) -> list[tuple[str, list[int]]]:
    """The parts of a token: each punctuation character alone; also split where its characters have become blanks."""
    parts: list[tuple[list[str], list[int]]] = []
    new = True
    for character, place in zip(token, places, strict=True):
        if character.isspace():
            new = True
            continue
        alone = _is_punctuation(character)
        if new or alone:
            parts.append(([], []))
        parts[-1][0].append(character)
        parts[-1][1].append(place)
        new = alone
    return [("".join(characters), origins) for characters, origins in parts]
