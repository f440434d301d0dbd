"""Texts as a caller may pass them."""

from collections.abc import Iterable, Mapping

from berthub.errors import InputError
from berthub.tokenization.tokenizer import Text

__all__ = ["checked", "listed"]


def listed(texts: str | Iterable[Text]) -> list[Text]:
    """The texts as a list; one string counts as a list of one. `InputError` for what are no texts at all."""
    return list(checked(texts))


def checked(texts: str | Iterable[Text]) -> Iterable[Text]:
    """The texts as an iterable that is none of the things which only look like one; else `InputError`."""
    if isinstance(texts, str):
        return [texts]
    if isinstance(texts, bytes | Mapping) or not isinstance(texts, Iterable):
        raise InputError(f"texts are a list of str or of pairs of them, not of type {type(texts).__name__}")
    if getattr(texts, "ndim", 1) != 1:
        # Iterating over a data frame gives the names of its columns.
        raise InputError(
            f"texts are one column, and this {type(texts).__name__} has {texts.ndim} dimensions: "  # type: ignore[attr-defined]
            'choose the column, as in frame["text"]'
        )
    return texts
