"""Check what was read from a job's folder, which anybody may have written."""

import math
from collections.abc import Iterable
from typing import Any

__all__ = ["check_counts", "check_strings", "is_count", "is_duration"]

_LARGEST = 2**53


def is_count(value: object) -> bool:
    """Whether this is a whole number from 0 on, and none that is absurd."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def check_counts(found: object, names: Iterable[str]) -> None:
    """Raise `ValueError` where one of these attributes is no count."""
    _check(found, names, is_count, "a whole number from 0 on")


def check_strings(found: object, names: Iterable[str]) -> None:
    """Raise `ValueError` where one of these attributes is no string."""
    _check(found, names, lambda value: isinstance(value, str), "a string")


def is_duration(value: object) -> bool:
    """Whether this is a number of seconds that a process may have run."""
    return isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= _LARGEST


def _check(found: object, names: Iterable[str], is_right: Any, wanted: str) -> None:
    for name in names:
        value = getattr(found, name)
        if not is_right(value):
            raise ValueError(f"{name} is {value!r:.60}, and should be {wanted}")
