"""The texts that every system encodes: short sentences, and long passages made of them."""

import csv
import random
from pathlib import Path

# A passage ends with the sentence that takes it beyond this many words: about 240 tokens.
_PASSAGE_WORDS = 188


def short_texts(path: Path, column: str) -> list[str]:
    """The texts of a tab-separated file, in an order that has nothing to do with length or origin."""
    sentences = _sentences(path, column)
    random.Random(0).shuffle(sentences)
    return sentences


def long_texts(path: Path, column: str) -> list[str]:
    """Passages of consecutive sentences, shuffled."""
    passages, words = [[]], 0  # type: tuple[list[list[str]], int]
    for sentence in _sentences(path, column):
        passages[-1].append(sentence)
        words += len(sentence.split())
        if words >= _PASSAGE_WORDS:
            passages.append([])
            words = 0
    joined = [" ".join(passage) for passage in passages[:-1]]
    random.Random(0).shuffle(joined)
    return joined


def _sentences(path: Path, column: str) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [row[column].strip() for row in rows]
