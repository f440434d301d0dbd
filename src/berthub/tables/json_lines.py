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
    """An object: as it stands in the file, in one line; parsed; its first line, where it ends, and its last line."""

    raw: bytes
    values: dict[str, Any]
    line: int
    end: int
    last_line: int


def blocks(
    rows: Iterator[JsonRow], name: str, columns: TextColumns, *, absent: bool = False, start: Start = BEGINNING
) -> Iterator[Block]:
    """The rows from `start` on, in blocks; the first tells which column holds the texts. A null is a text of None.

    A row that lacks the column of the texts has such a text, too, where rows may be `absent`; else it raises
    `InputError`.
    """
    chosen = None
    first_row, begin = start.rows + 1, start.offset or 0
    for block in in_blocks((len(row.raw), row) for row in rows):
        if chosen is None:
            chosen = columns.chosen(list(block[0].values), name)
        first, *second = (_texts(block, column, chosen, name, first_row, absent=absent) for column in chosen.names)
        numbers = [row.line for row in block]
        yield Block(
            name=name,
            texts=chosen.texts(first, second[0] if second else None),
            carried=JsonRows(
                raw=[row.raw for row in block],
                objects=[row.values for row in block],
                places=numbers,
            ),
            first_row=first_row,
            lines=numbers,
            begin=begin,
            end=block[-1].end,
            columns=chosen,
            labels=None if chosen.label is None else _values(block, chosen.label, name, first_row, absent=False),
        )
        first_row += len(block)
        begin = block[-1].end


def line_rows(lines: Iterator[Line], name: str) -> Iterator[JsonRow]:
    """The rows of lines; blank ones are passed over."""
    for line in filled(lines):
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
        yield JsonRow(line.text.encode(), values, line.number, line.end, line.number)


def filled(lines: Iterator[Line]) -> Iterator[Line]:
    """The lines that are not blank."""
    return (line for line in lines if not line.text.isspace())


def _texts(
    rows: list[JsonRow], column: str, chosen: ChosenColumns, name: str, first_row: int, *, absent: bool
) -> list[Any]:
    values = _values(rows, column, name, first_row, absent=absent)
    for index, value in enumerate(values):
        if value is not None and not chosen.accepts(value):
            raise not_a_text(_place(rows, index, name, first_row), column, value, words=chosen.words)
    return values


def _values(rows: list[JsonRow], column: str, name: str, first_row: int, *, absent: bool) -> list[Any]:
    if not absent:
        for index, row in enumerate(rows):
            if column not in row.values:
                raise no_such_value(_place(rows, index, name, first_row), column)
    return [row.values.get(column) for row in rows]


def _place(rows: list[JsonRow], index: int, name: str, first_row: int) -> str:
    return f"{name}, row {first_row + index} (line {rows[index].line})"
