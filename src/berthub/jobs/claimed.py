"""Claim the missing shards one by one, and count what becomes of them."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from berthub.errors import InputError
from berthub.jobs.claims import Claims
from berthub.jobs.folder import JobFolder
from berthub.jobs.plan import Plan, Shard
from berthub.jobs.progress import JobProgress, OnProgress
from berthub.jobs.records import Finished, ShardRecord
from berthub.jobs.step import Step

__all__ = ["PAUSE", "Counts", "claimed", "claimed_of_output"]

# Seconds between two looks at shards that other runners have.
PAUSE = 0.5
# When so many shards have failed, all of them will.
_MOST_FAILURES = 10


class _Numbered(Protocol):
    @property
    def number(self) -> int: ...
    @property
    def rows(self) -> int: ...


S = TypeVar("S", bound=_Numbered)


class Counts:
    """Counts what is done, tells it to other terminals, and calls back.

    `distinct` is the number of distinct texts, where these are computed in place of the rows of the input; `before` is
    how much was done before.
    """

    def __init__(
        self,
        plan: Plan,
        missing: Sequence[Shard],
        claims: Claims,
        on_progress: OnProgress,
        *,
        distinct: int | None = None,
        before: int | None = None,
    ) -> None:
        self.failures: list[InputError] = []
        self.claims, self._on_progress = claims, on_progress
        self._lock, self._begin = threading.Lock(), time.monotonic()
        # How many shards this run has finished.
        self._shards = 0
        self._progress = JobProgress.begun(plan, missing)
        if distinct is not None:
            self._progress = replace(self._progress, all_rows=distinct, distinct=True)
        if before is not None:
            self._progress = replace(self._progress, before=before)

    def step(self, step: Step) -> None:
        """Count a step."""
        with self._lock:
            self._progress = self._progress.stepped(rows=step.rows, tokens=step.tokens, truncated=step.truncated)
        self.tell()

    def shard(self, shard: Shard, outcome: ShardRecord | InputError) -> None:
        """Count a shard, whose claim is given up."""
        if isinstance(outcome, InputError):
            self._failed(outcome)
        else:
            with self._lock:
                self._shards += 1
                self._progress = replace(self._progress, shards=self._progress.shards + 1)
        self.claims.release(shard.number)

    def elsewhere(self, shard: Shard) -> None:
        """Count a shard that another runner has finished."""
        with self._lock:
            now = self._progress
            before = now.before if now.distinct else now.before + shard.rows
            self._progress = replace(now, shards=now.shards + 1, before=before)

    def texts(self, shard: _Numbered, outcome: Any) -> None:
        """Count a shard of distinct texts, whose claim is given up."""
        if isinstance(outcome, InputError):
            self._failed(outcome)
        self.claims.release(shard.number)

    def texts_elsewhere(self, shard: _Numbered) -> None:
        """Count a shard of distinct texts that another runner has computed."""
        with self._lock:
            self._progress = replace(self._progress, before=self._progress.before + shard.rows)

    def tell(self) -> None:
        """Say how far the job has come."""
        with self._lock:
            now, shards = self._progress, self._shards
        self.claims.show(shards=shards, rows=now.rows, tokens=now.tokens, seconds=time.monotonic() - self._begin)
        self._on_progress(now)

    def _failed(self, error: InputError) -> None:
        with self._lock:
            self.failures.append(error)
            self._progress = replace(self._progress, failed_shards=len(self.failures))


def claimed(
    missing: Sequence[S],
    *,
    counts: Counts,
    stopping: threading.Event,
    name_of: Callable[[S], str],
    is_done: Callable[[S], bool],
    on_done: Callable[[S], None],
) -> Iterator[S]:
    """The missing shards that no other runner has, each claimed when it is taken; until none is missing, or stopped.

    `name_of` is the name of a shard's file, and `is_done` says whether another runner has finished it.
    """
    waiting, claims = list(missing), counts.claims
    while waiting:
        later: list[S] = []
        for shard in waiting:
            if stopping.is_set() or len(counts.failures) >= _MOST_FAILURES:
                return
            # Most of what others have is finished when it is looked at; that costs less than a claim.
            if is_done(shard):
                on_done(shard)
            elif not claims.take(shard.number, name_of(shard)):
                later.append(shard)
            elif is_done(shard):
                claims.release(shard.number)
                on_done(shard)
            else:
                yield shard
        if len(later) == len(waiting):
            stopping.wait(PAUSE)
        waiting = later


def claimed_of_output(
    missing: Sequence[Shard], plan: Plan, *, folder: JobFolder, counts: Counts, stopping: threading.Event
) -> Iterator[Shard]:
    """The missing shards of the output that no other runner has."""
    finished = Finished(folder, plan)
    return claimed(
        missing,
        counts=counts,
        stopping=stopping,
        name_of=plan.name_of,
        is_done=lambda shard: finished.record(shard) is not None,
        on_done=counts.elsewhere,
    )
