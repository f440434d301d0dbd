"""Where reading begins inside a file."""

from dataclasses import dataclass

__all__ = ["BEGINNING", "Start"]


@dataclass(frozen=True, slots=True)
class Start:
    """A place between two rows of a file: how many rows, lines and bytes lie before it.

    `offset` is None where a file can be read from its beginning alone, as compressed ones.
    """

    rows: int = 0
    lines: int = 0
    offset: int | None = None


BEGINNING = Start()
"""The beginning of a file."""
