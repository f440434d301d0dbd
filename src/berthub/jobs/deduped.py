"""Run a job that computes equal texts once: its index first, then its distinct texts, and then its output."""

import errno
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from berthub.errors import InputError, WriteError
from berthub.jobs.claimed import PAUSE, Counts, claimed, claimed_of_output
from berthub.jobs.claims import CLAIMS, DISTINCT_CLAIMS, INDEX_CLAIMS, Claims
from berthub.jobs.computation import Computation
from berthub.jobs.distinct import (
    ComputeTexts,
    DistinctShard,
    GatherRows,
    LocalCopies,
    StoredTexts,
    file_of,
    needed_shards,
)
from berthub.jobs.distinct_index import DISTINCT, INDEX, DistinctIndex, build_index
from berthub.jobs.folder import JobFolder
from berthub.jobs.plan import Plan, Shard
from berthub.jobs.progress import OnProgress
from berthub.jobs.records import Finished, ShardRecord
from berthub.jobs.stage import run_stage

__all__ = ["Deduped"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Deduped:
    """The work of one runner: what its missing shards need, and then these shards.

    Other runners may do the same meanwhile, and the one that finishes the job removes the index and all that was
    computed for distinct texts. What is not there any more is no error then.
    """

    plan: Plan
    missing: Sequence[Shard]
    computation: Computation
    folder: JobFolder
    lenient: bool

    def run(self, claims: Claims, on_progress: OnProgress) -> list[InputError]:
        """Compute the distinct texts of the missing shards, each once, and then write these shards."""
        try:
            with LocalCopies(self.folder) as copies:
                self._build_index(claims)
                if self._is_finished():
                    return []
                return self._run(DistinctIndex.read(copies.path(INDEX), self.plan), copies, claims, on_progress)
        except (InputError, WriteError) as error:
            if isinstance(error, WriteError) and error.errno != errno.ENOENT:
                raise
            if self._is_finished():
                return []
            raise

    def _run(
        self, index: DistinctIndex, copies: LocalCopies, claims: Claims, on_progress: OnProgress
    ) -> list[InputError]:
        there = set(self.folder.names(DISTINCT))
        absent = [each for each in needed_shards(self.plan, index, self.missing) if file_of(each) not in there]
        before = index.texts - sum(shard.rows for shard in absent)
        counts = Counts(self.plan, self.missing, claims, on_progress, distinct=index.texts, before=before)
        self._compute_texts(absent, index, counts)
        if not counts.failures:
            self._write_output(index, copies, counts)
        return counts.failures

    def _build_index(self, claims: Claims) -> None:
        """Build the index, or wait until another runner has built it."""
        claims.claim_in(INDEX_CLAIMS)
        while not self.folder.exists(INDEX) and not self._is_finished():
            if not claims.take(0, INDEX):
                time.sleep(PAUSE)
                continue
            if not self.folder.exists(INDEX) and not self._is_finished():
                build_index(self.plan, self.folder)
            claims.release(0)

    def _compute_texts(self, absent: Sequence[DistinctShard], index: DistinctIndex, counts: Counts) -> None:
        """Compute the distinct shards that are not there."""
        folder, stopping = self.folder, threading.Event()
        counts.claims.claim_in(DISTINCT_CLAIMS)
        shards = claimed(
            absent,
            counts=counts,
            stopping=stopping,
            name_of=lambda shard: f"{DISTINCT}/{file_of(shard)}",
            is_done=lambda shard: folder.exists(f"{DISTINCT}/{file_of(shard)}") or self._is_finished(),
            on_done=counts.texts_elsewhere,
        )
        stage = ComputeTexts(plan=self.plan, index=index, computation=self.computation, folder=folder)
        run_stage(shards, stage, on_step=counts.step, on_shard=counts.texts, on_stop=stopping.set)

    def _write_output(self, index: DistinctIndex, copies: LocalCopies, counts: Counts) -> None:
        plan, folder, stopping, finished = self.plan, self.folder, threading.Event(), Finished(self.folder, self.plan)
        counts.claims.claim_in(CLAIMS)
        stage = GatherRows(
            plan=plan,
            index=index,
            computation=self.computation,
            folder=folder,
            stored=StoredTexts(copies, plan.shard_rows),
            lenient=self.lenient,
        )

        def on_shard(shard: Shard, outcome: ShardRecord | InputError) -> None:
            if isinstance(outcome, InputError) and (record := finished.record(shard)) is not None:
                outcome = record
            counts.shard(shard, outcome)

        shards = claimed_of_output(self.missing, plan, folder=folder, counts=counts, stopping=stopping)
        run_stage(shards, stage, on_step=lambda step: counts.tell(), on_shard=on_shard, on_stop=stopping.set)

    def _is_finished(self) -> bool:
        finished = Finished(self.folder, self.plan)
        # Mostly the first one answers.
        return all(finished.record(shard) is not None for shard in self.missing)
