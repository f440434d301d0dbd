"""Read JSON files: an array of objects or of strings, of any size; or JSON lines, which many call .json, too."""

import itertools
import json
from collections.abc import Iterator
from typing import BinaryIO

import orjson

from berthub.errors import InputError
from berthub.tables.json_lines import JsonRow, line_rows
from berthub.tables.lines import LONGEST_ROW, Line, decoded, too_long_row

__all__ = ["array_rows"]

_SPACE = " \t\r\n"
# The longest token that the end of a chunk may break: a literal or an escape. An earlier error is one of the file.
_LONGEST_TOKEN = 16


def array_rows(file: BinaryIO, name: str, encoding: str) -> Iterator[JsonRow]:
    """The elements of the array, one in memory at a time; a string becomes an object with the key "text".

    A file that begins with an object is read as JSON lines.
    """
    chunks = decoded(file, name, encoding)
    # Blank chunks, and then the first that tells what this is.
    start = ""
    for chunk in chunks:
        start += chunk
        if start.strip(_SPACE):
            break
        start = "\n" * start.count("\n")
    begin = start.lstrip(_SPACE)[:1]
    rest = itertools.chain([start], chunks)
    if begin == "{":
        yield from line_rows(_lines(rest, name), name)
    elif begin == "[":
        yield from _Elements(rest, name).rows()
    elif begin:
        raise InputError(
            f"{name} holds no JSON array, it begins with {begin!r}: write an array of strings or of objects, or JSON "
            "lines (.jsonl)"
        )


def _lines(chunks: Iterator[str], name: str) -> Iterator[Line]:
    number = end = 0
    waiting = ""
    for chunk in chunks:
        *whole, waiting = (waiting + chunk).split("\n")
        for text in whole:
            number += 1
            end += len(text.encode()) + 1
            yield Line(number, f"{text}\n", end)
        if len(waiting) > LONGEST_ROW:
            raise too_long_row(name, number + 1)
    if waiting:
        yield Line(number + 1, waiting, end + len(waiting.encode()))


class _Elements:
    """The elements of an array; `_text` is what was read and not yet used, from `_at` on."""

    def __init__(self, chunks: Iterator[str], name: str) -> None:
        self._chunks, self._name = chunks, name
        self._text, self._at = "", 0
        self._line, self._end = 1, 0
        self._decoder = json.JSONDecoder()

    def rows(self) -> Iterator[JsonRow]:
        """The elements as objects; `InputError` names a row that is no object, or where the array breaks off."""
        self._next("[")
        number = 0
        if self._peek() == "]":
            self._next("]")
        else:
            while True:
                number += 1
                self._peek()
                line = self._line
                raw = self._element(number)
                yield JsonRow(
                    *_as_object(raw, f"{self._name}, row {number} (line {line})"), line, self._end, self._line
                )
                if self._next(",]") == "]":
                    break
        if self._peek():
            raise self._fault(f"more after the end of the array, {self._peek()!r}")

    def _element(self, number: int) -> str:
        """The text of one element. What is waiting for its end doubles, so that reading takes linear time."""
        while True:
            try:
                _, end = self._decoder.raw_decode(self._text, self._at)
            except RecursionError:
                raise self._fault(f"row {number} is nested too deeply") from None
            except json.JSONDecodeError as error:
                torn = error.msg.startswith("Unterminated string") or len(self._text) - error.pos < _LONGEST_TOKEN
                if not torn or not self._more(2 * (len(self._text) - self._at)):
                    raise self._fault(f"row {number} is no valid JSON: {error.msg}") from None
            else:
                # A number may go on in the next chunk, but is no row in any case.
                return self._used(end)
            if len(self._text) - self._at > LONGEST_ROW:
                raise too_long_row(self._name, self._line)

    def _peek(self) -> str:
        """The next character that is no white space; an empty string at the end."""
        while True:
            at = self._at
            while at < len(self._text) and self._text[at] in _SPACE:
                at += 1
            self._used(at)
            if at < len(self._text):
                return self._text[at]
            if not self._more(1):
                return ""

    def _next(self, wanted: str) -> str:
        found = self._peek()
        if not found or found not in wanted:
            raise self._fault(
                f"{found!r} where one of {' '.join(wanted)} should be" if found else "the end of the file"
            )
        self._used(self._at + 1)
        return found

    def _used(self, end: int) -> str:
        part = self._text[self._at : end]
        self._at = end
        self._line += part.count("\n")
        self._end += len(part.encode("utf-8", "surrogatepass"))
        return part

    def _more(self, wanted: int) -> bool:
        """Read until that much is waiting, or to the end; False where there was nothing more."""
        parts = [self._text[self._at :]]
        size = len(parts[0])
        for chunk in self._chunks:
            parts.append(chunk)
            size += len(chunk)
            if size >= wanted:
                break
        self._text, self._at = "".join(parts), 0
        return len(parts) > 1

    def _fault(self, found: str) -> InputError:
        return InputError(
            f"{self._name}, line {self._line}: {found}; the file should be one JSON array of strings or of objects, "
            "and may have been cut off"
        )


def _as_object(raw: str, place: str) -> tuple[bytes, dict[str, object]]:
    try:
        values = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{place}: no valid JSON: {error.msg}") from error
    if isinstance(values, dict):
        # Between its tokens alone can an object have line ends.
        return raw.replace("\r", " ").replace("\n", " ").encode(), values
    if isinstance(values, str):
        return orjson.dumps({"text": values}), {"text": values}
    kind = "null" if values is None else f"of type {type(values).__name__}"
    raise InputError(f'{place} is {kind}; every element must be a string, or an object such as {{"text": "..."}}')
