"""The data sets: tasks and their examples."""

import csv
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Example = str | tuple[str, str] | list[str]
"""A text, a pair of texts, or a sentence as its words."""


@dataclass(frozen=True)
class Examples:
    """`labels` has a name for each input, or for a sentence a list with a name for each of its words."""

    inputs: Sequence[Example]
    labels: Sequence[Any]

    def __len__(self) -> int:
        return len(self.inputs)

    def first(self, count: int | None) -> "Examples":
        return Examples(self.inputs[:count], self.labels[:count])

    def chosen(self, rows: Sequence[int]) -> "Examples":
        return Examples([self.inputs[row] for row in rows], [self.labels[row] for row in rows])


@dataclass(frozen=True)
class Task:
    """`tagging`: a label for each word. `width` is what a system of one fixed shape pads to; few are truncated."""

    name: str
    labels: tuple[str, ...]
    train: Examples
    dev: Examples
    tagging: bool
    width: int


def load_task(name: str, data: Path, limit: int | None = None, learn_from: int | None = None) -> Task:
    """The data set in the folder `name` of `data`; `limit` takes that many examples of each part.

    With `learn_from` so many of the training examples, chosen at random, are learnt from, and the others join the dev
    set: a test set that tells smaller differences.
    """
    labels, tagging, width, read = _TASKS[name]
    folder = data / name
    train, dev = (read(path) for path in sorted(folder.glob("[td]*.t*"), reverse=True))
    train, dev = train.first(limit), dev.first(limit)
    if learn_from is not None:
        order = random.Random(0).sample(range(len(train)), len(train))
        train, others = train.chosen(order[:learn_from]), train.chosen(order[learn_from:])
        dev = Examples([*dev.inputs, *others.inputs], [*dev.labels, *others.labels])
    return Task(name, labels, train, dev, tagging, width)


def _sentences(path: Path) -> Examples:
    rows = _rows(path)
    return Examples([row["text"] for row in rows], [_SENTIMENTS[int(row["label"])] for row in rows])


def _pairs(path: Path) -> Examples:
    rows = _rows(path)
    return Examples([(row["text_a"], row["text_b"]) for row in rows], [_PAIRS[int(row["label"])] for row in rows])


def _tagged(path: Path) -> Examples:
    """Blocks of lines, a word and its tag on each."""
    blocks = path.read_text(encoding="utf-8").split("\n\n")
    pairs = [[line.split() for line in block.splitlines()] for block in blocks if block.strip()]
    kept = [block for block in pairs if block[0][0] != "-DOCSTART-"]
    return Examples([[word for word, _ in block] for block in kept], [[tag for _, tag in block] for block in kept])


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


_SENTIMENTS = ("negative", "positive")
_PAIRS = ("different", "equivalent")
_TAGS = ("O", *(f"{place}-{kind}" for kind in ("PER", "ORG", "LOC", "MISC") for place in "BI"))

# Labels, whether words are tagged, the width of a fixed shape, and how the files are read.
_TASKS: dict[str, tuple[tuple[str, ...], bool, int, Callable[[Path], Examples]]] = {
    "sst2": (_SENTIMENTS, False, 64, _sentences),
    "mrpc": (_PAIRS, False, 128, _pairs),
    "conll2003": (_TAGS, True, 64, _tagged),
}
TASKS = tuple(_TASKS)
