"""Find the delimiter of a CSV file that has another one than a comma, where its first lines leave no doubt."""

import csv
import itertools

from berthub.errors import InputError
from berthub.tables.columns import TextColumns
from berthub.tables.opening import Opened
from berthub.tables.reading_options import DELIMITERS, ReadingOptions
from berthub.tables.suspicion import check_header, is_name

__all__ = ["sniffed_delimiter"]

_SAMPLE = 1 << 16
_LINES = 64


def sniffed_delimiter(opened: Opened, options: ReadingOptions, columns: TextColumns) -> str | None:
    """The delimiter of a CSV file that is open at its beginning; None for a comma, and for what is in doubt.

    Only a file that is refused with commas gets another delimiter, so that no file is read otherwise than it was. The
    header must name several columns with it, and with no other one, and all of the first rows have as many fields.
    """
    if options.delimiter is not None or not options.header:
        return None
    lines = _first_lines(opened, options.codec)
    if len(lines) < 2:
        return None
    header = lines[0].rstrip("\r\n")
    if '"' not in header and "," not in header:
        try:
            check_header([header], opened.name, columns, ",")
        except InputError:
            found = [mark for mark in DELIMITERS if mark in header]
            if len(found) == 1 and _is_table(lines, found[0], columns):
                return found[0]
    return None


def _is_table(lines: list[str], delimiter: str, columns: TextColumns) -> bool:
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
    rows: list[list[str]] = []
    try:
        for row in reader:
            rows += [row] if row else []
    except csv.Error:
        # A quote may be open where the sample ends.
        if reader.line_num < len(lines):
            return False
    if not rows:
        return False
    names, *others = rows
    return (
        len(names) > 1
        and len(others) > 0
        and all(map(is_name, names))
        and len({*names}) == len(names)
        and (columns.text is None or columns.text in names)
        and all(len(row) == len(names) for row in others)
    )


def _first_lines(opened: Opened, encoding: str) -> list[str]:
    """The whole lines of what is read first; none for what cannot be told before it is read."""
    if "\n".encode(encoding) != b"\n":
        return []
    with opened.errors():
        data: bytes = opened.stream.peek(_SAMPLE)[:_SAMPLE]  # type: ignore[attr-defined]
    if opened.packed or len(data) != opened.size:
        data = data[: data.rfind(b"\n") + 1]
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError:
        return []
    return list(itertools.islice((f"{line}\n" for line in text.removesuffix("\n").split("\n")), _LINES))
