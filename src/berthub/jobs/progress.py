"""How far a job has come, while it runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

from berthub.jobs.plan import Plan, Shard

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

    @classmethod
    def begun(cls, plan: Plan, missing: Sequence[Shard]) -> Self:
        """The progress of a run that is to compute the missing shards of a job."""
        return cls(
            shards=len(plan.shards) - len(missing),
            all_shards=len(plan.shards),
            before=plan.rows - sum(shard.rows for shard in missing),
            rows=0,
            all_rows=plan.rows,
        )

    def stepped(self, *, rows: int, tokens: int, truncated: int) -> Self:
        """The progress after so many more rows, tokens and truncated texts."""
        return replace(self, rows=self.rows + rows, tokens=self.tokens + tokens, truncated=self.truncated + truncated)


OnProgress: TypeAlias = Callable[[JobProgress], None]
"""A callback that takes the progress of a job each time that it has changed."""
