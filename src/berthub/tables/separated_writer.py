"""Write rows as CSV, with quotes where they are needed, or as TSV, which has none."""

import csv
import itertools
from collections.abc import Sequence
from typing import Any, BinaryIO

import orjson

from berthub.errors import InputError
from berthub.tables.block import Block, Carried, JsonRows
from berthub.tables.json_columns import json_objects
from berthub.tables.results import Column
from berthub.tables.writer import Writer

__all__ = ["SeparatedWriter"]

_END = "\r\n"


class SeparatedWriter(Writer):
    """Writes a header, then the rows: the fields of the input, and those of the results."""

    def __init__(self, file: BinaryIO, *, tabs: bool, carries: bool, names: Sequence[str] | None = None) -> None:
        super().__init__(carries=carries)
        self._rows = _Rows(file, tabs=tabs)
        self._input = _CarriedFields(names)
        self._block: Block | None = None
        self._carried: Sequence[Sequence[str]] = ()
        self._header_written = False

    def _begin(self, block: Block) -> None:
        self._block = block
        self._carried = self._input.fields(block.carried, block.place(0)) if self._carries else ()

    def _write(self, rows: range, columns: Sequence[Column]) -> None:
        assert self._block is not None
        if not self._header_written:
            self._write_header(columns)
        # Vectors come after all other columns, so that their numbers can be written as they are.
        strings = zip(*(column.fields() for column in columns), strict=False)
        numbers = zip(*(column.numbers() for column in columns), strict=False)
        for row, texts, digits in zip(rows, strings, numbers, strict=False):
            fields = [*(self._carried[row] if self._carried else ()), *itertools.chain.from_iterable(texts)]
            self._rows.row(self._block.place(row), fields, b",".join(filter(None, digits)))

    def close(self) -> None:
        """Nothing is left to write."""

    def _write_header(self, columns: Sequence[Column]) -> None:
        names = [name for column in columns for name in column.field_names]
        clash = {*names} & {*self._input.names}
        if clash:
            raise InputError(
                f'the input has a column "{min(clash)}" already, which is what a dimension would be called: rename it, '
                "or use --vectors-column NAME"
            )
        self._rows.row("the header", [*self._input.names, *names])
        self._header_written = True


class _CarriedFields:
    """The columns of the input as fields; a value that is no string is written as JSON, and null is an empty field.

    `names` are the columns; the first rows decide about them where they are not given.
    """

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self.names = list(names or ())
        self._known = None if names is None else set(names)

    def fields(self, carried: Carried, where: str) -> list[list[str]]:
        """The fields of each row; the error for a key that the first rows do not have names `where` the row is."""
        if self._known is None:
            self.names = list(carried.column_names)
            self._known = set(self.names)
        new = [name for name in carried.column_names if name not in self._known]
        if new:
            raise InputError(
                f'{where}: the key "{new[0]}" is in none of the rows before, which decide about the columns; write '
                "JSON lines instead (-o FILE.jsonl), or use --drop-columns"
            )
        rows = carried.objects if isinstance(carried, JsonRows) else json_objects(carried)
        return [[_field(row.get(name)) for name in self.names] for row in rows]


class _Rows:
    """Writes rows to a file: with commas between fields, or with `tabs`."""

    def __init__(self, file: BinaryIO, *, tabs: bool) -> None:
        self._file, self._tabs = file, tabs
        # With this end of a row, fields that hold either of its characters are quoted.
        self._csv = csv.writer(self, lineterminator=_END)
        self._line = ""

    def row(self, place: str, fields: Sequence[str], numbers: bytes = b"") -> None:
        """Write fields, and after them numbers with commas; the error for what TSV cannot hold names `place`."""
        if not self._tabs:
            self._line = ""
            if fields:
                self._csv.writerow(fields)
        else:
            for field in fields:
                if "\t" in field or "\n" in field or "\r" in field:
                    raise InputError(
                        f"{place}: {field!r:.60} has a tab or a line end, for which TSV has no form: write .csv or "
                        ".jsonl"
                    )
            self._line = "\t".join(fields)
            numbers = numbers.replace(b",", b"\t")
        between = (b"\t" if self._tabs else b",") if fields and numbers else b""
        self._file.write(self._line.encode() + between + numbers + b"\n")

    def write(self, line: str) -> None:
        """Take what the csv module writes."""
        self._line = line.removesuffix(_END)


def _field(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
