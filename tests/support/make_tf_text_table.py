"""Writes the tables of `berthub/tokenization/tf_text_table.py` from what the release of TensorFlow Text itself does.

    python tests/support/make_tf_text_table.py

prints them. It needs tensorflow and tensorflow-text, and a Python whose Unicode is that of `unicode_table.py`.
"""

import sys
import textwrap
import unicodedata
from collections.abc import Callable
from typing import Any

from berthub.tokenization import tf_text, unicode_table
from berthub.tokenization.characters import is_pinned

_CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
# The combining class of these is known to every version: they tell that of others, by the order of two.
_KNOWN = {unicodedata.combining(character): character for character in _CHARACTERS}


def main() -> None:
    """Print the tables."""
    import tensorflow as tf
    import tensorflow_text as text

    if unicodedata.unidata_version != unicode_table.VERSION:
        sys.exit(f"this Python has Unicode {unicodedata.unidata_version}; the tables add to {unicode_table.VERSION}")

    def is_in(*categories: str) -> set[str]:
        pattern = "|".join(rf"\p{{{category}}}" for category in categories)
        found = tf.strings.regex_full_match([character.encode() for character in _CHARACTERS], pattern).numpy()
        return {character for character, inside in zip(_CHARACTERS, found, strict=True) if inside}

    def decomposed(texts: list[str], *, fold: bool = False) -> list[str]:
        strings: Any = tf.constant([value.encode() for value in texts])
        strings = text.normalize_utf8(text.case_fold_utf8(strings) if fold else strings, "NFD")
        return [value.decode() for value in strings.numpy()]

    for name, categories in (("MARK", ("Mn",)), ("CONTROL", ("Cc", "Cf")), ("PUNCTUATION", ("P",))):
        pinned = {chr(code) for first, last in getattr(unicode_table, name) for code in range(first, last + 1)}
        found = is_in(*categories)
        if pinned - found:
            sys.exit(f"{name} lacks characters that are in that of Unicode {unicode_table.VERSION}")
        _print_ranges(f"NEWER_{name}", found - pinned)

    unassigned = [character for character in _CHARACTERS if unicodedata.category(character) == "Cn"]
    parts = dict(zip(unassigned, decomposed(unassigned), strict=True))
    _print_mapping("NEWER_DECOMPOSED", {a: b for a, b in parts.items() if a != b})
    known = {character: tf_text.folded(character) for character in _CHARACTERS if is_pinned(character)}
    folded = dict(zip(_CHARACTERS, decomposed(_CHARACTERS, fold=True), strict=True))
    wrong = [character for character, own in known.items() if own != folded[character]]
    if wrong:
        sys.exit(f"{len(wrong)} characters that Unicode {unicode_table.VERSION} has fold otherwise: {wrong[:9]}")
    changed = {a: b for a, b in folded.items() if a not in known and a != b and not tf_text.is_ignorable(a)}
    kept = [a for a in folded if tf_text.is_ignorable(a) and folded[a]]
    if kept:
        sys.exit(f"{len(kept)} ignorable characters are kept: {kept[:9]}")
    _print_mapping("NEWER_FOLDED", changed)

    newer = _classes(unassigned, decomposed)
    _print_words('NEWER_COMBINING = _classes("""', [f"{ord(a):x}:{value}" for a, value in newer.items()])
    combining = {character for character in _CHARACTERS if unicodedata.combining(character)} | newer.keys()
    pinned = {chr(code) for first, last in unicode_table.STAYING for code in range(first, last + 1)}
    _print_ranges("NEWER_STAYING", combining - is_in("Mn") - pinned)


def _classes(characters: list[str], decomposed: Callable[[list[str]], list[str]]) -> dict[str, int]:
    """The combining classes of those that have one, by where they stand beside ones that are known."""
    highest, lowest = (_KNOWN[value] for value in (max(_KNOWN), min(_KNOWN.keys() - {0})))
    pairs = [[highest + character for character in characters], [character + lowest for character in characters]]
    moved = [[a == b[::-1] for a, b in zip(rows, decomposed(rows), strict=True)] for rows in pairs]
    classes = {}
    for character, before, behind in zip(characters, *moved, strict=True):
        if before or behind:
            below = [value for value in sorted(_KNOWN.keys() - {0}) if _moves(character + _KNOWN[value], decomposed)]
            same = [
                value
                for value in sorted(_KNOWN.keys() - {0})
                if value not in below and not _moves(_KNOWN[value] + character, decomposed)
            ]
            if len(same) != 1:
                sys.exit(f"no combining class is that of U+{ord(character):04X}: {same}")
            classes[character] = same[0]
    return classes


def _moves(pair: str, decomposed: Callable[[list[str]], list[str]]) -> bool:
    return decomposed([pair]) == [pair[::-1]]


def _print_ranges(name: str, characters: set[str]) -> None:
    ranges: list[list[int]] = []
    for code in sorted(map(ord, characters)):
        if not ranges or code != ranges[-1][1] + 1:
            ranges.append([code, code])
        ranges[-1][1] = code
    _print_words(f'{name} = ranges_of("""', [f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in ranges])


def _print_mapping(name: str, mapping: dict[str, str]) -> None:
    lines = [f"{ord(a):x}:{'+'.join(f'{ord(part):x}' for part in b)}" for a, b in mapping.items()]
    _print_words(f'{name} = _strings("""', lines)


def _print_words(head: str, words: list[str]) -> None:
    print(head, *textwrap.wrap(" ".join(words), 118), '""")\n', sep="\n")


if __name__ == "__main__":
    main()
