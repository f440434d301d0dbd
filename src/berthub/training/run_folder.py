"""The run folder of a training: its state while it runs; then the model, metrics, pictures and model card."""

import importlib
import importlib.metadata
import json
import math
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from berthub.atomic import write_errors, written_into
from berthub.errors import InputError, MissingDependencyError
from berthub.evaluation.pictures import draw_confusion, draw_learning_curves, draw_regression
from berthub.evaluation.scores import confusion
from berthub.formats.native import CONFIG, write_native_files
from berthub.head import Head
from berthub.training.model_card import model_card
from berthub.training.run import Run
from berthub.training.state import Progress, StateStore, newest_progress

__all__ = ["RunFolder", "kept_progress"]

_STATE = "training-state"
_LIBRARIES = ("berthub", "keras", "torch", "tensorflow", "tensorflow-cpu", "jax", "numpy", "openvino", "tokenizers")
# What the history has beside losses and scores.
_NOT_DRAWN = ("seconds", "examples_per_second")


class RunFolder:
    """The folder, new or empty; with `resume`, one in which a training was interrupted.

    Nothing is written until `StateStore.begin`. `InputError` for a folder that cannot be used, and
    `MissingDependencyError` without matplotlib, which `finish` needs.
    """

    def __init__(self, folder: Path, *, resume: bool) -> None:
        self._folder = folder
        interrupted = (folder / _STATE).is_dir()
        if (folder / CONFIG).exists():
            raise InputError(f"{folder} holds a finished model: load it, or choose another folder for this training")
        if resume and not interrupted:
            raise InputError(f"there is no interrupted training in {folder} that could be resumed")
        if interrupted and not resume:
            raise InputError(
                f"{folder} holds an interrupted training: go on with it (resume), remove it, or choose another folder"
            )
        if folder.exists() and not interrupted and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} exists and is not an empty folder: choose another one for this training")
        _check_pictures()

    def state(self, conditions: Mapping[str, Any]) -> StateStore:
        """The store of the training's state."""
        return StateStore(self._folder / _STATE, conditions)

    def finish(self, run: Run) -> None:
        """Write all that a finished run leaves; the state is removed then, and stays after a `WriteError`."""
        head = run.checkpoint.head
        assert head is not None
        versions = _versions()
        with written_into(self._folder, last=CONFIG) as unfinished:
            (unfinished / "metrics.json").write_text(_metrics(run, head, versions), encoding="utf-8")
            pictures = _draw(run, head, unfinished)
            card = model_card(run, name=self._folder.resolve().name, pictures=pictures, versions=versions)
            (unfinished / "README.md").write_text(card, encoding="utf-8")
            write_native_files(run.checkpoint, unfinished)
        with write_errors(self._folder):
            shutil.rmtree(self._folder / _STATE)

    def discard(self) -> None:
        """Remove the state of a training that has nothing to go on from; the folder too, if nothing else is there."""
        with write_errors(self._folder):
            shutil.rmtree(self._folder / _STATE)
            if not any(self._folder.iterdir()):
                self._folder.rmdir()


def kept_progress(folder: Path) -> Progress | None:
    """The progress of the interrupted training in a run folder; None if there is none.

    `CorruptFileError` for a damaged state.
    """
    return newest_progress(folder / _STATE) if (folder / _STATE).is_dir() else None


def _draw(run: Run, head: Head, folder: Path) -> Sequence[str]:
    pictures = ["learning_curves.png"]
    history = [{name: value for name, value in row.items() if name not in _NOT_DRAWN} for row in run.history]
    draw_learning_curves(history, folder / pictures[0])
    if run.truth is not None and run.predicted is not None:
        if head.task == "regress":
            pictures.append("predictions.png")
            draw_regression(run.truth, run.predicted, folder / pictures[-1])
        elif head.task != "multi_label":
            pictures.append("confusion_matrix.png")
            matrix = confusion(head.labels, run.truth, run.predicted)
            draw_confusion(matrix, head.labels, folder / pictures[-1])
    return pictures


def _check_pictures() -> None:
    try:
        importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise MissingDependencyError(
            "a run folder has pictures, which need matplotlib, and it is not installed: "
            "pip install 'berthub[finetune]', or train without run= and call save()"
        ) from error


def _metrics(run: Run, head: Head, versions: Mapping[str, str]) -> str:
    metrics = {
        "task": head.task,
        "labels": head.labels,
        "scores": run.scores,
        "best_epoch": run.best_epoch,
        "history": run.history,
        "model": run.model,
        "data": run.data,
        "examples": run.examples,
        "dev_examples": run.dev_examples,
        "hyperparameters": run.hyperparameters,
        "versions": versions,
    }
    return json.dumps(_finite(metrics), indent=2, ensure_ascii=False) + "\n"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _finite(value: Any) -> Any:
    """The values with None for NaN and infinity, which JSON does not have."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
