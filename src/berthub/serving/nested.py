"""Nested JSON lists become arrays of integers, at once, with errors that say where a fault is."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.serving.bodies import shown
from berthub.serving.failures import BadRequestError

__all__ = ["flat_integers", "integer_rows"]

Ints = npt.NDArray[np.int64]


def integer_rows(rows: Sequence[Any], place: Callable[[int], str]) -> Ints:
    """Rows of whole numbers, which must have one length: int64 [n, width]; `place` says where a row is."""
    width: int | None = None
    for index, row in enumerate(rows):
        if not isinstance(row, list):
            raise BadRequestError(
                f"{place(index)} must be a list of whole numbers, and is {shown(row)}", where=place(index)
            )
        width = len(row) if width is None else width
        if len(row) != width:
            raise BadRequestError(
                f"{place(index)} has {len(row):,} numbers, and {place(0)} has {width:,}: rows must be padded to one "
                "length",
                where=place(index),
            )
        _check(row, place(index))
    array = _converted(list(chain.from_iterable(rows)), place(0))
    return array.reshape(len(rows), width or 0)


def flat_integers(values: Sequence[Any], where: str) -> Ints:
    """Whole numbers of one list: int64 [n]."""
    _check(values, where)
    return _converted(values, where)


def _check(row: Sequence[Any], where: str) -> None:
    # True is no number here: JSON tells them apart.
    if set(map(type, row)) <= {int}:
        return
    at, wrong = next((at, value) for at, value in enumerate(row) if type(value) is not int)
    raise BadRequestError(f"{where}[{at}] must be a whole number, and is {shown(wrong)}", where=f"{where}[{at}]")


def _converted(values: Sequence[int], where: str) -> Ints:
    try:
        return np.fromiter(values, np.int64, count=len(values))
    except OverflowError:
        raise BadRequestError(f"{where} has a number that 64 bits cannot hold", where=where) from None
