"""Texts as a caller may pass them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from berthub.errors import InputError
from berthub.tokenization.tokenizer import Text

__all__ = ["checked", "listed"]

# Values of an Arrow array that are Python objects at a time.
_SLICE = 4096


def listed(texts: str | Iterable[Text], *, errors: str = "strict") -> list[Text]:
    """The texts as a list; one string counts as a list of one. `InputError` for what are no texts at all."""
    return list(checked(texts, errors=errors))


def checked(texts: str | Iterable[Text], *, errors: str = "strict") -> Iterable[Text]:
    """The texts as an iterable that is none of the things which only look like one; else `InputError`.

    Lists, tuples, generators, NumPy arrays, pandas and polars Series, and arrays of pyarrow are iterables of texts.
    Bytes among them, as TensorFlow gives strings, are UTF-8, and `errors` is for those that are none.
    """
    if isinstance(texts, str):
        return [texts]
    if type(texts).__module__.partition(".")[0] == "pyarrow":
        return _decoded(_arrow(texts), errors)
    if isinstance(texts, bytes | Mapping) or not isinstance(texts, Iterable):
        raise InputError(f"texts are a list of str or of pairs of them, not of type {type(texts).__name__}")
    # Iterating over a data frame gives its columns, or their names. That of Polars does not say its dimensions.
    dimensions = getattr(texts, "ndim", 2 if hasattr(texts, "columns") else 1)
    if dimensions != 1:
        raise InputError(
            f"texts are one column, and this {type(texts).__name__} has {dimensions} dimensions: "
            'choose the column, as in frame["text"]'
        )
    return _decoded(texts, errors)


def _arrow(texts: Any) -> Iterator[Any]:
    """The values of a pyarrow array, which iterates over objects of its own."""
    if not hasattr(texts, "slice") or not hasattr(texts, "to_pylist") or hasattr(texts, "schema"):
        raise InputError(
            f"texts are one column, and this is a pyarrow {type(texts).__name__}: choose the column, as in "
            'table["text"]'
        )
    for start in range(0, len(texts), _SLICE):
        yield from texts.slice(start, _SLICE).to_pylist()


def _decoded(texts: Iterable[Any], errors: str) -> Iterator[Any]:
    for index, text in enumerate(texts):
        if isinstance(text, bytes):
            yield _string(text, index, errors)
        elif isinstance(text, tuple | list) and any(isinstance(part, bytes) for part in text):
            yield type(text)(_string(part, index, errors) if isinstance(part, bytes) else part for part in text)
        else:
            yield text


def _string(text: bytes, index: int, errors: str) -> str:
    try:
        return text.decode(errors=errors)
    except UnicodeDecodeError as error:
        raise InputError(
            f"text {index} is bytes, which are taken as UTF-8, and byte {error.start} of it is none: decode it first, "
            'as in text.decode("latin-1")'
        ) from None
