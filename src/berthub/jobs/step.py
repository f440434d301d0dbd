"""The steps of a job, and the callback that follows them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = ["OnStep", "Step"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a job: how many rows it did, and how many of their texts were truncated.

    `failures` says for the indices of rows that could not be computed, counted in the step, why.

    `tokens` is 0 where they are not counted. `done` is how much of the input has been read, in the unit of
    `berthub.tables.reading.Rows.total`.
    """

    rows: int
    truncated: int
    done: int
    tokens: int = 0
    failures: Mapping[int, str] = field(default_factory=dict)


OnStep: TypeAlias = Callable[[Step], None]
"""A callback that takes each step when it is done."""
