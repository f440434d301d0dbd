"""The state of an unfinished training on disk, from which it can go on."""

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from berthub.atomic import write_errors, written_file
from berthub.checkpoint import Checkpoint
from berthub.containers.npz import read_npz
from berthub.errors import BerthubError, CorruptFileError, InputError
from berthub.formats.native import read_native, write_native
from berthub.training.state_files import check_progress, read_pointer

__all__ = ["Progress", "StateStore", "Stored", "newest_progress"]

_POINTER = "latest.json"


@dataclass(frozen=True)
class Progress:
    """The progress of training: `epoch` epochs, and `step` steps of the next one.

    `total`, `examples` and `seconds` are of that one: the sum of the examples' losses, how many they are, and how long
    they took. `best_score` None means that nothing was scored yet. `fit` is how many fits the model had before.
    """

    epoch: int = 0
    step: int = 0
    total: float = 0.0
    examples: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    best_score: float | None = None
    fit: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`; `CorruptFileError` if the values are not those of a progress."""
        check_progress(stored)
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(stored.keys() - known):
            raise CorruptFileError(f"the progress has what is not known: {', '.join(unknown)}")
        return cls(**stored)

    def after_step(self, loss: float, examples: int) -> Self:
        """The progress after one more step, with the mean loss of its examples."""
        return dataclasses.replace(
            self,
            step=self.step + 1,
            total=self.total + loss * examples,
            examples=self.examples + examples,
        )

    def after_seconds(self, seconds: float) -> Self:
        """The progress with the time that the steps since the last call took."""
        return dataclasses.replace(self, seconds=self.seconds + seconds)

    def after_epoch(self, scores: Mapping[str, float]) -> Self:
        """The progress after the last step of an epoch; `scores` are those of the dev data, if there are any."""
        epoch = self.epoch + 1
        score = scores.get("dev_main")
        better = score is None or self.best_score is None or score > self.best_score
        entry = {
            "epoch": epoch,
            "loss": self.total / max(1, self.examples),
            **{name: value for name, value in scores.items() if name != "dev_main"},
            "seconds": self.seconds,
            "examples_per_second": self.examples / max(self.seconds, 1e-9),
        }
        return type(self)(
            epoch=epoch,
            best_epoch=epoch if better else self.best_epoch,
            best_score=score if better else self.best_score,
            fit=self.fit,
            history=[*self.history, entry],
        )


@dataclass(frozen=True)
class Stored:
    """What `StateStore.read` finds: the state of the step, the progress, and the model of the best epoch so far."""

    state: Mapping[str, npt.NDArray[Any]]
    progress: Progress
    best: Checkpoint | None


class StateStore:
    """One folder with the newest state; a state is written whole, or the one before it stays.

    `conditions` are what a training must have in common with the stored one for going on to make sense.
    """

    def __init__(self, folder: Path, conditions: Mapping[str, Any]) -> None:
        self._folder = folder
        # As JSON gives them back.
        self._conditions = json.loads(json.dumps(dict(conditions)))

    def begin(self) -> None:
        """Make the folder, so that one where nothing can be written is found before hours of training."""
        with write_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)

    def read(self) -> Stored | None:
        """The newest state; None if there is not one.

        `InputError` if it belongs to another training, `CorruptFileError` if it is damaged.
        """
        if not (self._folder / _POINTER).is_file():
            return None
        try:
            stored = read_pointer(self._folder / _POINTER)
        except BerthubError as error:
            raise self._damaged(error) from error
        self._check_same(stored.conditions)
        try:
            progress = Progress.of(stored.progress)
            if (stored.best is None) != (progress.best_epoch == 0):
                raise CorruptFileError(f"the best epoch is {progress.best_epoch}, and its model {stored.best}")
            state = read_npz(self._folder / stored.state)
            best = None if stored.best is None else _best(self._folder / stored.best)
        except BerthubError as error:
            raise self._damaged(error) from error
        return Stored(state, progress, best)

    def write(self, state: Mapping[str, npt.NDArray[Any]], progress: Progress, best: Checkpoint | None) -> None:
        """Make this the newest state; what is older is removed then. After a `WriteError` it is as it was."""
        self.begin()
        name = f"state-{progress.epoch}-{progress.step}.npz"
        best_name = None if best is None else f"best-{progress.best_epoch}"
        before = self._newest()
        try:
            with written_file(self._folder / name, overwrite=True) as file:
                np.savez(file, allow_pickle=False, **dict(state))
            if best is not None and best_name != before[1]:
                self._write_best(best, self._folder / f"best-{progress.best_epoch}")
            description = {
                "conditions": self._conditions,
                "progress": dataclasses.asdict(progress),
                "state": name,
                "best": best_name,
            }
            # The one moment at which the new state counts.
            with written_file(self._folder / _POINTER, overwrite=True) as file:
                file.write(json.dumps(description, indent=2).encode())
        except BaseException:
            # What counts is what the pointer says now. That this fails, too, is told less than why.
            with contextlib.suppress(OSError, BerthubError):
                self._keep(self._newest())
            raise
        self._keep((name, best_name))

    def _check_same(self, conditions: Mapping[str, Any]) -> None:
        differing = [
            f"{name} was {conditions.get(name)!r} and is {value!r} now"
            for name, value in self._conditions.items()
            if conditions.get(name) != value
        ]
        if differing:
            raise InputError(
                f"the interrupted training in {self._folder.parent} was another one: {'; '.join(differing)}. "
                "Resume it with what it began with, or train into another folder"
            )

    def _damaged(self, error: Exception) -> CorruptFileError:
        return CorruptFileError(
            f"the state of the interrupted training in {self._folder} is damaged ({type(error).__name__}: {error}): "
            "remove the folder and train anew"
        )

    def _write_best(self, best: Checkpoint, folder: Path) -> None:
        if folder.exists():
            # Of a state that never came to count.
            with write_errors(folder):
                shutil.rmtree(folder)
        write_native(best, folder)

    def _newest(self) -> tuple[str | None, str | None]:
        """The names of the state that counts and of the model of its best epoch, None for what there is not."""
        pointer = self._folder / _POINTER
        if not pointer.is_file():
            return None, None
        stored = read_pointer(pointer)
        return stored.state, stored.best

    def _keep(self, names: tuple[str | None, str | None]) -> None:
        """Remove all but the state of these names: older ones, and what failed or was interrupted."""
        with write_errors(self._folder):
            for path in self._folder.iterdir():
                if path.name not in (_POINTER, *names):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def newest_progress(folder: Path) -> Progress:
    """The progress of the newest state in a store's folder, that of a beginning where there is none yet."""
    pointer = folder / _POINTER
    return Progress.of(read_pointer(pointer).progress) if pointer.is_file() else Progress()


def _best(folder: Path) -> Checkpoint:
    """The model in `folder`, whose files are removed while it is still in use."""
    checkpoint = read_native(folder).in_memory()
    if checkpoint.head is None:
        raise CorruptFileError("the model of the best epoch has no head")
    return checkpoint
