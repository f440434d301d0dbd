"""The rows of a file in each format, and how they become blocks: what reading and counting have in common."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa

from berthub.choices import InputFormat
from berthub.errors import InputError
from berthub.tables import conll, delimited, json_array, json_lines, parquet
from berthub.tables.block import Block, in_blocks
from berthub.tables.columns import TextColumns
from berthub.tables.lines import Line, begins_anywhere, read_lines
from berthub.tables.opening import Opened
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.start import BEGINNING, Start
from berthub.tables.suspicion import checked_lines

__all__ = ["RowReader", "text_blocks"]


_Blocks: TypeAlias = Callable[[Iterator[Any]], Iterator[Block]]


@dataclass(frozen=True, eq=False, kw_only=True)
class RowReader:
    """Reads the rows of an open file in the format `read_as`."""

    opened: Opened
    read_as: InputFormat
    options: ReadingOptions
    columns: TextColumns

    def blocks(self, start: Start = BEGINNING, rows: int | None = None) -> Iterator[Block]:
        """The rows after `start` in blocks: so many of them, None for all."""
        if self.read_as == "parquet":
            return self._parquet_blocks(start.rows, rows)
        found, make = self._rows(start)
        return make(itertools.islice(found, rows))

    def count(self, *, first: int, every: int) -> tuple[int, list[Start]]:
        """How many rows there are, and the starts after the `first` rows and after `every` so many more.

        Most of what is in the rows is not looked at.
        """
        if self.read_as == "parquet":
            count = self._parquet(0, 0)[0]
            return count, [Start(rows) for rows in range(first, count, every)]
        starts: list[Start] = []
        count, wanted, end, line = 0, first, 0, 0
        anywhere = self._begins_anywhere
        for row in self._rows(BEGINNING)[0]:
            if count == wanted:
                starts.append(Start(count, line, end) if anywhere and count else Start(count))
                wanted += every
            count += 1
            end, line = row.end, row.last_line
        return count, starts

    @property
    def _begins_anywhere(self) -> bool:
        """Whether reading can begin at the offset of any row."""
        return (
            self.read_as not in ("parquet", "json") and not self.opened.packed and begins_anywhere(self.options.codec)
        )

    def _rows(self, start: Start) -> tuple[Iterator[Any], _Blocks]:
        """The rows after `start`, and the function that makes blocks of them."""
        opened, name, columns = self.opened, self.opened.name, self.columns
        absent = self.options.missing not in (None, "error")
        match self.read_as:
            case "json":
                elements = json_array.array_rows(opened.stream, name, self.options.codec)
                rows = itertools.islice(opened.whole(elements), start.rows, None)
                return rows, lambda rows: json_lines.blocks(rows, name, columns, absent=absent, start=start)
            case "csv" | "tsv":
                return self._delimited(start)
            case "jsonl":
                return self._after(start, json_lines.filled(self._lines(start))), lambda rows: json_lines.blocks(
                    json_lines.line_rows(rows, name), name, columns, absent=absent, start=start
                )
            case "conll":
                return self._after(start, conll.sentences(self._lines(start), name)), lambda rows: conll.blocks(
                    rows, name, columns, start=start
                )
            case _:
                lines = self._lines(start)
                if self.options.format is None and start == BEGINNING:
                    lines = checked_lines(lines, name)
                return self._after(start, lines), lambda rows: text_blocks(
                    _without_ends(rows), name, columns, numbered=True, start=start
                )

    def _delimited(self, start: Start) -> tuple[Iterator[Any], _Blocks]:
        name, columns, options = self.opened.name, self.columns, self.options
        delimiter = options.delimiter or ("," if self.read_as == "csv" else "\t")

        def records(start: Start) -> Iterator[delimited.Record]:
            lines = self._lines(start)
            if self.read_as == "tsv":
                return delimited.tsv_records(lines, delimiter)
            return delimited.csv_records(lines, name, delimiter, start=start)

        head = delimited.read_header(records(BEGINNING), name, columns, delimiter=delimiter, header=options.header)
        if head is None:
            return iter(()), lambda rows: iter(())
        names, found = head
        if start.offset is not None:
            found = records(start)
        return self._after(start, delimited.rows(found, names)), lambda rows: delimited.blocks(
            rows, names, name, columns, start=start
        )

    def _lines(self, start: Start) -> Iterator[Line]:
        opened = self.opened
        if start.offset is None:
            start = BEGINNING
        else:
            with opened.errors():
                opened.stream.seek(start.offset)
        return opened.whole(read_lines(opened.stream, opened.name, self.options.codec, start=start))

    def _after(self, start: Start, rows: Iterator[Any]) -> Iterator[Any]:
        """The rows after `start`, of those that were read from the beginning where reading cannot begin elsewhere."""
        return rows if start.offset is not None else itertools.islice(rows, start.rows, None)

    def _parquet_blocks(self, first: int, rows: int | None) -> Iterator[Block]:
        total, blocks = self._parquet(first, rows)
        size = self.opened.size or 0
        for block in blocks:
            yield block.at(block.begin * size // total, block.end * size // total)

    def _parquet(self, first: int, rows: int | None) -> tuple[int, Iterator[Block]]:
        opened = self.opened
        if opened.packed:
            raise InputError(f"{opened.name} is a Parquet file inside gzip, which has to be unpacked: gunzip it first")
        return parquet.open_parquet(opened.stream, opened.name, self.columns, first=first, rows=rows)


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
        )
        begin = rows[-1].end


def _without_ends(lines: Iterator[Line]) -> Iterator[Line]:
    return (Line(line.number, delimited.without_end(line.text), line.end) for line in lines)
