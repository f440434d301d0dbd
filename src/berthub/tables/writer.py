"""The interface of all writers of rows."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from berthub.errors import InputError
from berthub.tables.block import Block
from berthub.tables.results import Column, EmptyColumn

__all__ = ["Writer", "refuse_clash"]


class Writer(ABC):
    """Writes rows to a file: the columns of the input where it `carries` them, and columns of results beside them.

    `begin` takes a block, `write` the results of its rows, all at once or some rows after the other, so that not all
    of them need be in memory. `close` is called at the end.
    """

    def __init__(self, *, carries: bool) -> None:
        self._carries = carries
        self._next = 0

    def begin(self, block: Block) -> None:
        """Take a block, whose rows are written next; `InputError` where the format cannot hold its columns."""
        self._next = 0
        self._begin(block)

    def write(self, columns: Sequence[Column]) -> None:
        """Write the next rows of the block with their results; `InputError` where the format cannot hold a value."""
        rows = range(self._next, self._next + len(columns[0]))
        self._next = rows.stop
        self._write(rows, columns)

    def write_empty(self, block: Block, columns: Sequence[Column]) -> None:
        """Write a file without rows, with the columns of a block and of results; nothing was written before."""
        self._begin(block)
        self._write(range(0), [EmptyColumn(name=column.name, column=column) for column in columns])

    @abstractmethod
    def close(self) -> None:
        """Write what is left; the file itself stays open."""

    @abstractmethod
    def _begin(self, block: Block) -> None: ...

    @abstractmethod
    def _write(self, rows: range, columns: Sequence[Column]) -> None:
        """Write these rows of the block, whose results the columns are."""


def refuse_clash(names: Sequence[str], added: Mapping[str, str]) -> None:
    """Raise `InputError` where a column is `added` whose name the input has; the mapping says what to do about it."""
    for name, way_out in added.items():
        if name in names:
            raise InputError(
                f'the input has a column "{name}" already, which is what the output would be called: '
                f"rename it, or use {way_out}"
            )
