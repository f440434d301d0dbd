"""How far a job is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Step", "Told"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a job has just done: so many rows, of which so many texts were cut.

    `tokens` is 0 where they are not counted. `done` is how much of the input has been read, in the unit of
    `berthub.tables.reading.Rows.total`.
    """

    rows: int
    truncated: int
    done: int
    tokens: int = 0


Told: TypeAlias = Callable[[Step], None]
"""What is called after each step."""
