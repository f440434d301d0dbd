"""The bodies of requests: read within bounds, and taken apart with errors that say where a fault is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

import orjson

from berthub.serving.failures import BadRequestError, TooLargeError
from berthub.tokenization.tokenizer import Text

__all__ = ["Fields", "check_count", "is_ids", "json_value", "shown", "text_of", "texts_of"]

_SHOWN = 60
# A smaller body is parsed in milliseconds, whatever is in it.
_SMALL = 1 << 16
# Of lists, objects and strings for each text that may be sent, and the fewest texts for which this is reckoned.
_PER_TEXT = 8
_TEXTS = 8192


def json_value(body: bytes, *, texts: int = _TEXTS) -> Any:
    """The JSON value of a body; `BadRequestError` for what is none, or is nested deeper than about a thousand times.

    `texts` is the most of a request: `TooLargeError` where the body has far more lists, objects and strings than so
    many texts need.
    """
    if not body:
        raise BadRequestError("the body is empty; JSON is accepted")
    if len(body) > _SMALL:
        _check_values(body, _PER_TEXT * max(texts, _TEXTS))
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is no JSON: {error}") from None


def _check_values(body: bytes, most: int) -> None:
    """Refuse millions of values that no request needs: to parse them takes seconds, in which no other is answered."""
    # A quick look first: never less than there is.
    if body.count(b'"') // 2 + body.count(b"[") + body.count(b"{") <= most:
        return
    # Without what is escaped in strings, every second part between quotes is outside of them.
    plain = body.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in body else body
    count = plain.count(b'"') // 2
    if count <= most:
        count += sum(part.count(b"[") + part.count(b"{") for part in plain.split(b'"')[::2])
    if count > most:
        raise TooLargeError(
            f"the body has {count:,} or more lists, objects and strings, and at most {most:,} are taken: send it in "
            "parts"
        )


@dataclass(frozen=True)
class Fields:
    """The fields of a JSON object, read by their types; `where` is the object's place in the body, empty at the top."""

    values: Mapping[str, Any]
    where: str = ""

    @classmethod
    def of(cls, value: Any, where: str = "") -> "Fields":
        """The fields of a value; `BadRequestError` where it is no object."""
        if not isinstance(value, dict):
            raise BadRequestError(
                f"{where or 'the body'} must be a JSON object, and is {shown(value)}", where=where or None
            )
        return cls(value, where)

    def place(self, name: str) -> str:
        """Where a field is, for messages."""
        return f"{self.where}.{name}" if self.where else name

    def required(self, name: str) -> Any:
        """The value of a field that must be there."""
        value = self.values.get(name)
        if value is None:
            there = ", ".join(map(str, list(self.values)[:10])) or "nothing"
            raise BadRequestError(f"{self.place(name)} is missing; there is {there[:200]}", where=self.place(name))
        return value

    def string(self, name: str) -> str | None:
        """A string, or None where there is none."""
        return cast("str | None", self._typed(name, str, "a string"))

    def boolean(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._typed(name, bool, "true or false")
        return default if value is None else bool(value)

    def integer(self, name: str, *, least: int | None = None, most: int | None = None) -> int | None:
        """A whole number within bounds, or None where there is none."""
        value = self.values.get(name)
        if value is None:
            return None
        fits = isinstance(value, int) and not isinstance(value, bool)
        if not fits or (least is not None and value < least) or (most is not None and value > most):
            bounds = "".join([f" from {least}" if least is not None else "", f" to {most}" if most is not None else ""])
            raise BadRequestError(
                f"{self.place(name)} must be a whole number{bounds}, and is {shown(value)}", where=self.place(name)
            )
        return cast("int", value)

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """One of some strings, whatever the case of its letters."""
        value = self.string(name)
        if value is None:
            return default
        for choice in choices:
            if value.lower() == choice.lower():
                return choice
        raise BadRequestError(
            f"{self.place(name)} must be one of {', '.join(choices)}, and is {shown(value)}", where=self.place(name)
        )

    def _typed(self, name: str, kind: type, words: str) -> Any:
        value = self.values.get(name)
        if value is not None and not isinstance(value, kind):
            raise BadRequestError(f"{self.place(name)} must be {words}, and is {shown(value)}", where=self.place(name))
        return value


def is_ids(value: Any) -> TypeGuard[list[int]]:
    """Whether a value is a list of whole numbers, at least one, as the ids of a text's tokens are."""
    # True is no number here: JSON tells them apart.
    return isinstance(value, list) and set(map(type, value)) == {int}


def text_of(value: Any, where: str, *, pairs: bool = False) -> Text:
    """A text, or with `pairs` a pair of them as a list of two; `BadRequestError` for anything else."""
    if isinstance(value, str):
        return value
    if pairs and isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value):
        return (value[0], value[1])
    raise BadRequestError(
        f"{where} must be a string{' or a list of two strings' if pairs else ''}, and is {shown(value)}", where=where
    )


def texts_of(value: Any, where: str, *, most: int, pairs: bool = False) -> list[Text]:
    """A list of texts; `TooLargeError` for more than `most`."""
    if not isinstance(value, list):
        raise BadRequestError(f"{where} must be a list of strings, and is {shown(value)}", where=where)
    check_count(value, where, most=most)
    if not pairs and all(type(each) is str for each in value):
        return value
    return [text_of(each, f"{where}[{index}]", pairs=pairs) for index, each in enumerate(value)]


def check_count(rows: Sequence[Any], where: str, *, most: int, what: str = "texts") -> None:
    """`TooLargeError` for more than `most` rows, which messages call `what`."""
    if len(rows) > most:
        raise TooLargeError(
            f"{where} has {len(rows):,} {what}, and at most {most:,} are taken at a time: send them in parts",
            where=where,
        )


def shown(value: Any) -> str:
    """A value as messages show it: short."""
    if isinstance(value, list):
        return f"a list of {len(value):,}"
    if isinstance(value, dict):
        return "an object"
    text = "null" if value is None else repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
