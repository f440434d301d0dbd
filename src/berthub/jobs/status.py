"""How far a job has come, as its folder tells, from any process."""

from dataclasses import dataclass

from berthub.errors import InputError
from berthub.jobs.claims import Claims, RunnerNote, runner_notes
from berthub.jobs.folder import JobFolder
from berthub.jobs.plan import Plan
from berthub.jobs.records import Manifest
from berthub.jobs.stored import read_plan

__all__ = ["JobStatus", "job_status", "require_plan"]


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """The state of a job: its shards and rows, those that are done, and the runners that are at work.

    `working` are the numbers of the shards that are computed now. `rows_per_second` and `tokens_per_second` are those
    of all runners together, 0 without one; `seconds_left` is None where that is not known. `totals` are those of the
    manifest, once the job is finished.
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


def job_status(folder: JobFolder) -> JobStatus:
    """The state of the job whose folder this is; `InputError` where it holds no job."""
    plan = require_plan(folder)
    manifest = Manifest.read(folder)
    files = set(folder.names())
    done = [shard for shard in plan.shards if plan.name_of(shard) in files]
    rows_done = sum(shard.rows for shard in done)
    claims = Claims(folder)
    runners = tuple(note for note in runner_notes(folder) if not claims.is_dead(note.runner))
    rows_per_second = sum(note.rows / note.seconds for note in runners if note.seconds)
    return JobStatus(
        folder=folder.address,
        plan=plan.id,
        finished=manifest is not None and len(done) == len(plan.shards),
        shards=len(plan.shards),
        shards_done=len(done),
        rows=plan.rows,
        rows_done=rows_done,
        working=tuple(sorted(number for note in runners for number in note.working)),
        runners=runners,
        rows_per_second=rows_per_second,
        tokens_per_second=sum(note.tokens / note.seconds for note in runners if note.seconds),
        seconds_left=(plan.rows - rows_done) / rows_per_second if rows_per_second else None,
        totals=None if manifest is None else manifest.totals,
    )


def require_plan(folder: JobFolder) -> Plan:
    """The plan of the job; `InputError` where the folder holds no job."""
    plan = read_plan(folder)
    if plan is None:
        raise InputError(
            f"{folder.address} holds no job: name the folder that berthub encode or berthub predict was to write"
        )
    return plan
