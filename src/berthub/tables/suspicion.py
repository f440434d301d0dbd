"""Refuse input that would be read wrongly without an error: a table as lines of text, another delimiter, no header.

What is refused here is legal, if rare: every message names the option that says so.
"""

import csv
import itertools
import re
from collections.abc import Iterator, Sequence

import orjson

from berthub.errors import InputError
from berthub.tables.columns import TextColumns
from berthub.tables.lines import Line
from berthub.tables.reading_options import DELIMITERS

__all__ = ["check_header", "checked_lines", "is_name"]

# Lines of text that are looked at.
_SAMPLE = 32
_SAMPLE_CHARS = 1 << 20
_FEWEST = 3
# Names of columns as files have them: words without the marks of a sentence.
_NAME = re.compile(r"[^\W\d][\w .:/()#-]{0,39}")
_SENTENCE = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][\"')\u201d]?$|[,;!?]\s")
_MOST_WORDS = 6
# The same for the name of an only column, which may as well be the first text of a file without a header.
_MOST_WORDS_ALONE = 2
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?")
# Names that a header has, and a row of texts does not.
_USUAL = {"text", "text_a", "words", "tokens", "label", "labels"}
_TEXT_NAMES = {"text", "texts", "text_a", "sentence", "sentences", "sentence1"}


def check_header(names: Sequence[str], name: str, columns: TextColumns, delimiter: str) -> None:
    """Raise `InputError` where the first line of CSV or TSV seems to have another delimiter, or to be no header.

    Whoever names a column with --text-column has said what the header is.
    """
    if columns.text is not None and columns.text in names:
        return
    if len(names) == 1:
        only = names[0]
        other = next((mark for mark in (";", "\t", "|", ",") if mark != delimiter and mark in only), None)
        if other is not None and len(only.split(other)) > 1 and not _SENTENCE.search(only):
            raise InputError(
                f"{name} has one column as it is read, with {DELIMITERS.get(delimiter, repr(delimiter))} between "
                f"fields, and its header holds {DELIMITERS[other]}: {_shown(only)}. Say --delimiter "
                f"{_typed(other)}, or, if that is the name of the only column, --text-column {_shown(only)}"
            )
        if _is_sentence(only) or len(only.split()) > _MOST_WORDS_ALONE:
            raise InputError(
                f"the first line of {name} should name the only column, and looks like a text: {_shown(only)}. If the "
                f"file has no header, say --no-header; if that is the column's name, --text-column {_shown(only)}"
            )
    elif columns.text is None and _USUAL.isdisjoint(names) and any(map(_is_value, names)):
        raise InputError(
            f"the first line of {name} should name the columns, and looks like a row: "
            f"{', '.join(map(_shown, names[:4]))}{', ...' if len(names) > 4 else ''}. If the file has no header, say "
            "--no-header, and --text-column column_1, column_2, ...; if these are names, --text-column NAME"
        )


def checked_lines(lines: Iterator[Line], name: str) -> Iterator[Line]:
    """Pass on the lines; `InputError` where the first of them look like a table, or like JSON, and not like texts."""
    first: list[Line] = []
    size = 0
    for line in itertools.islice(lines, _SAMPLE):
        first.append(line)
        size += len(line.text)
        if size > _SAMPLE_CHARS:
            break
    found = _format([line.text.rstrip("\r\n") for line in first])
    if found is not None:
        what, option = found
        raise InputError(
            f"{name} is read as text, a text a line, and looks like {what}: {_shown(first[0].text.strip())}. Say "
            f"{option}, or --format text if every line is a text"
        )
    return itertools.chain(first, lines)


def _format(lines: Sequence[str]) -> tuple[str, str] | None:
    filled = [line for line in lines if line.strip()]
    if not filled:
        return None
    if filled[0].startswith("PAR1"):
        return "Parquet", "--format parquet, of a file"
    if filled[0].lstrip()[:1] in "{[":
        return _json(filled[0])
    if filled[0].strip().strip('"').lower() in _TEXT_NAMES and len(filled) > 1:
        return "CSV with a header", "--format csv"
    for delimiter in DELIMITERS:
        if _is_table(filled, delimiter):
            option = {",": "--format csv", "\t": "--format tsv"}
            return (
                f"a table with {DELIMITERS[delimiter]} between fields",
                option.get(delimiter, f"--format csv --delimiter {_typed(delimiter)}"),
            )
    return None


def _json(line: str) -> tuple[str, str] | None:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        # As a file of several lines begins.
        return ("JSON", "--format json") if line.strip() in ("[", "[{", "{") else None
    if isinstance(value, dict) and value:
        return "JSON lines", "--format jsonl"
    return ("JSON", "--format json") if isinstance(value, list) and value and isinstance(value[0], str | dict) else None


def _is_table(lines: Sequence[str], delimiter: str) -> bool:
    """Whether all lines have as many fields, and the first one names them; or between tabs, many lines alike."""
    if len(lines) < 2 or delimiter not in lines[0]:
        return False
    try:
        rows = list(csv.reader((f"{line}\n" for line in lines), delimiter=delimiter))
    except csv.Error:
        return False
    # The last row may go on after the sample.
    rows = rows[:-1] if len(rows) > _FEWEST else rows
    width = len(rows[0])
    if width < 2 or any(len(row) != width for row in rows):
        return False
    if len(rows) >= 2 and all(map(is_name, rows[0])) and len({*rows[0]}) == width:
        return True
    return delimiter == "\t" and len(rows) >= _FEWEST


def is_name(field: str) -> bool:
    """Whether a field of a first line looks like the name of a column."""
    # A comma with a blank after it stands in a sentence.
    return _NAME.fullmatch(field) is not None and field == field.strip() and len(field.split()) <= 3


def _is_sentence(field: str) -> bool:
    return len(field.split()) > _MOST_WORDS or (" " in field.strip() and _SENTENCE.search(field.strip()) is not None)


def _is_value(field: str) -> bool:
    return _NUMBER.fullmatch(field.strip()) is not None or _is_sentence(field)


def _typed(delimiter: str) -> str:
    return "tab" if delimiter == "\t" else f"'{delimiter}'"


def _shown(text: str) -> str:
    return f'"{text if len(text) <= 60 else text[:57] + "..."}"'
