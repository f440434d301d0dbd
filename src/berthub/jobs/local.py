"""The runner of this process: it takes one missing shard after the other."""

import threading
from typing import ClassVar

from berthub.errors import InputError
from berthub.jobs.claimed import Counts, claimed_of_output
from berthub.jobs.claims import BEAT, PATIENCE, Claims
from berthub.jobs.computation import Computation
from berthub.jobs.deduped import Deduped
from berthub.jobs.folder import JobFolder
from berthub.jobs.job import Runner
from berthub.jobs.plan import Plan
from berthub.jobs.progress import OnProgress
from berthub.jobs.records import finished_records
from berthub.jobs.shards import run_shards
from berthub.jobs.tasks import Task

__all__ = ["LocalRunner"]


class LocalRunner(Runner):
    """Computes in this process; several of them, on machines that share the folder, share the work.

    A runner writes a sign of life every `beat` seconds; one without a new one for `patience` seconds counts as dead.
    """

    dedupes: ClassVar[bool] = True

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
        with Claims(folder, patience=self._patience, beat=self._beat) as claims:
            if plan.dedupe:
                deduped = Deduped(plan=plan, missing=missing, computation=computation, folder=folder, lenient=lenient)
                return deduped.run(claims, on_progress)
            counts = Counts(plan, missing, claims, on_progress)
            stopping = threading.Event()
            run_shards(
                claimed_of_output(missing, plan, folder=folder, counts=counts, stopping=stopping),
                plan,
                computation=computation,
                folder=folder,
                lenient=lenient,
                on_step=counts.step,
                on_shard=counts.shard,
                on_stop=stopping.set,
            )
        return counts.failures
