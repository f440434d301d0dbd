"""Compute shards of a job's output."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from berthub.errors import InputError
from berthub.jobs.computation import Computation
from berthub.jobs.folder import JobFolder
from berthub.jobs.plan import Plan, Shard
from berthub.jobs.reading import shard_blocks
from berthub.jobs.records import ShardRecord
from berthub.jobs.shard import ShardFile
from berthub.jobs.stage import Stage, run_stage
from berthub.jobs.step import OnStep, Step
from berthub.tables.block import Block
from berthub.tables.missing import Tally
from berthub.tables.results import Column

__all__ = ["OnShard", "run_shards"]

OnShard: TypeAlias = Callable[[Shard, ShardRecord | InputError], None]
"""A callback that takes each shard that is finished, with its record, or that failed, with the reason."""


def run_shards(
    shards: Iterable[Shard],
    plan: Plan,
    *,
    computation: Computation,
    folder: JobFolder,
    lenient: bool,
    on_step: OnStep,
    on_shard: OnShard,
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Compute shards and write their files; one that cannot be read or computed is left out, and reported.

    If `lenient`, rows that cannot be read or computed have no result, and their shards are written.
    `shards` are taken by a thread, each shortly before it is needed; `on_shard` is called by another one. When no more
    shards are wanted, because of an error, `on_stop` is called: then taking one should not wait any more.
    """
    stage = _ComputedRows(plan=plan, computation=computation, folder=folder, lenient=lenient)
    run_stage(shards, stage, on_step=on_step, on_shard=on_shard, on_stop=on_stop)


@dataclass(frozen=True, eq=False, kw_only=True)
class _ComputedRows(Stage[Shard]):
    """Every row is computed where it stands."""

    plan: Plan
    computation: Computation
    folder: JobFolder
    lenient: bool

    def tally(self) -> Tally:
        """By the job's policy."""
        return Tally(self.plan.reading.missing)

    def blocks(self, shard: Shard, tally: Tally) -> Iterator[Block]:
        """The rows of a shard."""
        return shard_blocks(self.plan, shard, tally, lenient=self.lenient)

    def compute(self, block: Block) -> Iterator[tuple[Sequence[Column], Step]]:
        """The results of a block."""
        return self.computation.compute(block, lenient=self.lenient)

    def create(self, shard: Shard) -> ShardFile:
        """Begin the file of a shard."""
        return ShardFile(self.plan, shard, computation=self.computation, folder=self.folder)
