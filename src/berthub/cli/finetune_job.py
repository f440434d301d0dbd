"""What `berthub finetune` does, once its options are known."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from berthub.cli.model import ModelOptions
from berthub.errors import BerthubError, InputError
from berthub.head import Task
from berthub.keras_backend import choose_backend
from berthub.tables.labelled import Labelled, read_labelled
from berthub.tables.reading_options import ReadingOptions

if TYPE_CHECKING:
    from berthub.training.tasks.fine_tuner import FineTuner

__all__ = ["FineTuneJob", "run_job"]


@dataclass(frozen=True, kw_only=True)
class FineTuneJob:
    """Which data, which model, and where to; `options` are the task's, beside those `hyperparameters`."""

    task: Task
    train: Path
    dev: Path | None
    run: Path
    resume: bool
    reading: ReadingOptions
    text_column: str | None
    text_pair_column: str | None
    label_column: str | None
    label_separator: str
    model: ModelOptions
    options: Mapping[str, Any]
    hyperparameters: Mapping[str, Any]
    quiet: bool


def run_job(job: FineTuneJob) -> None:
    """Train, and say on stderr what came of it."""
    # Before the libraries that train are imported, which takes seconds.
    train = _labelled(job, job.train)
    dev = None if job.dev is None else _labelled(job, job.dev)
    tuner = _tuner(job, train)
    data = f"{job.train.name}" + ("" if job.dev is None else f" and {job.dev.name}")
    try:
        # As `fit`, which would warn: that texts were cut is told at once, in a line of its own.
        tuner._fit(
            train.texts,
            train.labels,
            dev=None if dev is None else (dev.texts, dev.labels),
            run=job.run,
            resume=job.resume,
            progress=not job.quiet,
            data=data,
            hyperparameters=job.hyperparameters,
            tell=(lambda message: None) if job.quiet else (lambda message: print(message, file=sys.stderr)),
        )
    except (KeyboardInterrupt, SystemExit):
        if (kept := _kept(job.run)) is not None:
            print(kept, file=sys.stderr)
        raise
    if not job.quiet:
        print(_summary(job, tuner), file=sys.stderr)


def _kept(run: Path) -> str | None:
    """What an interrupted training left in its folder, and how to go on; None if that is nothing."""
    from berthub.training.run_folder import kept_progress

    try:
        progress = kept_progress(run)
    except BerthubError:
        # Whoever resumes is told what is wrong with it.
        return f"interrupted; the same command with --resume goes on in {run}"
    if progress is None:
        return None
    if not progress.epoch and not progress.step:
        return f"interrupted before a step was kept in {run}; the same command with --resume begins anew"
    where = f"step {progress.step} of epoch {progress.epoch + 1}" if progress.step else f"epoch {progress.epoch}"
    return f"interrupted; all up to {where} is kept in {run}, and the same command with --resume goes on from there"


def _labelled(job: FineTuneJob, path: Path) -> Labelled:
    labelled = read_labelled(
        path,
        task=job.task,
        options=job.reading,
        text_column=job.text_column,
        text_pair_column=job.text_pair_column,
        label_column=job.label_column,
        label_separator=job.label_separator,
    )
    if not labelled.texts:
        raise InputError(f"{path} holds no texts")
    if labelled.missing and not job.quiet:
        print(f"{path}: {labelled.missing}", file=sys.stderr)
    return labelled


def _tuner(job: FineTuneJob, train: Labelled) -> "FineTuner":
    if "keras" not in sys.modules:
        # Nobody's own Keras code depends on the choice here, and on processors PyTorch trains fastest by far.
        choose_backend(prefer="torch")
    from berthub.training.tasks.text_classifier import TextClassifier
    from berthub.training.tasks.text_regressor import TextRegressor
    from berthub.training.tasks.token_classifier import TokenClassifier

    options = {**job.options, "settings": job.model.settings, **job.model.fetching}
    match job.task:
        case "classify" | "multi_label":
            multi_label = job.task == "multi_label"
            return TextClassifier(job.model.handle, labels=train.label_names, multi_label=multi_label, **options)
        case "regress":
            return TextRegressor(job.model.handle, **options)
        case "tag":
            return TokenClassifier(job.model.handle, **options)


def _summary(job: FineTuneJob, tuner: "FineTuner") -> str:
    lines = []
    for entry in tuner.history:
        shown = ", ".join(
            f"{name.replace('_', ' ')} {'undefined' if math.isnan(value) else format(value, '.4f')}"
            for name, value in entry.items()
            if name not in ("epoch", "seconds", "examples_per_second")
        )
        best = " <- kept" if entry["epoch"] == tuner.best_epoch else ""
        lines.append(
            f"epoch {entry['epoch']:.0f}: {shown} ({entry['seconds']:.0f} s, "
            f"{entry['examples_per_second']:.0f} examples/s){best}"
        )
    lines.append(f"the model is in {job.run}: berthub predict {job.run} FILE, or berthub.load({str(job.run)!r})")
    return "\n".join(lines)
