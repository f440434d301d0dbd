"""What both references do with single characters: what becomes of each, and in which order they stand."""

import functools
import itertools
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from berthub.tokenization.unicode_table import UNASSIGNED

__all__ = [
    "REMEMBERED",
    "CharacterTable",
    "SpacedText",
    "all_pinned",
    "in_canonical_order",
    "is_pinned",
    "lowered",
]

REMEMBERED = 1 << 15
"""Of how many characters it is kept what they are and become: more than a text has, less than there are."""

Placed = tuple[str, int]
"""A character, and where it comes from."""


@dataclass(frozen=True, eq=False)
class SpacedText:
    """A text whose words stand between blanks; `origins` int32 [len(text)] is the character that each is made of."""

    text: str
    origins: npt.NDArray[np.int32]


class CharacterTable(dict[int, str]):
    """What a character becomes, by its code point, for `str.translate`: made when it is asked for first."""

    def __init__(self, becomes: Callable[[str], str]) -> None:
        super().__init__()
        self._becomes = becomes
        self._sizes: CharacterTable | None = None

    def __missing__(self, code: int) -> str:
        if len(self) >= REMEMBERED:
            self.clear()
        # Not read from the table again, which another thread may have cleared.
        becomes = self[code] = self._becomes(chr(code))
        return becomes

    def align(self, text: str) -> SpacedText:
        """What `text.translate` makes of a text, and what each character came from."""
        if self._sizes is None:
            # Sizes as characters: so that `str.translate` finds them, too.
            self._sizes = CharacterTable(lambda character: chr(len(self[ord(character)])))
        sizes = np.frombuffer(text.translate(self._sizes).encode("latin-1"), np.uint8)
        return SpacedText(text.translate(self), np.repeat(np.arange(len(text), dtype=np.int32), sizes))


def in_canonical_order(parts: Iterable[Placed], combining: Callable[[str], int]) -> list[Placed]:
    """Decomposed characters in the order of the Unicode Standard Annex #15.

    Those that follow each other with a class, which is what `combining` gives (0: none), are sorted by it.
    """
    ordered: list[Placed] = []
    pending: list[Placed] = []

    def settle() -> None:
        ordered.extend(sorted(pending, key=lambda pair: combining(pair[0])))
        pending.clear()

    for part in parts:
        if combining(part[0]):
            pending.append(part)
            continue
        if pending:
            settle()
        ordered.append(part)
    settle()
    return ordered


def is_pinned(character: str) -> bool:
    """Whether the character was assigned in the Unicode version of `unicode_table`: all Pythons agree on it."""
    return not _unassigned()[ord(character)]


def all_pinned(text: str) -> bool:
    """Whether all characters of the text, which has no lone surrogates, were."""
    return text.isascii() or not _newer(text).any()


def lowered(text: str) -> str:
    """The text, which has no lone surrogates, in lower case by the Unicode version of `unicode_table`."""
    if text.isascii():
        return text.lower()
    newer = _newer(text)
    if not newer.any():
        return text.lower()
    # In as large parts as can be, since a sigma at the end of a word has a form of its own.
    bounds = [0, *(np.flatnonzero(np.diff(newer)) + 1).tolist(), len(text)]
    return "".join(
        text[begin:end] if newer[begin] else text[begin:end].lower() for begin, end in itertools.pairwise(bounds)
    )


def _newer(text: str) -> npt.NDArray[np.bool_]:
    return _unassigned()[np.frombuffer(text.encode("utf-32-le"), np.uint32)]


@functools.cache
def _unassigned() -> npt.NDArray[np.bool_]:
    # By far faster than a pattern, which compares each character with hundreds of ranges.
    table = np.zeros(sys.maxunicode + 1, np.bool_)
    for first, last in UNASSIGNED:
        table[first : last + 1] = True
    return table
