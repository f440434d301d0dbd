"""The rows of a file in each format, and how they become blocks: what reading and counting have in common."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import pyarrow as pa

from berthub.choices import InputFormat
from berthub.tables import arrow_ipc, conll, delimited, json_array, json_lines, parquet
from berthub.tables.block import Block, in_blocks
from berthub.tables.columns import TextColumns
from berthub.tables.lines import Line, begins_anywhere, read_lines
from berthub.tables.opening import Opened
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.sniffing import sniffed_delimiter
from berthub.tables.start import BEGINNING, Start
from berthub.tables.suspicion import checked_lines

__all__ = ["Counted", "RowReader", "text_blocks"]


@dataclass(frozen=True)
class Counted:
    """How many rows a file has, some places in it, and its columns where all rows have the same ones."""

    rows: int
    starts: list[Start]
    schema: pa.Schema | None


_Blocks: TypeAlias = Callable[[Iterator[Any]], Iterator[Block]]


@dataclass(frozen=True, eq=False, kw_only=True)
class RowReader:
    """Reads the rows of an open file in the format `read_as`.

    A row without a text that can be read (no string, bytes that are no text, a line that is no JSON) is an
    `InputError`, or, if `lenient`, one of the `faults` of its block.
    """

    opened: Opened
    read_as: InputFormat
    options: ReadingOptions
    columns: TextColumns
    lenient: bool = False

    def blocks(self, start: Start = BEGINNING, rows: int | None = None) -> Iterator[Block]:
        """The rows after `start` in blocks: so many of them, None for all."""
        if self.read_as == "parquet":
            return self._parquet_blocks(start.rows, rows)
        if self.read_as == "arrow":
            return self._arrow().blocks(start.rows, rows)
        found, make, _ = self._rows(start, checked=rows is None)
        return make(itertools.islice(found, rows))

    def count(self, *, first: int, every: int) -> Counted:
        """Count the rows, and find the starts after the `first` of them and after `every` so many more.

        Most of what is in the rows is not looked at.
        """
        if self.read_as == "parquet":
            count, schema, _ = self._parquet(0, 0)
            return Counted(count, [Start(rows) for rows in range(first, count, every)], schema)
        if self.read_as == "arrow":
            arrow = self._arrow()
            count = arrow.count()
            return Counted(count, [Start(rows) for rows in range(first, count, every)], arrow.schema)
        starts: list[Start] = []
        count, wanted, end, line = 0, first, 0, 0
        anywhere = self._begins_anywhere
        rows, _, schema = self._rows(BEGINNING)
        for row in rows:
            if count == wanted:
                starts.append(Start(count, line, end) if anywhere and count else Start(count))
                wanted += every
            count += 1
            end, line = row.end, row.last_line
        return Counted(count, starts, schema)

    @property
    def _begins_anywhere(self) -> bool:
        """Whether reading can begin at the offset of any row."""
        return (
            self.read_as not in ("parquet", "arrow", "json")
            and not self.opened.packed
            and begins_anywhere(self.options.codec)
        )

    def _rows(self, start: Start, *, checked: bool = True) -> tuple[Iterator[Any], _Blocks, pa.Schema | None]:
        """The rows after `start`, the function that makes blocks of them, and the columns where all rows have them.

        Lines of text are `checked` not to be a table.
        """
        name, columns = self.opened.name, self.columns
        match self.read_as:
            case "csv" | "tsv":
                return self._delimited(start)
            case "json":
                elements = json_array.array_rows(self.opened.stream, name, self.options.codec)
                rows: Iterator[Any] = itertools.islice(self.opened.whole(elements), start.rows, None)
                return rows, partial(self._json_blocks, start=start), None
            case "jsonl":
                rows = self._after(start, json_lines.filled(self._lines(start)))
                return (
                    rows,
                    lambda rows: self._json_blocks(json_lines.line_rows(rows, name, lenient=self.lenient), start),
                    None,
                )
            case "conll":
                rows = self._after(start, conll.sentences(self._lines(start), name))
                return rows, partial(conll.blocks, name=name, columns=columns, start=start), None
            case _:
                lines = self._lines(start)
                if self.options.format is None and checked:
                    lines = checked_lines(lines, name)
                return self._after(start, lines), partial(self._text_blocks, start=start), _strings(["text"])

    def _json_blocks(self, rows: Iterator[json_lines.JsonRow], start: Start) -> Iterator[Block]:
        absent = self.options.missing not in (None, "error")
        return json_lines.blocks(rows, self.opened.name, self.columns, absent=absent, start=start, lenient=self.lenient)

    def _text_blocks(self, lines: Iterator[Line], start: Start) -> Iterator[Block]:
        return text_blocks(_without_ends(lines), self.opened.name, self.columns, numbered=True, start=start)

    def _delimited(self, start: Start) -> tuple[Iterator[Any], _Blocks, pa.Schema | None]:
        name, columns, options = self.opened.name, self.columns, self.options
        sniffed = sniffed_delimiter(self.opened, options, columns) if self.read_as == "csv" else None
        delimiter = options.delimiter or sniffed or ("," if self.read_as == "csv" else "\t")

        def records(start: Start) -> Iterator[delimited.Record]:
            lines = self._lines(start)
            if self.read_as == "tsv":
                return delimited.tsv_records(lines, delimiter)
            return delimited.csv_records(lines, name, delimiter, start=start)

        head = delimited.read_header(records(BEGINNING), name, columns, delimiter=delimiter, header=options.header)
        if head is None:
            return iter(()), lambda rows: iter(()), None
        names, found = head
        if start.offset is not None:
            found = records(start)
        rows = self._after(start, delimited.rows(found, names))
        return rows, partial(delimited.blocks, names=names, name=name, columns=columns, start=start), _strings(names)

    def _lines(self, start: Start) -> Iterator[Line]:
        opened = self.opened
        if start.offset is None:
            start = BEGINNING
        else:
            with opened.errors():
                opened.stream.seek(start.offset)
        lines = read_lines(opened.stream, opened.name, self.options.codec, start=start, lenient=self.lenient)
        return opened.whole(lines)

    def _after(self, start: Start, rows: Iterator[Any]) -> Iterator[Any]:
        """The rows after `start`, of those that were read from the beginning where reading cannot begin elsewhere."""
        return rows if start.offset is not None else itertools.islice(rows, start.rows, None)

    def _parquet_blocks(self, first: int, rows: int | None) -> Iterator[Block]:
        total, _, blocks = self._parquet(first, rows)
        size = self.opened.size or 0
        for block in blocks:
            yield block.at(block.begin * size // total, block.end * size // total)

    def _parquet(self, first: int, rows: int | None) -> tuple[int, pa.Schema, Iterator[Block]]:
        opened = self.opened
        if opened.packed:
            raise opened.packed_inside("Parquet")
        return parquet.open_parquet(
            opened.stream, opened.name, self.columns, first=first, rows=rows, lenient=self.lenient
        )

    def _arrow(self) -> arrow_ipc.ArrowFile:
        if self.opened.packed:
            raise self.opened.packed_inside("Arrow")
        return arrow_ipc.open_arrow(self.opened.stream, self.opened.name, self.columns, lenient=self.lenient)


def text_blocks(
    lines: Iterator[Line], name: str, columns: TextColumns, *, numbered: bool, start: Start = BEGINNING
) -> Iterator[Block]:
    """Blocks of lines, each of which is a text; the numbers of lines are those of rows."""
    chosen = columns.chosen(["text"], name)
    begin = start.offset or 0
    for rows in in_blocks((len(line.text), line) for line in lines):
        texts: Sequence[str] = [line.text for line in rows]
        yield Block(
            name=name,
            texts=chosen.texts(texts, None),
            carried=pa.table({"text": pa.array(texts, pa.string())}),
            first_row=rows[0].number,
            lines=[line.number for line in rows] if numbered else None,
            begin=begin,
            end=rows[-1].end,
            columns=chosen,
            faults={index: line.fault for index, line in enumerate(rows) if line.fault},
        )
        begin = rows[-1].end


def _strings(names: Sequence[str]) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in names])


def _without_ends(lines: Iterator[Line]) -> Iterator[Line]:
    return (replace(line, text=delimited.without_end(line.text)) for line in lines)
