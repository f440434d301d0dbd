"""The runner on Ray: the missing shards of a job are computed by actors, on one machine or on many."""

import contextlib
import logging
import time
import warnings
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from berthub.errors import InputError
from berthub.jobs.claims import Claims
from berthub.jobs.computation import Computation
from berthub.jobs.folder import JobFolder, LocalFolder
from berthub.jobs.job import Runner
from berthub.jobs.plan import Plan, Shard
from berthub.jobs.progress import JobProgress, OnProgress
from berthub.jobs.ray.cluster import connected, require_cluster
from berthub.jobs.ray.worker import Outcome, ShardWorker, Work
from berthub.jobs.records import Finished, finished_records
from berthub.jobs.tasks import Task

__all__ = ["RayRunner"]

# Seconds between two looks at shards that other runners have.
_PAUSE = 0.5
# When so many shards have failed, all of them will.
_MOST_FAILURES = 10
# More blocks than that slow Ray Data down; a block then has several shards.
_MOST_BLOCKS = 10_000


class RayRunner(Runner):
    """Computes on a cluster of Ray: `job.run(runner=berthub.ray.RayRunner("auto"))`.

    `address` is that of a cluster, "auto" the one on this machine, and None that of RAY_ADDRESS, or else a cluster of
    this machine alone. A cluster that the program is connected to already is used in any case. At most `workers` actors
    compute, None being as many as the cluster has processors for. Each takes as many processors as the job has threads.

    Only the numbers of shards, and what became of them, pass through Ray: the actors read the input and write the
    shards themselves, so that all machines have to see the input's addresses, the job's folder and the model. A worker
    or a node that is lost costs the shards that it was computing, which Ray computes again elsewhere.
    """

    def __init__(self, address: str | None = None, *, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise InputError(f"workers are at least one, not {workers!r}")
        self._address, self._workers = address, workers

    def check(self) -> None:
        """Raise `InputError` for a cluster that does not answer; one of this machine alone is started by `run`."""
        require_cluster(self._address)

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
        """Have the missing shards computed, and wait for those that other runners have."""
        finished = finished_records(folder, plan)
        missing = [shard for shard in plan.shards if shard.number not in finished]
        if not missing:
            return []
        counts = _Counts(plan, missing, on_progress)
        work = Work(
            plan=plan.id,
            task=task,
            folder=_from_anywhere(folder),
            lenient=lenient,
            threads=(plan.environment or {}).get("threads") or task.model.threads or 1,
            working_folder=str(Path.cwd()),
        )
        with connected(self._address) as ray, Claims(folder) as claims:
            while missing:
                later = self._round(ray, missing, work, counts)
                missing = _waited_for(later, plan, folder, claims, counts)
        return counts.failures

    def _round(self, ray: Any, shards: Sequence[Shard], work: Work, counts: "_Counts") -> list[Shard]:
        """Have shards computed; those that other runners have."""
        waiting = {shard.number: shard for shard in shards}
        later: list[Shard] = []
        with contextlib.closing(_outcomes(ray, list(waiting), work, workers=self._workers)) as outcomes:
            for outcome in outcomes:
                shard = waiting.pop(outcome.number)
                if outcome.fault is not None:
                    raise outcome.raised()
                if outcome.later:
                    later.append(shard)
                else:
                    counts.add(shard, outcome)
                if len(counts.failures) >= _MOST_FAILURES:
                    return []
        for number in waiting:
            counts.failures.append(InputError(f"shard {number}: Ray gave it up, see the logs of its workers"))
        return later


def _outcomes(ray: Any, numbers: list[int], work: Work, *, workers: int | None) -> Generator[Outcome]:
    """What became of shards, each as soon as it is known; not of those that Ray gave up."""
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = False
    # A shard that Ray gives up must not end the others.
    context.max_errored_blocks = -1
    # Not more at the beginning than there is room for; Ray asks for more machines by itself.
    room = sum(int(node["Resources"].get("CPU", 0)) // work.threads for node in ray.nodes() if node["Alive"])
    if not room:
        warnings.warn(
            f"no machine of the Ray cluster has {work.threads} processors, as many as the job has threads (--threads): "
            "nothing is computed until there is one",
            stacklevel=2,
        )
    most = min(len(numbers), workers or len(numbers))
    pool = ray.data.ActorPoolStrategy(
        # A pool that may shrink: the actors that are left at the end make room for those of a node that was lost.
        min_size=1,
        max_size=most,
        initial_size=max(min(room, most), 1),
        max_tasks_in_flight_per_actor=2,
    )
    with ray.data.DataContext.current(context), _quiet():
        # Ray starts actors again as often as they end, and gives them the same shards again.
        computed = ray.data.from_items(numbers, override_num_blocks=min(len(numbers), _MOST_BLOCKS)).map_batches(
            ShardWorker,
            fn_constructor_kwargs={"work": work},
            batch_size=1,
            batch_format="numpy",
            compute=pool,
            num_cpus=work.threads,
        )
        batches = iter(computed.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0))
        # Closing it ends the actors; else they would keep their processors until Python forgets it.
        with contextlib.closing(batches):
            for batch in batches:
                for outcome in batch["outcome"].tolist():
                    yield Outcome(**orjson.loads(outcome))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A context in which Ray Data says only what went wrong: the progress is ours to tell."""
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _waited_for(shards: list[Shard], plan: Plan, folder: JobFolder, claims: Claims, counts: "_Counts") -> list[Shard]:
    """Wait until other runners have finished some of these shards or given them up; those that are not finished."""
    finished = Finished(folder, plan)
    while shards:
        left = [shard for shard in shards if finished.record(shard) is None]
        for shard in shards:
            if shard not in left:
                counts.elsewhere(shard)
        for shard in left:
            if claims.take(shard.number, plan.name_of(shard)):
                claims.release(shard.number)
                return left
        if left:
            time.sleep(_PAUSE)
        shards = left
    return []


def _from_anywhere(folder: JobFolder) -> JobFolder:
    return LocalFolder(Path(folder.address).absolute()) if isinstance(folder, LocalFolder) else folder


class _Counts:
    """Counts what is done, and calls back."""

    def __init__(self, plan: Plan, missing: Sequence[Shard], on_progress: OnProgress) -> None:
        self.failures: list[InputError] = []
        self._progress, self._on_progress = JobProgress.begun(plan, missing), on_progress

    def add(self, shard: Shard, outcome: Outcome) -> None:
        """Count a shard that is finished or failed."""
        now = self._progress
        if outcome.error is not None:
            self.failures.append(InputError(outcome.error))
            now = replace(now, failed_shards=now.failed_shards + 1)
        else:
            now = replace(now, shards=now.shards + 1)
            now = now.stepped(rows=shard.rows, tokens=outcome.tokens, truncated=outcome.truncated)
        self._tell(now)

    def elsewhere(self, shard: Shard) -> None:
        """Count a shard that another runner has finished."""
        now = self._progress
        self._tell(replace(now, shards=now.shards + 1, before=now.before + shard.rows))

    def _tell(self, now: JobProgress) -> None:
        self._progress = now
        self._on_progress(now)
