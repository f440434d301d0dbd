"""How far a job has come, while it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["JobProgress", "OnProgress"]


@dataclass(frozen=True, kw_only=True)
class JobProgress:
    """The shards and rows of a job that are done, of all that there are, and what this run has done of them.

    `rows` and `tokens` are those of this run; `before` is how many rows were done when it began. In a job that computes
    equal texts once, distinct texts are counted in place of rows, and `distinct` says so.
    """

    shards: int
    all_shards: int
    before: int
    rows: int
    all_rows: int
    tokens: int = 0
    truncated: int = 0
    failed_shards: int = 0
    distinct: bool = False


OnProgress: TypeAlias = Callable[[JobProgress], None]
"""A callback that takes the progress of a job each time that it has changed."""
