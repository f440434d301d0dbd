"""Run a job: plan it or go on with it, have its missing shards computed, and write the manifest at the end."""

import errno
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, get_args

import numpy as np

from berthub.check import check_choice
from berthub.choices import OnError
from berthub.errors import InputError, WriteError
from berthub.fingerprint import fingerprint, fingerprint_of_model
from berthub.jobs.claims import CLAIMS, DISTINCT_CLAIMS, INDEX_CLAIMS, RUNNERS
from berthub.jobs.computation import Computation
from berthub.jobs.distinct_index import DISTINCT, read_count
from berthub.jobs.environment import differences, environment_here
from berthub.jobs.folder import JobFolder
from berthub.jobs.plan import Plan
from berthub.jobs.planning import check_inputs, first_rows, make_plan
from berthub.jobs.progress import OnProgress
from berthub.jobs.records import ATTEMPTS, RECORDS, Manifest, finished_records
from berthub.jobs.stored import PLAN, read_plan
from berthub.jobs.tasks import Task
from berthub.tables.columns import TextColumns
from berthub.tables.source import Source

__all__ = ["JobOptions", "Runner", "check_same_here", "run_job"]

# Rows of a shard: some seconds to minutes of work, and a file of useful size. Token vectors are many for each text.
_SHARD_ROWS, _SHARD_ROWS_OF_TOKENS = 16384, 1024
# So often the manifest is tried to be written beside runners that finish at the same moment.
_TIMES = 10


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """How a job is split, and what becomes of what goes wrong.

    `shard_rows` are the rows of a shard, None what suits the output. Without `any_machine` a job goes on only where the
    same bits come out: with the same libraries and processor. `on_error` is about rows that cannot be computed. With
    `dedupe` equal texts are computed once.
    """

    shard_rows: int | None = None
    any_machine: bool = False
    on_error: OnError = "fail"
    dedupe: bool = False

    def __post_init__(self) -> None:
        check_choice("on_error", self.on_error, get_args(OnError))
        rows = self.shard_rows
        if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 1):
            raise InputError(f"a shard has at least one row, not {rows!r}")


class Runner(ABC):
    """Has the missing shards of a job computed, on one machine or on many."""

    dedupes: ClassVar[bool] = False
    """Whether it knows jobs that compute equal texts once."""

    def check(self) -> None:
        """Raise `InputError` where it cannot run; called before anything is read or written."""
        return

    @abstractmethod
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
        """Have all shards computed whose files are not there; the errors of those that failed.

        If `lenient`, rows that cannot be computed have no result, and do not make their shards fail. Returns when no
        other runner is at work on a shard either.
        """


def run_job(
    source: Source,
    texts: TextColumns,
    *,
    task: Task,
    folder: JobFolder,
    options: JobOptions,
    runner: Runner,
    on_progress: OnProgress = lambda progress: None,
    on_file: Callable[[int, int], None] = lambda done, total: None,
) -> Manifest:
    """Run a job from where it is, and return the manifest, which is written when all shards are finished.

    `InputError` before anything is computed or written, where the folder holds something else, or the job was planned
    for another input, other options, another model, or another machine. `InputError` at the end where shards failed.
    """
    task.check(source.options)
    folder.check()
    if options.on_error == "skip" and task.format == "conll":
        raise InputError("a CoNLL file has no place for rows without a result: write another format, or leave out skip")
    if options.dedupe and not runner.dedupes:
        raise InputError("only the local runner computes equal texts once: leave out --dedupe, or --ray")
    runner.check()
    if not source.files:
        raise InputError("a job reads files: name files, folders or patterns, or write to one file")
    stored = _stored_plan(folder)
    if stored is not None:
        check_inputs(stored, source)
    # What is wrong at the beginning of a file should not wait for the model.
    first = first_rows(source, texts) if task.texts_are_strings else None
    computation = task.load()
    if computation.words and texts.pair is not None:
        raise InputError("a model that tags words takes no pairs of texts: leave out --text-pair-column")
    if options.dedupe and not computation.storable:
        raise InputError(
            "equal texts are computed once where each has one vector or prediction, and here each token or word has "
            "its own: leave out --dedupe"
        )
    if first is None:
        first = first_rows(source, replace(texts, words=computation.words))
    wanted: dict[str, Any] = {
        **_of_here(task, computation),
        "shard_rows": options.shard_rows or _shard_rows(computation),
        "dedupe": options.dedupe,
    }
    if options.any_machine:
        wanted["environment"] = None
    if stored is None:
        typed = task.carried and task.format == "parquet"
        planned = make_plan(
            source,
            first,
            **wanted,
            schema=first.schema(typed=typed),
            extension=f".{task.format}",
            on_file=on_file,
        )
        stored = _write_plan(planned, source, folder)
    if options.shard_rows is None:
        wanted["shard_rows"] = stored.shard_rows
    _check_same(stored, {**wanted, "reading": source.options, "texts": first.texts})
    try:
        failures = runner.run(
            stored,
            task=task,
            computation=computation,
            folder=folder,
            lenient=options.on_error == "skip",
            on_progress=on_progress,
        )
        if failures:
            raise _failed(failures, stored)
        return _finish(stored, folder)
    except WriteError as error:
        if error.errno == errno.ENOENT and not folder.exists(PLAN):
            raise WriteError(f"{folder.address} was removed while the job ran: run it again") from error
        raise


def check_same_here(plan: Plan, *, task: Task, computation: Computation) -> None:
    """Raise `InputError` where this process would not compute what was planned, perhaps on another machine."""
    here = _of_here(task, computation)
    _check_same(plan, here if plan.environment is not None else {**here, "environment": None})


def _of_here(task: Task, computation: Computation) -> dict[str, Any]:
    return {
        "task": _described(task, computation),
        "model": _model_hash(computation),
        "environment": environment_here(task.model.threads),
    }


def _stored_plan(folder: JobFolder) -> Plan | None:
    """The plan in a folder, None in one that is new or empty; `InputError` for one that holds something else."""
    plan = read_plan(folder)
    # Another runner may have begun the job between the two looks.
    if plan is None and folder.is_used() and (plan := read_plan(folder)) is None:
        raise InputError(
            f"{folder.address} holds files, and no job: name a folder that is new or empty, or one in which a job was "
            "begun"
        )
    return plan


def _write_plan(plan: Plan, source: Source, folder: JobFolder) -> Plan:
    """Write a plan where there is none yet; the one that is there then, which another runner may have written."""
    folder.begin()
    if folder.write_new(PLAN, plan.to_bytes()):
        return plan
    stored = read_plan(folder)
    if stored is None:
        raise WriteError(f"{folder.address} was removed while the job began: run it again")
    check_inputs(stored, source)
    return stored


def _described(task: Task, computation: Computation) -> dict[str, Any]:
    encoder = computation.encoder
    return {
        "kind": type(task).__name__,
        "to": task.format,
        "model": task.model.name,
        "max_length": encoder.max_length,
        "engine": encoder.stages.engine.name,
        "precision": encoder.precision,
        **computation.described,
    }


def _model_hash(computation: Computation) -> str:
    """A hash of all that the model computes with: weights, vocabulary, settings, and what was measured for int8."""
    checkpoint = computation.encoder.checkpoint
    parts = [fingerprint_of_model(checkpoint, sha256=True), repr(checkpoint.embedding)]
    if computation.encoder.precision == "int8" and checkpoint.quantization is not None:
        layers = checkpoint.quantization
        arrays = [np.asarray(each) for name in sorted(layers) for each in vars(layers[name]).values()]
        parts.append(fingerprint(arrays))
    return fingerprint((), " ".join(parts))


def _shard_rows(computation: Computation) -> int:
    by_token = computation.described.get("vectors") == "sequence_output"
    return _SHARD_ROWS_OF_TOKENS if by_token else _SHARD_ROWS


def _check_same(plan: Plan, wanted: Mapping[str, Any]) -> None:
    """Raise `InputError` where the job was planned otherwise than it is wanted now; the message says in what."""
    found = {name: getattr(plan, name) for name in wanted}
    told: list[str] = []
    for name, value in wanted.items():
        if found[name] == value:
            continue
        match name:
            case "task":
                told += differences(found[name], value)
            case "environment" if found[name] is not None and value is not None:
                told += differences(found[name], value)
            case "environment":
                told.append("whether any machine may compute any shard")
            case "model":
                told.append("the model's files are not the same")
            case _:
                told += differences(_plain(found[name], name), _plain(value, name))
    if told:
        raise InputError(
            f"this is not the job that was planned: {'; '.join(told)}. Go on with what it was planned with, or begin "
            "another job in another folder"
        )


def _plain(value: Any, name: str) -> Mapping[str, Any]:
    return {name: value} if isinstance(value, int) else vars(value)


def _failed(failures: list[InputError], plan: Plan) -> InputError:
    shards = "1 shard" if len(failures) == 1 else f"{len(failures):,} shards"
    return InputError(f"{shards} of {len(plan.shards):,} could not be computed, the others are finished. {failures[0]}")


def _finish(plan: Plan, folder: JobFolder) -> Manifest:
    """Write the manifest, and remove what was needed until then, and what killed processes left."""
    records = finished_records(folder, plan)
    if len(records) < len(plan.shards):
        # Another runner may have finished the job, and removed the records, during that look.
        records = finished_records(folder, plan)
    if len(records) < len(plan.shards):
        raise InputError(f"files of {folder.address} were removed or changed while the job ran: run it again")
    shards = tuple(records[shard.number] for shard in plan.shards)
    manifest = Manifest(plan=plan.id, shards=shards, distinct=_distinct(plan, folder))
    for left in reversed(range(_TIMES)):
        try:
            manifest.write(folder)
            break
        except WriteError as error:
            # Another runner, which has written the same manifest, has swept the folder.
            if error.errno != errno.ENOENT or not left or not folder.exists(PLAN):
                raise
    # Claims and notes mean nothing any more, whoever has written them.
    deduped = (DISTINCT, INDEX_CLAIMS, DISTINCT_CLAIMS) if plan.dedupe else ()
    for name in (RECORDS, ATTEMPTS, *deduped, CLAIMS, RUNNERS):
        folder.remove_folder(name)
    folder.sweep()
    return manifest


def _distinct(plan: Plan, folder: JobFolder) -> int | None:
    """How many distinct texts the job has computed; None where it does not look for them."""
    if not plan.dedupe:
        return None
    found = read_count(folder)
    # What is kept of distinct texts is gone when the job was finished before.
    if found is None and (before := Manifest.read(folder)) is not None:
        found = before.distinct
    return found
