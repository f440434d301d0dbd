"""What is checked of training data, whatever the task."""

from collections.abc import Iterable, Mapping
from typing import Any

from berthub.encoding.texts import listed
from berthub.errors import InputError

__all__ = ["check_known", "checked_pairs", "shortened"]

_SHOWN = 10


def checked_pairs(texts: Any, labels: Any, which: str) -> tuple[list[Any], list[Any]]:
    """Texts and labels as lists of one length, at least one; each kind of label is checked by its task."""
    texts = listed(texts)
    if isinstance(labels, str | bytes | Mapping) or not isinstance(labels, Iterable):
        raise InputError(f"the {which} labels are a list, one for each text, and not {shortened(labels)}")
    labels = list(labels)
    if len(texts) != len(labels):
        raise InputError(f"there are {len(texts):,} {which} texts and {len(labels):,} labels: each text needs its own")
    if not texts:
        raise InputError(f"there are no {which} texts")
    return texts, labels


def check_known(labels: Iterable[str], names: tuple[str, ...], which: str) -> None:
    """`InputError` for labels that are not among `names`."""
    unknown = sorted(set(labels) - set(names))
    if unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        known = ", ".join(map(repr, names[: 2 * _SHOWN])) + (" ..." if len(names) > 2 * _SHOWN else "")
        raise InputError(
            f"the {which} labels {', '.join(map(repr, unknown[:_SHOWN]))}{more} are not known; known are: {known}"
        )


def shortened(value: object) -> str:
    """A value and its type, for a message."""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} (of type {type(value).__name__})"
