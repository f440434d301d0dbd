"""JSON lines: an object a line, whose keys may differ from line to line."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from berthub.cli.tables.block import Block, JsonRows, cut_rows
from berthub.cli.tables.columns import ChosenColumns, TextColumns, no_such_value, not_a_text
from berthub.cli.tables.lines import Line
from berthub.errors import InputError

__all__ = ["blocks"]


@dataclass(frozen=True, slots=True)
class _Row:
    line: Line
    values: dict[str, Any]


def blocks(lines: Iterator[Line], name: str, columns: TextColumns) -> Iterator[Block]:
    """The rows in blocks; the first row tells which column holds the texts. Blank lines are passed over."""
    chosen = None
    first_row, begin = 1, 0
    for rows in cut_rows(_parsed(lines, name)):
        if chosen is None:
            chosen = columns.chosen(list(rows[0].values), name)
        first, *second = (_texts(rows, column, chosen, name, first_row) for column in chosen.names)
        numbers = [row.line.number for row in rows]
        yield Block(
            name=name,
            texts=chosen.texts(first, second[0] if second else None),
            carried=JsonRows(
                raw=[row.line.text.encode() for row in rows],
                objects=[row.values for row in rows],
                places=numbers,
            ),
            first_row=first_row,
            lines=numbers,
            begin=begin,
            end=rows[-1].line.end,
            labels=None if chosen.label is None else _values(rows, chosen.label, name, first_row),
        )
        first_row += len(rows)
        begin = rows[-1].line.end


def _parsed(lines: Iterator[Line], name: str) -> Iterator[tuple[int, _Row]]:
    for line in lines:
        if line.text.isspace():
            continue
        try:
            values = orjson.loads(line.text)
        except orjson.JSONDecodeError as error:
            raise InputError(
                f"{name}, line {line.number}: no valid JSON: {error.msg} (column {error.colno}); in JSON lines every "
                "line is an object of its own"
            ) from error
        if not isinstance(values, dict):
            raise InputError(
                f"{name}, line {line.number}: this is of type {type(values).__name__}; every line must be an object "
                'such as {"text": "..."}'
            )
        yield len(line.text), _Row(line, values)


def _texts(rows: list[_Row], column: str, chosen: ChosenColumns, name: str, first_row: int) -> list[Any]:
    values = _values(rows, column, name, first_row)
    for index, value in enumerate(values):
        if not chosen.accepts(value):
            raise not_a_text(_place(rows, index, name, first_row), column, value, words=chosen.words)
    return values


def _values(rows: list[_Row], column: str, name: str, first_row: int) -> list[Any]:
    for index, row in enumerate(rows):
        if column not in row.values:
            raise no_such_value(_place(rows, index, name, first_row), column)
    return [row.values[column] for row in rows]


def _place(rows: list[_Row], index: int, name: str, first_row: int) -> str:
    return f"{name}, row {first_row + index} (line {rows[index].line.number})"
