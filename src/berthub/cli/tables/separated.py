"""Rows of strings written as CSV, with quotes where they are needed, or as TSV, which has none."""

import csv
from collections.abc import Sequence
from typing import Any, BinaryIO

import orjson

from berthub.cli.tables.block import Carried, JsonRows
from berthub.cli.tables.json_columns import json_objects
from berthub.errors import InputError

__all__ = ["CarriedFields", "SeparatedRows"]

_END = "\r\n"


class CarriedFields:
    """The columns of the input as fields; what is no string is written as JSON, and null is an empty field.

    The first rows decide about the columns: `names`.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._known: set[str] | None = None

    def fields(self, carried: Carried, where: str) -> list[list[str]]:
        """Each row's fields; `where` the rows are is told where one has a key that the first ones have not."""
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


class SeparatedRows:
    """Writes rows to a file: with commas between fields, or with `tabs`."""

    def __init__(self, file: BinaryIO, *, tabs: bool) -> None:
        self._file, self._tabs = file, tabs
        # With this end of a row, fields that hold either of its characters are quoted.
        self._csv = csv.writer(self, lineterminator=_END)
        self._line = ""

    def row(self, place: str, fields: Sequence[str], numbers: bytes = b"") -> None:
        """Write fields, and behind them numbers with commas between them; `place` is told of what TSV cannot hold."""
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
        """What the csv module calls."""
        self._line = line.removesuffix(_END)


def _field(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
