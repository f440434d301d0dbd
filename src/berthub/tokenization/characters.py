"""What both references do with single characters: what becomes of each, and in which order they stand."""

import functools
import re
from collections.abc import Callable, Iterable

from berthub.tokenization.unicode_table import UNASSIGNED, character_class

__all__ = ["REMEMBERED", "CharacterTable", "in_canonical_order", "is_pinned"]

REMEMBERED = 1 << 15
"""Of how many characters it is kept what they are and become: more than a text has, less than there are."""

Placed = tuple[str, int]
"""A character, and where it comes from."""


class CharacterTable(dict[int, str]):
    """What a character becomes, by its code point, for `str.translate`: made when it is asked for first."""

    def __init__(self, becomes: Callable[[str], str]) -> None:
        super().__init__()
        self._becomes = becomes

    def __missing__(self, code: int) -> str:
        if len(self) >= REMEMBERED:
            self.clear()
        self[code] = self._becomes(chr(code))
        return self[code]


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
    return _unassigned().match(character) is None


@functools.cache
def _unassigned() -> re.Pattern[str]:
    return re.compile(f"[{character_class(UNASSIGNED)}]")
