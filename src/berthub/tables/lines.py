"""Read lines of text in any encoding; errors name the exact place of bytes that are no text."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from berthub.errors import InputError
from berthub.tables.start import BEGINNING, Start

__all__ = ["LONGEST_ROW", "Line", "begins_anywhere", "decoded", "read_lines", "too_long_row"]

LONGEST_ROW = 1 << 26
"""Bytes, or characters, of a row: rows are what is in memory, and a quote that nobody closed goes on for ever."""

_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file: its number from 1, its text with the end-of-line, and the offset of the next one.

    `fault` says why it is no text, where such lines were asked for.
    """

    number: int
    text: str
    end: int
    fault: str = ""

    @property
    def last_line(self) -> int:
        """The same as `number`: rows of other kinds take several lines."""
        return self.number


def begins_anywhere(encoding: str) -> bool:
    """Whether reading can begin at any line: lines end with the byte of ASCII's line feed."""
    return "\n".encode(encoding) == b"\n"


def read_lines(
    file: BinaryIO, name: str, encoding: str = "utf-8", *, start: Start = BEGINNING, lenient: bool = False
) -> Iterator[Line]:
    """The lines of a file, one in memory at a time; lines end with a line feed, and a byte order mark is no text.

    The file stands at `start`. Bytes that are no text are an `InputError`, or, if `lenient`, the fault of their line.
    """
    if not begins_anywhere(encoding):
        yield from _wide_lines(file, name, encoding)
        return
    offset, number = start.offset or 0, start.lines
    while raw := file.readline(LONGEST_ROW + 1):
        number += 1
        if len(raw) > LONGEST_ROW:
            raise too_long_row(name, number)
        body = raw.removeprefix(_BOM) if number == 1 and encoding == "utf-8" else raw
        fault = ""
        try:
            text = body.decode(encoding)
        except UnicodeDecodeError as error:
            fault = _undecodable(raw, name, encoding, number, offset, error.start + len(raw) - len(body))
            if not lenient:
                raise InputError(fault) from None
            text = body.decode(encoding, "replace")
        if "\0" in text:
            raise _with_nul(name, number)
        offset += len(raw)
        yield Line(number, text, offset, fault)


def decoded(file: BinaryIO, name: str, encoding: str) -> Iterator[str]:
    """The text of a file in chunks of about a megabyte, without a byte order mark."""
    decoder = codecs.getincrementaldecoder(encoding)()
    offset = lines = 0
    first = True
    while True:
        raw = file.read(_CHUNK)
        try:
            text = decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            # The decoder may have kept bytes of the chunk before.
            place = offset + len(raw) - len(error.object) + error.start
            line = lines + error.object[: error.start].decode(encoding, "replace").count("\n") + 1
            raise InputError(
                f"{name} is not {_shown(encoding)}: line {line}, offset {place} in the file is "
                f"0x{error.object[error.start]:02x} ({error.reason}); say how it is encoded with --encoding"
            ) from None
        except UnicodeError as error:
            raise InputError(
                f"{name} is not {_shown(encoding)}: {error}; say how it is encoded with --encoding, for instance "
                "utf-16-le, or leave that out for UTF-8"
            ) from None
        if first and text:
            text, first = text.removeprefix("\ufeff"), False
        offset += len(raw)
        lines += text.count("\n")
        if text:
            yield text
        if not raw:
            return


def _wide_lines(file: BinaryIO, name: str, encoding: str) -> Iterator[Line]:
    """Lines in encodings whose line feed is not the byte that it is in ASCII."""
    number, offset, waiting = 0, 0, ""
    # Without a byte order mark before each line.
    sized = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(encoding, encoding)
    for chunk in decoded(file, name, encoding):
        *whole, waiting = (waiting + chunk).split("\n")
        for text in whole:
            number += 1
            offset += len(f"{text}\n".encode(sized, "replace"))
            yield Line(number, f"{text}\n", offset)
        if len(waiting) > LONGEST_ROW:
            raise too_long_row(name, number + 1)
    if waiting:
        yield Line(number + 1, waiting, offset + len(waiting.encode(sized, "replace")))


def too_long_row(name: str, line: int) -> InputError:
    """The error for a row without an end."""
    return InputError(
        f"{name}: the row that begins at line {line} has more than {LONGEST_ROW >> 20} MB; is this the right format "
        "(--format), and is every quote closed?"
    )


def _with_nul(name: str, number: int) -> InputError:
    return InputError(
        f"{name}, line {number} holds a NUL character, which no text has: the file is UTF-16 (--encoding utf-16-le), "
        "or no text at all"
    )


def _undecodable(raw: bytes, name: str, encoding: str, number: int, offset: int, index: int) -> str:
    if number == 1 and raw.startswith(_UTF16_BOMS):
        advice = "it looks like UTF-16: use --encoding utf-16, or save it as UTF-8"
    elif encoding == "utf-8":
        advice = (
            "say how it is encoded, for instance --encoding cp1252 or latin-1 (Western Windows and Unix), or save it "
            "as UTF-8"
        )
    else:
        advice = "say how it is encoded with another --encoding"
    return (
        f"{name} is not {_shown(encoding)}: line {number}, byte {index + 1} of the line (offset {offset + index} in "
        f"the file) is 0x{raw[index]:02x}; {advice}"
    )


def _shown(encoding: str) -> str:
    return "UTF-8" if encoding == "utf-8" else encoding
