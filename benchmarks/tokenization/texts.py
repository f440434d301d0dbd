"""The texts that every system tokenizes: English as people write it, the letters of many scripts, and hard cases."""

import csv
import random
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

# First and last code point of scripts' letters, with the marks among them.
_SCRIPTS = (
    (0x0041, 0x007A),  # Latin
    (0x00C0, 0x024F),  # Latin with accents
    (0x0370, 0x03FF),  # Greek
    (0x0400, 0x04FF),  # Cyrillic
    (0x0531, 0x0587),  # Armenian
    (0x05D0, 0x05EA),  # Hebrew
    (0x0620, 0x0652),  # Arabic
    (0x0905, 0x094D),  # Devanagari
    (0x0985, 0x09CD),  # Bengali
    (0x0B85, 0x0BCD),  # Tamil
    (0x0E01, 0x0E3A),  # Thai
    (0x10D0, 0x10F0),  # Georgian
    (0x1200, 0x135A),  # Ethiopic
    (0x1EA0, 0x1EF9),  # Vietnamese
    (0x3041, 0x3096),  # Hiragana
    (0x30A1, 0x30FA),  # Katakana
    (0x4E00, 0x9FA5),  # Chinese
    (0xAC00, 0xD7A3),  # Hangul
)
_ENDS = (".", ".", "!", "?", "\u3002", "\u061f", "\u0964")
_SENTENCES = 8000


def texts(kind: str, data: Path) -> list[str]:
    """The texts of a kind, one of `KINDS`, in an order that has nothing to do with length or origin."""
    found = list(KINDS[kind](data))
    random.Random(0).shuffle(found)
    return found


def _english(data: Path) -> Iterator[str]:
    for task, columns in (("sst2", ("text",)), ("mrpc", ("text_a", "text_b"))):
        with (data / task / "train.tsv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                yield from (row[column].strip() for column in columns)
    sentences = (data / "conll2003" / "train.txt").read_text(encoding="utf-8").split("\n\n")
    yield from (" ".join(line.split()[0] for line in sentence.splitlines()) for sentence in sentences if sentence)


def _scripts(data: Path) -> Iterator[str]:
    """Sentences of random letters, each of one script or of two."""
    chance = random.Random(1)
    letters = [_assigned(first, last, "LM") for first, last in _SCRIPTS]
    for _ in range(_SENTENCES):
        chosen = chance.sample(letters, chance.choice((1, 1, 1, 2)))
        words = ("".join(chance.choices(chance.choice(chosen), k=chance.randint(1, 8))) for _ in range(20))
        yield " ".join(words) + chance.choice(_ENDS)


def _hard(data: Path) -> Iterator[str]:
    """Words of any code points but surrogates: control and format characters, private and unassigned ones, too."""
    chance = random.Random(2)
    usual = _assigned(0x20, 0x17F, "LMNPSZ")
    for _ in range(_SENTENCES):
        words = []
        for _ in range(20):
            word = chance.choices(usual, k=chance.randint(1, 8))
            if chance.random() < 0.5:
                word.insert(chance.randint(0, len(word)), chr(chance.choice(_PLANES)(chance)))
            words.append("".join(word))
        yield " ".join(words)


def _assigned(first: int, last: int, categories: str) -> list[str]:
    return [chr(code) for code in range(first, last + 1) if unicodedata.category(chr(code))[0] in categories]


# The first plane, below the surrogates and above them, and all others.
_PLANES: tuple[Callable[[random.Random], int], ...] = (
    lambda chance: chance.randint(0, 0xD7FF),
    lambda chance: chance.randint(0xE000, 0xFFFF),
    lambda chance: chance.randint(0x10000, 0x10FFFF),
)

KINDS: dict[str, Callable[[Path], Iterator[str]]] = {"english": _english, "scripts": _scripts, "hard": _hard}
