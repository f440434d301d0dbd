"""Run `berthub finetune`, once its options are read."""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from berthub.choices import Pooling, Precision
from berthub.cli.model import ModelOptions
from berthub.cli.text_options import ColumnOptions
from berthub.cli.training_options import TrainingOptions
from berthub.errors import BerthubError, InputError
from berthub.head import Task
from berthub.keras_backend import choose_backend
from berthub.tables.labelled import Labelled, read_labelled
from berthub.tables.reading_options import ReadingOptions

if TYPE_CHECKING:
    from berthub.training.tasks.fine_tuner import FineTuner

__all__ = ["FineTuneOptions", "run_finetune"]


@dataclass(frozen=True, kw_only=True)
class FineTuneOptions:
    """The options of `berthub finetune`; `pooling` is None where the task has none, or none was given."""

    task: Task
    train: Path
    dev: Path | None
    run: Path
    resume: bool
    reading: ReadingOptions
    columns: ColumnOptions
    label_column: str | None
    label_separator: str
    model: ModelOptions
    max_length: int | None
    pooling: Pooling | None
    training: TrainingOptions
    precision: Precision
    quiet: bool


def run_finetune(options: FineTuneOptions) -> None:
    """Train, and report the result on stderr."""
    # Before the libraries that train are imported, which takes seconds.
    train = _labelled(options, options.train)
    dev = None if options.dev is None else _labelled(options, options.dev)
    tuner = _tuner(options, train)
    data = f"{options.train.name}" + ("" if options.dev is None else f" and {options.dev.name}")
    try:
        # As `fit`, which would warn: here truncated texts are reported at once, in a line of their own.
        tuner._fit(
            train.texts,
            train.labels,
            dev=None if dev is None else (dev.texts, dev.labels),
            run=options.run,
            resume=options.resume,
            progress=not options.quiet,
            data=data,
            hyperparameters=_hyperparameters(options),
            tell=(lambda message: None) if options.quiet else (lambda message: print(message, file=sys.stderr)),
        )
    except (KeyboardInterrupt, SystemExit):
        if (kept := _kept(options.run)) is not None:
            print(kept, file=sys.stderr)
        raise
    if not options.quiet:
        print(_summary(options, tuner), file=sys.stderr)


def _kept(run: Path) -> str | None:
    """A sentence on what an interrupted training left in its folder, and how to go on; None if it left nothing."""
    from berthub.training.run_folder import kept_progress

    try:
        progress = kept_progress(run)
    except BerthubError:
        # Resuming reports what is wrong with it.
        return f"interrupted; the same command with --resume goes on in {run}"
    if progress is None:
        return None
    if not progress.epoch and not progress.step:
        return f"interrupted before a step was kept in {run}; the same command with --resume begins anew"
    where = f"step {progress.step} of epoch {progress.epoch + 1}" if progress.step else f"epoch {progress.epoch}"
    return f"interrupted; all up to {where} is kept in {run}, and the same command with --resume goes on from there"


def _labelled(options: FineTuneOptions, path: Path) -> Labelled:
    labelled = read_labelled(
        path,
        task=options.task,
        options=options.reading,
        text_column=options.columns.text_column,
        text_pair_column=options.columns.text_pair_column,
        label_column=options.label_column,
        label_separator=options.label_separator,
    )
    if not labelled.texts:
        raise InputError(f"{path} holds no texts")
    if labelled.missing and not options.quiet:
        print(f"{path}: {labelled.missing}", file=sys.stderr)
    return labelled


def _tuner(options: FineTuneOptions, train: Labelled) -> "FineTuner":
    if "keras" not in sys.modules:
        # Nobody's own Keras code depends on the choice here, and on processors PyTorch trains fastest by far.
        choose_backend(prefer="torch")
    from berthub.training.tasks.text_classifier import TextClassifier
    from berthub.training.tasks.text_regressor import TextRegressor
    from berthub.training.tasks.token_classifier import TokenClassifier

    arguments = _tuner_arguments(options)
    match options.task:
        case "classify" | "multi_label":
            multi_label = options.task == "multi_label"
            return TextClassifier(options.model.handle, labels=train.label_names, multi_label=multi_label, **arguments)
        case "regress":
            name = options.label_column or "value"
            return TextRegressor(options.model.handle, name=name, **arguments)
        case "tag":
            return TokenClassifier(options.model.handle, **arguments)


def _tuner_arguments(options: FineTuneOptions) -> dict[str, Any]:
    """The arguments that all tuners take."""
    training = options.training
    return {
        "max_length": options.max_length,
        "dropout": training.dropout,
        "freeze_layers": training.freeze,
        "lora_rank": training.lora,
        "seed": training.seed,
        **({} if options.pooling is None else {"pooling": options.pooling}),
        "settings": options.model.settings,
        "vocabulary": options.model.vocabulary,
        **options.model.fetching.arguments,
    }


def _hyperparameters(options: FineTuneOptions) -> dict[str, Any]:
    training = options.training
    return {
        "epochs": training.epochs,
        "batch_size": training.batch_size,
        "learning_rate": training.learning_rate,
        "warmup": training.warmup,
        "weight_decay": training.weight_decay,
        "patience": training.patience,
        "precision": options.precision,
    }


def _summary(options: FineTuneOptions, tuner: "FineTuner") -> str:
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
    lines.append(
        f"the model is in {options.run}: berthub predict {options.run} FILE, or berthub.load({str(options.run)!r})"
    )
    return "\n".join(lines)
