"""What runs in the actors of Ray: one shard after the other is computed there, with a model that is loaded once."""

import contextlib
import os
import platform
import time
import traceback
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson

from berthub import errors
from berthub.errors import BerthubError, InputError
from berthub.jobs.claims import Claims
from berthub.jobs.computation import Computation
from berthub.jobs.folder import JobFolder
from berthub.jobs.job import check_same_here
from berthub.jobs.plan import Plan
from berthub.jobs.records import ATTEMPTS, Finished, ShardRecord
from berthub.jobs.shards import run_shards
from berthub.jobs.step import Step
from berthub.jobs.stored import read_plan
from berthub.jobs.tasks import Task

__all__ = ["Outcome", "ShardWorker", "Work"]

# When the processes of so many attempts were lost, by whatever reason, the shard itself may be it.
_MOST_ATTEMPTS = 10


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a worker has to know, wherever it runs; the plan it reads from the folder."""

    plan: str
    task: Task
    folder: JobFolder
    lenient: bool
    threads: int
    working_folder: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a shard: it is finished, another runner has it (`later`), or it failed (`error`).

    With a `fault`, the name of an error's class, it was no row of the shard that failed, and the job has to end.
    """

    number: int
    rows: int = 0
    tokens: int = 0
    truncated: int = 0
    later: bool = False
    error: str | None = None
    fault: str | None = None

    def raised(self) -> Exception:
        """The error of a fault."""
        kind = getattr(errors, self.fault or "", None)
        return kind(self.error) if kind is not None else RuntimeError(f"a worker of Ray failed:\n{self.error}")


class ShardWorker:
    """A class for `map_batches`: a batch of shards' numbers becomes their outcomes, as JSON."""

    def __init__(self, work: Work) -> None:
        # Relative paths, of a model or a folder, mean the same as where the job was begun.
        with contextlib.suppress(OSError):
            os.chdir(work.working_folder)
        # The tokenizers library asks for this when it first tokenizes.
        os.environ.setdefault("RAYON_NUM_THREADS", str(work.threads))
        self._work = work
        self._ready: tuple[Plan, Computation] | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Compute these shards; what goes wrong is told, not raised, so that Ray does not try it again."""
        outcomes = [orjson.dumps(self._outcome(int(number))) for number in batch["item"]]
        return {"outcome": np.array(outcomes, object)}

    def _outcome(self, number: int) -> Outcome:
        try:
            plan, computation = self._loaded()
            return self._computed(number, plan, computation)
        except InputError as error:
            return Outcome(number=number, error=str(error))
        except BerthubError as error:
            return Outcome(number=number, error=str(error), fault=type(error).__name__)
        except Exception:
            return Outcome(number=number, error=traceback.format_exc(), fault="a bug")

    def _loaded(self) -> tuple[Plan, Computation]:
        """The plan and the model; `InputError` where this machine would not compute what was planned."""
        if self._ready is None:
            work = self._work
            plan = read_plan(work.folder)
            if plan is None or plan.id != work.plan:
                raise InputError(
                    f"the job's folder {work.folder.address} is not there on the machine {platform.node()}: all "
                    "machines of the cluster have to see the same folder"
                )
            task = replace(work.task, model=replace(work.task.model, threads=work.threads))
            computation = task.load()
            try:
                check_same_here(plan, task=task, computation=computation)
            except InputError as error:
                raise InputError(f"on the machine {platform.node()}: {error}") from error
            self._ready = plan, computation
        return self._ready

    def _computed(self, number: int, plan: Plan, computation: Computation) -> Outcome:
        folder, shard = self._work.folder, plan.shards[number]
        outcomes: list[ShardRecord | InputError] = []
        done = {"rows": 0, "tokens": 0}
        begin = time.monotonic()
        with Claims(folder) as claims:
            if not claims.take(number, plan.name_of(shard)):
                return Outcome(number=number, later=True)
            # Ray computes a shard again whose outcome was lost with a node.
            if Finished(folder, plan).record(shard) is not None:
                return Outcome(number=number)

            attempts = f"{ATTEMPTS}/{number:06}"
            begun = int(folder.read(attempts) or b"0")
            if begun >= _MOST_ATTEMPTS:
                folder.remove(attempts)
                raise InputError(
                    f"shard {number}: {begun} processes or machines were lost while they computed it; if it was for "
                    "lack of memory, run the job again with smaller shards in another folder"
                )
            folder.note(attempts, str(begun + 1).encode())

            def count(step: Step) -> None:
                done["rows"] += step.rows
                done["tokens"] += step.tokens
                claims.show(**done, seconds=time.monotonic() - begin)

            run_shards(
                [shard],
                plan,
                computation=computation,
                folder=folder,
                lenient=self._work.lenient,
                on_step=count,
                on_shard=lambda _, outcome: outcomes.append(outcome),
            )
            folder.remove(attempts)
        (outcome,) = outcomes
        if isinstance(outcome, InputError):
            return Outcome(number=number, error=str(outcome))
        return Outcome(number=number, rows=outcome.rows, tokens=outcome.tokens, truncated=outcome.truncated)
