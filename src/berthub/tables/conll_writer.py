"""Tags as a CoNLL file: a word a line with its tag as the last column, a blank line after each sentence."""

import re
from collections.abc import Sequence
from typing import Any, BinaryIO

from berthub.errors import InputError
from berthub.tables.block import Block, JsonRows
from berthub.tables.results import Column, ListColumn
from berthub.tables.writer import Writer

__all__ = ["ConllWriter"]

_SPACE = re.compile(r"[ \t\r\n]")


class ConllWriter(Writer):
    """Writes a `ListColumn` with a tag for each word of the block's texts.

    The columns of a CoNLL file stand between, if it `carries` them; those of other files have no place.
    """

    def __init__(self, file: BinaryIO, *, carries: bool) -> None:
        super().__init__(carries=carries)
        self._file = file
        self._block: Block | None = None
        self._carried: list[Sequence[Any]] = []

    def _begin(self, block: Block) -> None:
        # A block of sentences carries a table.
        carried = block.carried.columns if self._carries and not isinstance(block.carried, JsonRows) else ()
        self._block = block
        self._carried = [column.to_pylist() for column in carried] or [block.texts]

    def _write(self, rows: range, columns: Sequence[Column]) -> None:
        (tags,) = columns
        assert isinstance(tags, ListColumn)
        for row, tagged in zip(rows, tags.values, strict=True):
            lines = []
            for fields in zip(*(column[row] for column in self._carried), tagged, strict=True):
                if not fields[0] or _SPACE.search(fields[0]):
                    assert self._block is not None
                    raise InputError(
                        f"{self._block.place(row)}: the word {fields[0]!r:.60} is empty or has white space in it, for "
                        "which CoNLL has no form: write .jsonl or .parquet"
                    )
                lines.append(" ".join(fields) + "\n")
            self._file.write("".join([*lines, "\n"]).encode())

    def close(self) -> None:
        """Nothing is left to write."""
