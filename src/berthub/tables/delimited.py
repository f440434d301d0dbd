"""Read CSV and TSV: a header, then rows of strings, which are not parsed further."""

import csv
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from berthub.errors import InputError
from berthub.tables.block import Block, in_blocks
from berthub.tables.columns import TextColumns
from berthub.tables.lines import LONGEST_ROW, Line, too_long_row
from berthub.tables.start import BEGINNING, Start
from berthub.tables.suspicion import check_header

__all__ = ["Record", "blocks", "csv_records", "numbered_columns", "read_header", "rows", "tsv_records", "without_end"]

# What a field takes in memory beside its characters: rows of many empty ones are large, too.
_FIELD = 8
# How many columns of a header messages show.
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Record:
    """The fields of one row, the line where it begins, the offset where it ends, its last line, and what is wrong."""

    fields: list[str]
    line: int
    end: int
    last_line: int
    fault: str = ""


def without_end(line: str) -> str:
    """The line without its end: a line feed, or a carriage return and a line feed."""
    return line.removesuffix("\n").removesuffix("\r") if line.endswith("\n") else line


def tsv_records(lines: Iterator[Line], delimiter: str = "\t") -> Iterator[Record]:
    """The rows of a file whose fields lie between tabs; quotes are characters like any other."""
    for line in lines:
        text = without_end(line.text)
        yield Record(text.split(delimiter) if text else [], line.number, line.end, line.number, line.fault)


def csv_records(
    lines: Iterator[Line], name: str, delimiter: str = ",", *, start: Start = BEGINNING
) -> Iterator[Record]:
    """The rows of a CSV file (RFC 4180); a quoted field may hold line ends. The lines are those after `start`."""
    # The module's limit of 128 KB a field is for the whole process; a C long is the most that it takes.
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    last = Line(start.lines, "", start.offset or 0)
    begin = size = 0
    fault = ""

    def texts() -> Iterator[str]:
        nonlocal last, size, fault
        for last in lines:
            size += len(last.text)
            fault = fault or last.fault
            if size > LONGEST_ROW:
                raise too_long_row(name, begin)
            yield last.text

    reader = csv.reader(texts(), strict=True, delimiter=delimiter)
    while True:
        begin, size, fault = last.number + 1, 0, ""
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(
                f"{name}, line {begin}: this row is no valid CSV ({error}); a field that holds quotes is written in "
                'quotes, with its own doubled: "so-called ""quotes"""'
            ) from error
        yield Record(fields, begin, last.end, last.number, fault)


def numbered_columns(count: int) -> list[str]:
    """The names of the columns of a file without a header: text, or column_1, column_2, ..."""
    return ["text"] if count == 1 else [f"column_{number}" for number in range(1, count + 1)]


def read_header(
    records: Iterator[Record], name: str, columns: TextColumns, *, delimiter: str, header: bool
) -> tuple[list[str], Iterator[Record]] | None:
    """The names of the columns, and the records below the header; None where there is no record at all.

    Without a `header` all records are rows, with the names of `numbered_columns`.
    """
    head = next(records, None)
    if head is None:
        return None
    if not header:
        return numbered_columns(len(head.fields)), itertools.chain([head], records)
    names = head.fields or [""]
    check_header(names, name, columns, delimiter)
    return names, records


def rows(records: Iterator[Record], names: Sequence[str]) -> Iterator[Record]:
    """The records that are rows: a blank line is an empty text where the file has one column, and else no row."""
    for record in records:
        if record.fields:
            yield record
        elif len(names) == 1:
            yield replace(record, fields=[""])


def blocks(
    rows: Iterator[Record], names: Sequence[str], name: str, columns: TextColumns, *, start: Start = BEGINNING
) -> Iterator[Block]:
    """The rows in blocks; `names` are those of the columns, and the first row is the one at `start`."""
    first_row, begin = start.rows + 1, start.offset or 0
    chosen = columns.chosen(names, name)
    places = {column: index for index, column in enumerate(names)}
    indices = [places[column] for column in chosen.names]
    for block in in_blocks(_sized(rows, names, name)):
        values = [list(column) for column in zip(*(row.fields for row in block), strict=True)]
        first, *second = (values[index] for index in indices)
        yield Block(
            name=name,
            texts=chosen.texts(first, second[0] if second else None),
            carried=pa.table([pa.array(column, pa.string()) for column in values], names=list(names)),
            first_row=first_row,
            lines=[row.line for row in block],
            begin=begin,
            end=block[-1].end,
            columns=chosen,
            faults={index: row.fault for index, row in enumerate(block) if row.fault},
            labels=None if chosen.label is None else values[places[chosen.label]],
        )
        first_row += len(block)
        begin = block[-1].end


def _sized(rows: Iterator[Record], names: Sequence[str], name: str) -> Iterator[tuple[int, Record]]:
    for row in rows:
        fields = row.fields
        if len(fields) != len(names):
            shown = ", ".join(f'"{column}"' for column in names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
            raise InputError(
                f"{name}, line {row.line}: the row has {len(fields)} fields and the header {len(names)}: {shown}"
            )
        yield sum(map(len, fields)) + _FIELD * len(fields), row
