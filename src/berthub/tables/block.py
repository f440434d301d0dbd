"""Blocks: some rows of the input, with their texts and their other columns."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from berthub.tables.columns import ChosenColumns
from berthub.tokenization.tokenizer import Text

__all__ = ["BLOCK_CHARS", "BLOCK_ROWS", "Block", "Carried", "JsonRows", "in_blocks"]

# Enough rows for batches of equal lengths, few enough for the progress bar to move.
BLOCK_ROWS = 2048
BLOCK_CHARS = 1 << 24

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class JsonRows:
    """Lines of JSON, each an object: as they stand in the file, and parsed; `places` are their line numbers."""

    raw: list[bytes]
    objects: list[dict[str, Any]]
    places: list[int]

    @property
    def column_names(self) -> list[str]:
        """The keys of all rows, in the order in which they first appear."""
        return list(dict.fromkeys(itertools.chain.from_iterable(self.objects)))

    def chosen(self, indices: Sequence[int]) -> "JsonRows":
        """The rows at these places alone."""
        return JsonRows(
            raw=[self.raw[index] for index in indices],
            objects=[self.objects[index] for index in indices],
            places=[self.places[index] for index in indices],
        )


Carried: TypeAlias = pa.Table | JsonRows
"""The columns of the input; both kinds have `column_names`."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Block:
    """Some rows of the input, the first of which is row `first_row` (from 1).

    `labels` are the values of the column of labels, as they are, where it was asked for. `lines` are the lines where
    the rows begin, for files that have lines; `numbers` those of the rows, where some were left out. `begin` and `end`
    say how much of the input is read before the block and after it, in the unit of `Rows.total`. `columns` are those
    of the texts and labels. `faults` says for the indices of rows that have no text that can be read what is wrong.
    `distinct` int64 [rows] are the numbers of the texts among the distinct ones of a job, where it knows them.
    """

    name: str
    texts: Sequence[Text]
    carried: Carried
    first_row: int
    lines: Sequence[int] | None
    begin: int
    end: int
    columns: ChosenColumns | None = None
    faults: Mapping[int, str] = field(default_factory=dict)
    labels: Sequence[Any] | None = None
    numbers: Sequence[int] | None = None
    distinct: npt.NDArray[np.int64] | None = None

    def chosen(self, indices: Sequence[int]) -> "Block":
        """The rows at these places alone, which keep their numbers."""
        carried = self.carried
        return replace(
            self,
            texts=[self.texts[index] for index in indices],
            carried=carried.chosen(indices) if isinstance(carried, JsonRows) else carried.take(pa.array(indices)),
            lines=None if self.lines is None else [self.lines[index] for index in indices],
            labels=None if self.labels is None else [self.labels[index] for index in indices],
            numbers=[self.number(index) for index in indices],
            faults={place: self.faults[index] for place, index in enumerate(indices) if index in self.faults},
        )

    @classmethod
    def joined(cls, blocks: Sequence["Block"]) -> "Block":
        """One block of the rows of several, which have the same columns; each row keeps its place."""
        if len(blocks) == 1:
            return blocks[0]
        first = blocks[0]
        return _Joined(
            name=first.name,
            texts=[text for block in blocks for text in block.texts],
            carried=_joined_columns([block.carried for block in blocks]),
            first_row=first.first_row,
            lines=None,
            begin=first.begin,
            end=blocks[-1].end,
            columns=first.columns,
            faults=_joined_faults(blocks),
            blocks=tuple(blocks),
        )

    def at(self, begin: int, end: int) -> "Block":
        """The same block with another place in the input."""
        return replace(self, begin=begin, end=end)

    def place(self, index: int) -> str:
        """Where a row of the block stands, for messages."""
        name, number, line = self.origin(index)
        return f"{name}, row {number}" + ("" if line is None else f" (line {line})")

    def origin(self, index: int) -> tuple[str, int, int | None]:
        """The file of a row, its number there, and the line where it begins."""
        return self.name, self.number(index), None if self.lines is None else self.lines[index]

    def number(self, index: int) -> int:
        """The number of a row, from 1, in its file."""
        return self.first_row + index if self.numbers is None else self.numbers[index]

    def done_at(self, index: int) -> int:
        """How much of the input is done when the rows before `index` are."""
        return self.begin + (self.end - self.begin) * index // len(self.texts)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Joined(Block):
    blocks: tuple[Block, ...]

    def origin(self, index: int) -> tuple[str, int, int | None]:
        """Where a row stands in the block that it came with."""
        for block in self.blocks:
            if index < len(block.texts):
                return block.origin(index)
            index -= len(block.texts)
        raise IndexError(index)


def _joined_columns(carried: Sequence[Carried]) -> Carried:
    rows = [each for each in carried if isinstance(each, JsonRows)]
    if not rows:
        return pa.concat_tables(carried)
    return JsonRows(
        raw=[raw for each in rows for raw in each.raw],
        objects=[values for each in rows for values in each.objects],
        places=[place for each in rows for place in each.places],
    )


def _joined_faults(blocks: Sequence[Block]) -> dict[int, str]:
    faults, before = dict[int, str](), 0
    for block in blocks:
        faults.update({before + index: fault for index, fault in block.faults.items()})
        before += len(block.texts)
    return faults


def in_blocks(rows: Iterable[tuple[int, T]]) -> Iterator[list[T]]:
    """Group rows into lists of limited length and size; each row comes with its size in characters."""
    block: list[T] = []
    total = 0
    for size, row in rows:
        block.append(row)
        total += size
        if len(block) == BLOCK_ROWS or total >= BLOCK_CHARS:
            yield block
            block, total = [], 0
    if block:
        yield block
