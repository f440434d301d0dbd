"""Compute shards: the next one is read, and the last one is written, while the engine computes."""

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
from berthub.jobs.step import OnStep, Step
from berthub.jobs.threads import read_ahead, written_behind
from berthub.tables.block import Block
from berthub.tables.missing import Tally
from berthub.tables.results import Column

__all__ = ["OnShard", "run_shards"]

# Blocks that are read ahead, and results that wait to be written.
_AHEAD, _BEHIND = 2, 4

OnShard: TypeAlias = Callable[[Shard, ShardRecord | InputError], None]
"""A callback that takes each shard that is finished, with its record, or that failed, with the reason."""


@dataclass(frozen=True, eq=False)
class _Begin:
    shard: Shard


@dataclass(frozen=True, eq=False)
class _End:
    tally: Tally


@dataclass(frozen=True, eq=False)
class _Failed:
    error: InputError


@dataclass(frozen=True, eq=False)
class _Results:
    columns: Sequence[Column]
    step: Step


_Read: TypeAlias = _Begin | Block | _End | _Failed
_Written: TypeAlias = _Begin | Block | _Results | _End | _Failed


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
    writing = _Writing(plan, computation, folder, on_shard)
    with (
        read_ahead(_read(shards, plan, lenient=lenient), _AHEAD, on_stop=on_stop) as read,
        written_behind(writing.run, _BEHIND) as write,
    ):
        failed = False
        for item in read:
            if isinstance(item, _Begin):
                failed = False
            if failed:
                continue
            write(item)
            if not isinstance(item, Block):
                continue
            try:
                for columns, step in computation.compute(item, lenient=lenient):
                    write(_Results(columns, step))
                    on_step(step)
            except InputError as error:
                failed = True
                write(_Failed(error))


def _read(shards: Iterable[Shard], plan: Plan, *, lenient: bool) -> Iterator[_Read]:
    for shard in shards:
        yield _Begin(shard)
        tally = Tally(plan.reading.missing)
        try:
            yield from shard_blocks(plan, shard, tally, lenient=lenient)
        except InputError as error:
            yield _Failed(error)
        else:
            yield _End(tally)


class _Writing:
    """Writes what was computed; runs in a thread of its own."""

    def __init__(self, plan: Plan, computation: Computation, folder: JobFolder, on_shard: OnShard) -> None:
        self._plan, self._computation, self._folder, self._on_shard = plan, computation, folder, on_shard
        self._shard: Shard | None = None
        self._file: ShardFile | None = None

    def run(self, items: Iterator[_Written]) -> None:
        """Take items until they end; a file that is not finished then is removed."""
        try:
            for item in items:
                try:
                    self._take(item)
                except InputError as error:
                    self._take(_Failed(error))
        finally:
            self._discard()

    def _take(self, item: _Written) -> None:
        if isinstance(item, _Begin):
            self._shard = item.shard
            self._file = ShardFile(self._plan, item.shard, computation=self._computation, folder=self._folder)
            return
        file, shard = self._file, self._shard
        if shard is None:
            # The rest of a shard that failed.
            return
        if isinstance(item, _Failed):
            self._shard = None
            self._discard()
            self._on_shard(shard, item.error)
            return
        assert file is not None
        match item:
            case Block():
                file.begin(item)
            case _Results():
                file.write(item.columns, item.step)
            case _End():
                # It discards itself when it fails.
                self._file = self._shard = None
                try:
                    record = file.commit(item.tally)
                except InputError as error:
                    self._on_shard(shard, error)
                else:
                    self._on_shard(shard, record)

    def _discard(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.discard()
