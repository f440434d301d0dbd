"""The texts that every system encodes: short sentences, long passages made of them, and a mix of lengths."""

import csv
import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path

# A passage ends with the sentence that takes it beyond this many words: about 240 tokens.
_PASSAGE_WORDS = 188
# Of the mix: the share of each kind of texts, and the median and sigma of its words. A sentence is as it comes.
_PARAGRAPHS, _PASSAGES = (0.30, 80, 0.5), (0.10, 220, 0.4)
# With the sentence that goes beyond it: about 500 tokens.
_MOST_WORDS = 340


def load(kind: str, path: Path, column: str) -> list[str]:
    """The texts of a kind, one of `KINDS`, in an order that has nothing to do with length or origin."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        sentences = [row[column].strip() for row in rows]
    found = list(KINDS[kind](sentences))
    random.Random(0).shuffle(found)
    return found


def _short(sentences: list[str]) -> Iterator[str]:
    return iter(sentences)


def _long(sentences: list[str]) -> Iterator[str]:
    """Passages of consecutive sentences."""
    return _joined(sentences, itertools.repeat(_PASSAGE_WORDS))


def _mixed(sentences: list[str]) -> Iterator[str]:
    """60% sentences, 30% paragraphs and 10% passages; the lengths of the last two are lognormal, as they are where
    people write: medians of about 100 and 280 tokens, cut off near 500. Half of all tokens are in a seventh of
    the texts.
    """
    chance = random.Random(1)

    def words() -> Iterator[float]:
        while True:
            draw, (paragraphs, *paragraph), (passages, *passage) = chance.random(), _PARAGRAPHS, _PASSAGES
            if draw > paragraphs + passages:
                yield 0
                continue
            median, sigma = paragraph if draw < paragraphs else passage
            yield min(median * chance.lognormvariate(0, sigma), _MOST_WORDS)

    return _joined(sentences, words())


def _joined(sentences: list[str], words: Iterator[float]) -> Iterator[str]:
    """Consecutive sentences as texts, each of which has at least as many words as the next number says."""
    text: list[str] = []
    wanted = next(words)
    for sentence in sentences:
        text += sentence.split()
        if len(text) >= wanted:
            yield " ".join(text)
            text, wanted = [], next(words)


KINDS: dict[str, Callable[[list[str]], Iterator[str]]] = {"short": _short, "long": _long, "mixed": _mixed}
