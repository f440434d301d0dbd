"""The runner of this process: it takes one missing shard after the other."""

import threading
import time
from collections.abc import Iterator, Sequence

from berthub.errors import InputError
from berthub.jobs.claims import BEAT, PATIENCE, Claims
from berthub.jobs.computation import Computation
from berthub.jobs.folder import JobFolder
from berthub.jobs.job import Runner
from berthub.jobs.plan import Plan, Shard
from berthub.jobs.progress import JobProgress, OnProgress
from berthub.jobs.records import Finished, ShardRecord, finished_records
from berthub.jobs.shards import run_shards
from berthub.jobs.step import Step
from berthub.jobs.tasks import Task

__all__ = ["LocalRunner"]

# Seconds between two looks at shards that other runners have.
_PAUSE = 0.5
# When so many shards have failed, all of them will.
_MOST_FAILURES = 10


class LocalRunner(Runner):
    """Computes in this process; several of them, on machines that share the folder, share the work.

    A runner writes a sign of life every `beat` seconds; one without a new one for `patience` seconds counts as dead.
    """

    def __init__(self, *, patience: float = PATIENCE, beat: float = BEAT) -> None:
        self._patience, self._beat = patience, beat

    def run(
        self,
        plan: Plan,
        *,
        task: Task,
        computation: Computation,
        folder: JobFolder,
        lenient: bool,
        on_progress: OnProgress,
    ) -> list[InputError]:
        """Compute the shards that are missing, and wait for those that other runners have."""
        finished = finished_records(folder, plan)
        missing = [shard for shard in plan.shards if shard.number not in finished]
        if not missing:
            return []
        stopping = threading.Event()
        with Claims(folder, patience=self._patience, beat=self._beat) as claims:
            counts = _Counts(plan, missing, claims, on_progress)
            run_shards(
                _claimed(missing, plan, folder=folder, claims=claims, counts=counts, stopping=stopping),
                plan,
                computation=computation,
                folder=folder,
                lenient=lenient,
                on_step=counts.step,
                on_shard=counts.shard,
                on_stop=stopping.set,
            )
        return counts.failures


def _claimed(
    missing: Sequence[Shard],
    plan: Plan,
    *,
    folder: JobFolder,
    claims: Claims,
    counts: "_Counts",
    stopping: threading.Event,
) -> Iterator[Shard]:
    """The missing shards that no other runner has, each claimed when it is taken; until none is missing, or stopped."""
    waiting, finished = list(missing), Finished(folder, plan)
    while waiting:
        later: list[Shard] = []
        for shard in waiting:
            if stopping.is_set() or len(counts.failures) >= _MOST_FAILURES:
                return
            # Most of what others have is finished when it is looked at; that costs less than a claim.
            if finished.record(shard):
                counts.elsewhere(shard)
            elif not claims.take(shard.number, plan.name_of(shard)):
                later.append(shard)
            elif finished.record(shard):
                claims.release(shard.number)
                counts.elsewhere(shard)
            else:
                yield shard
        if len(later) == len(waiting):
            stopping.wait(_PAUSE)
        waiting = later


class _Counts:
    """Counts what is done, tells it to other terminals, and calls back."""

    def __init__(self, plan: Plan, missing: Sequence[Shard], claims: Claims, on_progress: OnProgress) -> None:
        self.failures: list[InputError] = []
        self._claims, self._on_progress = claims, on_progress
        self._lock, self._begin = threading.Lock(), time.monotonic()
        self._shards, self._rows, self._tokens, self._truncated = 0, 0, 0, 0
        self._all_shards, self._all_rows = len(plan.shards), plan.rows
        self._before_shards = len(plan.shards) - len(missing)
        self._before = plan.rows - sum(shard.rows for shard in missing)

    def step(self, step: Step) -> None:
        """Count a step."""
        with self._lock:
            self._rows += step.rows
            self._tokens += step.tokens
            self._truncated += step.truncated
        self._tell()

    def shard(self, shard: Shard, outcome: ShardRecord | InputError) -> None:
        """Count a shard, whose claim is given up."""
        with self._lock:
            if isinstance(outcome, InputError):
                self.failures.append(outcome)
            else:
                self._shards += 1
        self._claims.release(shard.number)

    def elsewhere(self, shard: Shard) -> None:
        """Count a shard that another runner has finished."""
        with self._lock:
            self._before_shards += 1
            self._before += shard.rows

    def _tell(self) -> None:
        with self._lock:
            progress = JobProgress(
                shards=self._before_shards + self._shards,
                all_shards=self._all_shards,
                before=self._before,
                rows=self._rows,
                all_rows=self._all_rows,
                tokens=self._tokens,
                truncated=self._truncated,
                failed_shards=len(self.failures),
            )
        self._claims.show(
            shards=self._shards, rows=progress.rows, tokens=progress.tokens, seconds=time.monotonic() - self._begin
        )
        self._on_progress(progress)
