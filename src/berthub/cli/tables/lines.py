"""Lines of UTF-8, with the exact place of what is none."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from berthub.errors import InputError

__all__ = ["Line", "read_lines"]

_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file: its number from 1, its text with the end-of-line, and the offset of the next one."""

    number: int
    text: str
    end: int


def read_lines(file: BinaryIO, name: str) -> Iterator[Line]:
    """The lines of a file, one in memory at a time; lines end with a line feed, and a byte order mark is no text."""
    offset = 0
    for number, raw in enumerate(file, 1):
        body = raw.removeprefix(_BOM) if number == 1 else raw
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise InputError(_not_utf8(raw, name, number, offset, error.start + len(raw) - len(body))) from None
        offset += len(raw)
        yield Line(number, text, offset)


def _not_utf8(raw: bytes, name: str, number: int, offset: int, index: int) -> str:
    if number == 1 and raw.startswith(_UTF16_BOMS):
        advice = "it looks like UTF-16: save it as UTF-8"
    else:
        advice = "save it as UTF-8, for instance with: iconv -f ISO-8859-1 -t UTF-8"
    return (
        f"{name} is not UTF-8: line {number}, byte {index + 1} of the line (offset {offset + index} in the file) is "
        f"0x{raw[index]:02x}; {advice}"
    )
