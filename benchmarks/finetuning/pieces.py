"""Code that the peers share: texts as ids with their targets, and the padding of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.finetuning.tasks import Task

# The target of what has none: pieces of a word after its first, `[CLS]`, `[SEP]`, padding.
IGNORED = -100

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """One example. `target` is the label's number, or with tags a number for each id.

    `firsts` has the place of the first piece of each word that was not truncated.
    """

    ids: list[int]
    type_ids: list[int]
    firsts: dict[int, int]
    target: int | list[int]


@dataclass(frozen=True)
class Padded:
    """ids, mask and type_ids [n, width]; targets [n], or [n, width] with tags."""

    ids: Integers
    mask: Integers
    type_ids: Integers
    targets: Integers


class Pieces:
    """The examples of `task` as ids, truncated to `max_length`."""

    def __init__(self, vocabulary: Path, task: Task, max_length: int) -> None:
        from tokenizers import BertWordPieceTokenizer

        self._tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
        self._tokenizer.enable_truncation(max_length)
        self._task = task
        self._numbers = {label: number for number, label in enumerate(task.labels)}

    def rows(self, inputs: Sequence[Any], labels: Sequence[Any] | None = None) -> list[Row]:
        encodings = self._tokenizer.encode_batch(list(inputs), is_pretokenized=self._task.tagging)
        rows = []
        for encoding, label in zip(encodings, labels or [None] * len(encodings), strict=True):
            words = enumerate(encoding.word_ids)
            # Backwards, so that of a word's pieces the first one stays.
            firsts = {word: place for place, word in reversed(list(words)) if word is not None}
            target = self._target(label, firsts, len(encoding.ids))
            rows.append(Row(encoding.ids, encoding.type_ids, firsts, target))
        return rows

    def _target(self, label: Any, firsts: dict[int, int], count: int) -> int | list[int]:
        if not self._task.tagging:
            return 0 if label is None else self._numbers[label]
        target = [IGNORED] * count
        for word, place in firsts.items() if label is not None else ():
            target[place] = self._numbers[label[word]]
        return target

    def labels(self, inputs: Sequence[Any], rows: Sequence[Row], found: Sequence[Any]) -> list[Any]:
        """The names of the numbers found: one of each row, or of each of its ids. A truncated word is O."""
        names = self._task.labels
        if not self._task.tagging:
            return [names[number] for number in found]
        tags = [["O"] * len(words) for words in inputs]
        for row, own, numbers in zip(rows, tags, found, strict=True):
            for word, place in row.firsts.items():
                own[word] = names[numbers[place]]
        return tags


def pad(rows: Sequence[Row], width: int | None = None) -> Padded:
    """To `width`, or to the longest row."""
    width = width or max(len(row.ids) for row in rows)
    ids = np.zeros((len(rows), width), np.int64)
    mask, type_ids, tags = np.zeros_like(ids), np.zeros_like(ids), np.full_like(ids, IGNORED)
    for place, row in enumerate(rows):
        count = len(row.ids)
        ids[place, :count], type_ids[place, :count], mask[place, :count] = row.ids, row.type_ids, 1
        if isinstance(row.target, list):
            tags[place, :count] = row.target
    tagging = isinstance(rows[0].target, list)
    return Padded(ids, mask, type_ids, tags if tagging else np.array([row.target for row in rows]))
