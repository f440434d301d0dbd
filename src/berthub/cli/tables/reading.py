"""Texts from files of any size, in blocks of rows, with all the columns that they came with."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from berthub.cli.options import InputFormat
from berthub.cli.tables import conll, delimited, json_lines, parquet
from berthub.cli.tables.block import Block, cut_rows
from berthub.cli.tables.columns import TextColumns
from berthub.cli.tables.lines import Line, read_lines
from berthub.cli.tables.source import Source
from berthub.errors import InputError

__all__ = ["Rows", "TextColumns", "reading"]


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a source. `total` is its size where that is known: in rows, or in bytes."""

    total: int | None
    blocks: Iterator[Block]


@contextlib.contextmanager
def reading(source: Source, columns: TextColumns) -> Iterator[Rows]:
    """Open a source; what cannot be read raises `InputError`, at once or when its block is taken."""
    if source.texts is not None:
        lines = (Line(index, text, index) for index, text in enumerate(source.texts, 1))
        yield Rows(len(source.texts), _text_blocks(lines, source.name, columns, numbered=False))
        return
    if source.path is None:
        yield Rows(None, _line_blocks(sys.stdin.buffer, source, columns))
        return
    try:
        file = source.path.open("rb")
        size = source.path.stat().st_size
    except OSError as error:
        raise InputError(f"{source.name} cannot be read: {error.strerror}") from error
    with file:
        if source.format is InputFormat.PARQUET:
            yield Rows(*parquet.open_parquet(file, source.name, columns))
        else:
            yield Rows(size or None, _line_blocks(file, source, columns))


def _line_blocks(file: BinaryIO, source: Source, columns: TextColumns) -> Iterator[Block]:
    lines = read_lines(file, source.name)
    match source.format:
        case InputFormat.CSV:
            return delimited.blocks(delimited.csv_records(lines, source.name), source.name, columns)
        case InputFormat.TSV:
            return delimited.blocks(delimited.tsv_records(lines), source.name, columns)
        case InputFormat.JSONL:
            return json_lines.blocks(lines, source.name, columns)
        case InputFormat.CONLL:
            return conll.blocks(lines, source.name, columns)
        case _:
            return _text_blocks(_without_ends(lines), source.name, columns, numbered=True)


def _without_ends(lines: Iterator[Line]) -> Iterator[Line]:
    return (Line(line.number, delimited.without_end(line.text), line.end) for line in lines)


def _text_blocks(lines: Iterator[Line], name: str, columns: TextColumns, *, numbered: bool) -> Iterator[Block]:
    chosen = columns.chosen(["text"], name)
    begin = 0
    for rows in cut_rows((len(line.text), line) for line in lines):
        texts: Sequence[str] = [line.text for line in rows]
        yield Block(
            name=name,
            texts=chosen.texts(texts, None),
            carried=pa.table({"text": pa.array(texts, pa.string())}),
            first_row=rows[0].number,
            lines=[line.number for line in rows] if numbered else None,
            begin=begin,
            end=rows[-1].end,
        )
        begin = rows[-1].end
