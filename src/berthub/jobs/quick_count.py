"""Count the rows of small files fast: there may be millions of them.

Only what needs no reader is counted here: files whose lines are their rows. Of all others nothing is said, and the
reader of their format counts.
"""

import os
import re
import stat
from dataclasses import dataclass

import google_crc32c

from berthub.tables.reading_options import ReadingOptions
from berthub.tables.source import InputFile

__all__ = ["QuickCount", "quick_count"]

_LARGEST = 1 << 18
# What a reader looks at more closely: quotes of CSV, blank lines, NUL, a byte order mark, and compressed data.
_BLANK = re.compile(rb"(?:\A|\n)[ \t\r]*(?:\n|\Z)")
_NO_OBJECT = re.compile(rb"(?:\A|\n)[^{\n]*(?:\n|\Z)")
_MARKS = (b"\xef\xbb\xbf", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")


@dataclass(frozen=True, slots=True)
class QuickCount:
    """The rows of a file, the line that names its columns, and the size, stamp and checksum of its bytes."""

    rows: int
    header: bytes
    size: int
    stamp: str
    checksum: str


def quick_count(file: InputFile, options: ReadingOptions) -> QuickCount | None:
    """Count the rows of a small local file of lines in UTF-8; None for what is none, or cannot be opened."""
    if file.format not in ("text", "csv", "tsv", "jsonl") or options.encoding is not None or "://" in file.address:
        return None
    try:
        descriptor = os.open(file.address, os.O_RDONLY)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= _LARGEST:
            return None
        data = os.read(descriptor, _LARGEST + 1)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if len(data) != status.st_size or b"\0" in data or data.startswith(_MARKS):
        return None
    rows = data.count(b"\n") + (not data.endswith(b"\n"))
    header = b""
    if file.format != "text":
        body = data if data.endswith(b"\n") else data + b"\n"
        if file.format == "jsonl" and _NO_OBJECT.search(body[:-1]):
            return None
        if _BLANK.search(body[:-1]) or (file.format == "csv" and b'"' in data):
            return None
        if file.format != "jsonl" and options.header:
            header, rows = data[: data.find(b"\n") + 1], rows - 1
            if not header:
                return None
    stamp = f"{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_ino}"
    return QuickCount(rows, header, len(data), stamp, f"crc32c:{google_crc32c.value(data):08x}")
