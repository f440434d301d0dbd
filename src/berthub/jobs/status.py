"""How far a job has come, as its folder tells, from any process."""

from dataclasses import dataclass

from berthub.errors import InputError
from berthub.jobs.claims import Claims, RunnerNote, runner_notes
from berthub.jobs.distinct import distinct_shards, file_of
from berthub.jobs.distinct_index import DISTINCT, read_count
from berthub.jobs.folder import JobFolder
from berthub.jobs.plan import Plan
from berthub.jobs.records import Manifest
from berthub.jobs.stored import read_plan

__all__ = ["JobStatus", "job_status", "require_plan"]

# Seconds that are worth telling: ten years.
_LONGEST = 3e8


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """The state of a job: its shards and rows, those that are done, and the runners that are at work.

    `working` are the numbers of the shards that are computed now. `rows_per_second` and `tokens_per_second` are those
    of all runners together, 0 without one; `seconds_left` is None where that is not known. `totals` are those of the
    manifest, once the job is finished.

    In a job that computes equal texts once, `distinct` is the number of distinct texts, None before they are counted;
    `distinct_done` are computed, and the speed and the time left are theirs: rows are done soon after them.
    """

    folder: str
    plan: str
    finished: bool
    shards: int
    shards_done: int
    rows: int
    rows_done: int
    working: tuple[int, ...]
    runners: tuple[RunnerNote, ...]
    rows_per_second: float
    tokens_per_second: float
    seconds_left: float | None
    totals: dict[str, int] | None
    dedupe: bool = False
    distinct: int | None = None
    distinct_done: int = 0


def job_status(folder: JobFolder) -> JobStatus:
    """The state of the job whose folder this is; `InputError` where it holds no job."""
    plan = require_plan(folder)
    manifest = Manifest.read(folder)
    files = set(folder.names())
    done = [shard for shard in plan.shards if plan.name_of(shard) in files]
    rows_done = sum(shard.rows for shard in done)
    claims = Claims(folder)
    runners = tuple(note for note in runner_notes(folder) if not claims.is_dead(note.runner))
    distinct, distinct_done = _distinct(folder, plan, manifest, finished=len(done) == len(plan.shards))
    left = (distinct or plan.rows) - distinct_done if plan.dedupe else plan.rows - rows_done
    rows_per_second = sum(note.rows / note.seconds for note in runners if note.seconds)
    return JobStatus(
        folder=folder.address,
        plan=plan.id,
        finished=manifest is not None and len(done) == len(plan.shards),
        shards=len(plan.shards),
        shards_done=len(done),
        rows=plan.rows,
        rows_done=rows_done,
        working=tuple(sorted(number for note in runners if not note.distinct for number in note.working)),
        runners=runners,
        rows_per_second=rows_per_second,
        tokens_per_second=sum(note.tokens / note.seconds for note in runners if note.seconds),
        seconds_left=left / rows_per_second if rows_per_second and left / rows_per_second < _LONGEST else None,
        totals=None if manifest is None else manifest.totals,
        dedupe=plan.dedupe,
        distinct=distinct,
        distinct_done=distinct_done,
    )


def _distinct(folder: JobFolder, plan: Plan, manifest: Manifest | None, *, finished: bool) -> tuple[int | None, int]:
    """How many distinct texts there are, and are computed."""
    if not plan.dedupe:
        return None, 0
    if finished and manifest is not None:
        return manifest.distinct, manifest.distinct or 0
    texts = read_count(folder)
    if texts is None:
        return None, 0
    there = set(folder.names(DISTINCT))
    return texts, sum(shard.rows for shard in distinct_shards(plan, texts) if file_of(shard) in there)


def require_plan(folder: JobFolder) -> Plan:
    """The plan of the job; `InputError` where the folder holds no job."""
    plan = read_plan(folder)
    if plan is None:
        raise InputError(
            f"{folder.address} holds no job: name the folder that berthub encode or berthub predict was to write"
        )
    return plan
