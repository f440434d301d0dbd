"""Parse JSON strictly: each document has one meaning, and takes memory in proportion to its size.

Python's parser takes the last of two equal keys, NaN, and numbers beyond all types; the reader of another library may
take the first, and then the same file is two models. What is refused here no writer of models writes.
"""

import json
import re
from typing import Any

from berthub.errors import CorruptFileError

__all__ = ["parse_json"]

# Models' settings have about ten levels. What walks through the values, as `repr` does, recurses.
_DEEPEST = 64
# An empty list is 2 bytes of text and 64 of memory: of lists and objects there may be one for so many bytes.
_BYTES_A_CONTAINER, _CONTAINERS = 6, 1000
# transformers stores 1e30 as an integer.
_MOST_DIGITS = 64
# Half of a character beyond U+FFFF, which is no text by itself.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(data: bytes, *, source: str, nonfinite: bool = False) -> Any:
    """The value in a JSON document of UTF-8; `CorruptFileError`, naming `source`, if it is not valid.

    Refused are a key that an object has twice, more than 64 levels, NaN and infinite numbers (but with `nonfinite`),
    integers of more than 64 digits, halves of characters, and more lists and objects than one for 6 bytes.
    """
    containers = data.count(b"[") + data.count(b"{")
    if containers > _CONTAINERS + len(data) // _BYTES_A_CONTAINER:
        raise CorruptFileError(f"{source} is no model's: its {len(data):,} bytes have {containers:,} lists and objects")
    try:
        value = json.loads(
            data.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=None if nonfinite else _number,
            parse_constant=None if nonfinite else _constant,
        )
        if _SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise CorruptFileError(f"{source} is no model's JSON: it has more than {_DEEPEST} levels") from error
    except ValueError as error:  # of JSON, of UTF-8, or of the checks below
        raise CorruptFileError(f"{source} is no valid JSON: {error}") from error
    if containers > _DEEPEST:
        _check_depth(value, source)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"an object has the key {twice[:100]!r} twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"an integer has {len(digits):,} digits")
    return int(digits)


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:100]} is too large")
    return value


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _check_depth(value: Any, source: str) -> None:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, dict | list)
        ]
        if not level:
            return
    raise CorruptFileError(f"{source} is no model's JSON: it has more than {_DEEPEST} levels")
