"""Read JSON lines: an object a line, whose keys may differ from line to line."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from berthub.errors import InputError
from berthub.tables.block import Block, JsonRows, in_blocks
from berthub.tables.columns import ChosenColumns, TextColumns, no_such_value, not_a_text
from berthub.tables.lines import Line
from berthub.tables.start import BEGINNING, Start

__all__ = ["JsonRow", "blocks", "filled", "line_rows"]


@dataclass(frozen=True, slots=True)
class JsonRow:
    """An object: as it stands in the file, in one line; parsed; its first line, where it ends, and its last line.

    Where a line is no object, `fault` says why, and the object is empty.
    """

    raw: bytes
    values: dict[str, Any]
    line: int
    end: int
    last_line: int
    fault: str = ""


def blocks(
    rows: Iterator[JsonRow],
    name: str,
    columns: TextColumns,
    *,
    absent: bool = False,
    start: Start = BEGINNING,
    lenient: bool = False,
) -> Iterator[Block]:
    """The rows from `start` on, in blocks; the first tells which column holds the texts. A null is a text of None.

    A row that lacks the column of the texts has such a text, too, where rows may be `absent`; else it raises
    `InputError`, as one with something else there. If `lenient`, that is a fault of the row, which is named.
    """
    chosen = None
    first_row, begin = start.rows + 1, start.offset or 0
    for block in in_blocks((len(row.raw), row) for row in rows):
        if chosen is None:
            told = next((row for row in block if not row.fault), block[0])
            # In the middle of a file the columns are known, and the first row may lack them.
            known = [each for each in (columns.text, columns.pair) if each] if start.rows or lenient else []
            chosen = columns.chosen(list(dict.fromkeys([*told.values, *known])), name)
        faults = {index: row.fault for index, row in enumerate(block) if row.fault}
        check = _Check(block, name, first_row, absent=absent, faults=faults if lenient else None)
        first, *second = (check.texts(column, chosen) for column in chosen.names)
        numbers = [row.line for row in block]
        yield Block(
            name=name,
            texts=chosen.texts(first, second[0] if second else None),
            carried=JsonRows(
                raw=[row.raw for row in block],
                # What is no text has no place in a column of texts.
                objects=[
                    {**row.values, **dict.fromkeys(chosen.names)} if index in faults else row.values
                    for index, row in enumerate(block)
                ],
                places=numbers,
            ),
            first_row=first_row,
            lines=numbers,
            begin=begin,
            end=block[-1].end,
            columns=chosen,
            faults=faults,
            labels=None if chosen.label is None else check.labels(chosen.label),
        )
        first_row += len(block)
        begin = block[-1].end


def line_rows(lines: Iterator[Line], name: str, *, lenient: bool = False) -> Iterator[JsonRow]:
    """The rows of lines; blank ones are passed over. What is no object is an `InputError`, or if `lenient` a fault."""
    for line in filled(lines):
        fault, values = line.fault, dict[str, Any]()
        if not fault:
            try:
                values = _object(line, name)
            except InputError as error:
                if not lenient:
                    raise
                fault = str(error)
        raw = b"{}" if fault else line.text.encode()
        yield JsonRow(raw, values, line.number, line.end, line.number, fault)


def filled(lines: Iterator[Line]) -> Iterator[Line]:
    """The lines that are not blank."""
    return (line for line in lines if not line.text.isspace())


def _object(line: Line, name: str) -> dict[str, Any]:
    try:
        values = orjson.loads(line.text)
    except orjson.JSONDecodeError as error:
        torn = "" if line.text.endswith("\n") else "; the file ends in this line, and may have been cut off there"
        raise InputError(
            f"{name}, line {line.number}: no valid JSON: {error.msg} (column {error.colno}); in JSON lines every "
            f"line is an object of its own{torn}"
        ) from error
    if not isinstance(values, dict):
        raise InputError(
            f"{name}, line {line.number}: this is of type {type(values).__name__}; every line must be an object "
            'such as {"text": "..."}'
        )
    return values


class _Check:
    """Takes the columns out of rows; what is not there, or no text, is an `InputError`, or goes to `faults`."""

    def __init__(
        self, rows: list[JsonRow], name: str, first_row: int, *, absent: bool, faults: dict[int, str] | None
    ) -> None:
        self._rows, self._name, self._first_row, self._absent, self._faults = rows, name, first_row, absent, faults

    def texts(self, column: str, chosen: ChosenColumns) -> list[Any]:
        """The texts of a column, None for what is null, or at fault."""
        values = self._values(column, absent=self._absent)
        for index, value in enumerate(values):
            if value is not None and not chosen.accepts(value):
                self._fault(index, not_a_text(self._place(index), column, value, words=chosen.words))
                values[index] = None
        return values

    def labels(self, column: str) -> list[Any]:
        """The values of a column."""
        return self._values(column, absent=False)

    def _values(self, column: str, *, absent: bool) -> list[Any]:
        if not absent:
            for index, row in enumerate(self._rows):
                if column not in row.values and not row.fault:
                    self._fault(index, no_such_value(self._place(index), column))
        return [row.values.get(column) for row in self._rows]

    def _fault(self, index: int, error: InputError) -> None:
        if self._faults is None:
            raise error
        self._faults.setdefault(index, str(error))

    def _place(self, index: int) -> str:
        return f"{self._name}, row {self._first_row + index} (line {self._rows[index].line})"
