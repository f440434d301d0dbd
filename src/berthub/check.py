"""Checks of arguments that many functions have in common."""

from collections.abc import Iterable

from berthub.errors import InputError

__all__ = ["check_choice"]


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """`InputError` for a value that is none of a closed set of names; `name` is that of the argument."""
    known = list(choices)
    if value not in known:
        raise InputError(f"{name}={value!r} is not known; use one of {', '.join(known)}")
