"""Read CSV and TSV: a header, then rows of strings, which are not parsed further."""

import csv
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from berthub.errors import InputError
from berthub.tables.block import Block, in_blocks
from berthub.tables.columns import TextColumns
from berthub.tables.lines import LONGEST_ROW, Line, too_long_row
from berthub.tables.suspicion import check_header

__all__ = ["Record", "blocks", "csv_records", "numbered_columns", "tsv_records", "without_end"]

# What a field takes in memory beside its characters: rows of many empty ones are large, too.
_FIELD = 8
# How many columns of a header messages show.
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Record:
    """The fields of one row, the line where it begins, and the offset where it ends."""

    fields: list[str]
    line: int
    end: int


def without_end(line: str) -> str:
    """The line without its end: a line feed, or a carriage return and a line feed."""
    return line.removesuffix("\n").removesuffix("\r") if line.endswith("\n") else line


def tsv_records(lines: Iterator[Line], delimiter: str = "\t") -> Iterator[Record]:
    """The rows of a file whose fields lie between tabs; quotes are characters like any other."""
    for line in lines:
        text = without_end(line.text)
        yield Record(text.split(delimiter) if text else [], line.number, line.end)


def csv_records(lines: Iterator[Line], name: str, delimiter: str = ",") -> Iterator[Record]:
    """The rows of a CSV file (RFC 4180); a quoted field may hold line ends."""
    # The module's limit of 128 KB a field is for the whole process; a C long is the most that it takes.
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    last = Line(0, "", 0)
    begin = size = 0

    def texts() -> Iterator[str]:
        nonlocal last, size
        for last in lines:
            size += len(last.text)
            if size > LONGEST_ROW:
                raise too_long_row(name, begin)
            yield last.text

    reader = csv.reader(texts(), strict=True, delimiter=delimiter)
    while True:
        begin, size = last.number + 1, 0
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(
                f"{name}, line {begin}: this row is no valid CSV ({error}); a field that holds quotes is written in "
                'quotes, with its own doubled: "so-called ""quotes"""'
            ) from error
        yield Record(fields, begin, last.end)


def numbered_columns(count: int) -> list[str]:
    """The names of the columns of a file without a header: text, or column_1, column_2, ..."""
    return ["text"] if count == 1 else [f"column_{number}" for number in range(1, count + 1)]


def blocks(
    records: Iterator[Record], name: str, columns: TextColumns, *, delimiter: str, header: bool = True
) -> Iterator[Block]:
    """The rows below the header, in blocks; without a `header` all of them, with the names of `numbered_columns`.

    A blank line is an empty text where the file has one column, and is passed over where it has more.
    """
    head = next(records, None)
    if head is None:
        return
    first_row, begin = 1, head.end
    if header:
        names = head.fields or [""]
        check_header(names, name, columns, delimiter)
    else:
        names, begin = numbered_columns(len(head.fields)), 0
        records = itertools.chain([head], records)
    chosen = columns.chosen(names, name)
    places = {column: index for index, column in enumerate(names)}
    indices = [places[column] for column in chosen.names]
    for rows in in_blocks(_sized(records, names, name)):
        values = [list(column) for column in zip(*(row.fields for row in rows), strict=True)]
        first, *second = (values[index] for index in indices)
        yield Block(
            name=name,
            texts=chosen.texts(first, second[0] if second else None),
            carried=pa.table([pa.array(column, pa.string()) for column in values], names=names),
            first_row=first_row,
            lines=[row.line for row in rows],
            begin=begin,
            end=rows[-1].end,
            labels=None if chosen.label is None else values[places[chosen.label]],
        )
        first_row += len(rows)
        begin = rows[-1].end


def _sized(records: Iterator[Record], names: list[str], name: str) -> Iterator[tuple[int, Record]]:
    for record in records:
        fields = record.fields
        if not fields:
            if len(names) > 1:
                continue
            record = Record([""], record.line, record.end)
        elif len(fields) != len(names):
            shown = ", ".join(f'"{column}"' for column in names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
            raise InputError(
                f"{name}, line {record.line}: the row has {len(fields)} fields and the header {len(names)}: {shown}"
            )
        yield sum(map(len, fields)) + _FIELD * len(fields), record
