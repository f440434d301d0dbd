"""The training loop: trains, scores, keeps the best epoch, stops early, and resumes after an interruption."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.errors import CorruptFileError, TrainingDivergedError
from berthub.training.examples import Examples, training_batches
from berthub.training.hyperparameters import Hyperparameters
from berthub.training.state import Progress, StateStore, Stored
from berthub.training.steps import TrainingStep

__all__ = ["Evaluation", "Trained", "Watcher", "train"]

Evaluation = Callable[[Checkpoint], Mapping[str, float]]
"""Scores of a model on the dev data; the entry `dev_main` is the one to maximise."""


class Watcher:
    """Receives the progress of training; the base class does nothing."""

    def step(self, *, epoch: int, step: int, steps: int, loss: float) -> None:
        """A step is done: `step` of `steps` of the epoch."""

    def epoch(self, entry: Mapping[str, float]) -> None:
        """An epoch is done; `entry` is what the history has of it."""


@dataclass(frozen=True)
class Trained:
    """The model of the best epoch (without dev data, of the last), which epoch that is, and the history.

    `diverged` says where the loss or a weight became NaN or infinite; it is None if that never happened. If it did, the
    model is None when no epoch had been completed.
    """

    checkpoint: Checkpoint | None
    best_epoch: int
    history: list[dict[str, float]]
    diverged: str | None = None

    def check_finite(self) -> None:
        """Raise `TrainingDivergedError`, which says what is kept, if training diverged."""
        if self.diverged is not None:
            kept = "no epoch had been completed" if self.checkpoint is None else f"epoch {self.best_epoch} is kept"
            raise TrainingDivergedError(
                f"the loss is not a finite number {self.diverged}; {kept}. "
                "Train with a smaller learning_rate, or more warmup"
            )


def train(
    step: TrainingStep,
    examples: Examples,
    *,
    hyperparameters: Hyperparameters,
    peak_rate: float,
    seed: int,
    fit: int = 0,
    snapshot: Callable[[], Checkpoint],
    evaluation: Evaluation | None,
    store: StateStore | None,
    resumed: Stored | None,
    watcher: Watcher,
    max_width: int,
    margin: int = 0,
) -> Trained:
    """Train for the epochs that `hyperparameters` say, or until early stopping.

    The order of the examples follows from `seed`; `fit` is how many fits the model had before, which the state keeps.
    `max_width` and `margin` are those of `training_batches`. `snapshot` gives the model as it is. The state is kept in
    `store`; from a `resumed` one training goes on, and ends with the same weights as if it had not been interrupted.
    A loss that is NaN or infinite stops training.
    """
    steps = -(-len(examples) // hyperparameters.batch_size)
    progress, best = Progress(fit=fit), None
    if resumed is not None:
        progress, best = resumed.progress, resumed.best
        if progress.step >= steps or progress.epoch > hyperparameters.epochs:
            raise CorruptFileError(
                f"the stored state of training is that of step {progress.step} after {progress.epoch} epochs; this one "
                f"has {hyperparameters.epochs} epochs of {steps} steps: remove the state, and train anew"
            )
        step.restore(resumed.state)

    while progress.epoch < hyperparameters.epochs and not _out_of_patience(progress, hyperparameters):
        begin = time.perf_counter()
        batches = training_batches(
            examples,
            batch_size=hyperparameters.batch_size,
            seed=seed,
            epoch=progress.epoch,
            begin=progress.step,
            few_shapes=step.few_shapes,
            max_width=max_width,
            margin=margin,
        )
        for batch in batches:
            rate = hyperparameters.rate(
                progress.epoch * steps + progress.step, steps * hyperparameters.epochs, peak=peak_rate
            )
            loss = step.run(batch, rate)
            if not math.isfinite(loss):
                where = f"in step {progress.step + 1} of epoch {progress.epoch + 1}, at learning rate {rate:.3g}"
                return Trained(best, progress.best_epoch, progress.history, diverged=where)
            progress = progress.after_step(loss, batch.examples)
            watcher.step(epoch=progress.epoch + 1, step=progress.step, steps=steps, loss=loss)
            if store is not None and progress.step % hyperparameters.checkpoint_steps == 0 and progress.step < steps:
                progress = progress.after_seconds(time.perf_counter() - begin)
                store.write(step.state(), progress, best)
                begin = time.perf_counter()
        progress = progress.after_seconds(time.perf_counter() - begin)
        model = snapshot()
        finite = _finite(model)
        scores = dict(evaluation(model)) if finite and evaluation is not None else {}
        if not finite or not math.isfinite(scores.get("dev_loss", 0.0)):
            where = f"at the end of epoch {progress.epoch + 1}"
            return Trained(best, progress.best_epoch, progress.history, diverged=where)
        progress = progress.after_epoch(scores)
        if progress.best_epoch == progress.epoch:
            best = model
        watcher.epoch(progress.history[-1])
        if store is not None:
            store.write(step.state(), progress, best)
    return Trained(best, progress.best_epoch, progress.history)


def _out_of_patience(progress: Progress, hyperparameters: Hyperparameters) -> bool:
    if hyperparameters.patience is None or progress.best_score is None:
        return False
    return progress.epoch - progress.best_epoch >= hyperparameters.patience


def _finite(model: Checkpoint) -> bool:
    """Whether every weight is finite: the last step may have made some NaN or infinite."""
    head = () if model.head is None else model.head.weights.values()
    return all(bool(np.isfinite(weight).all()) for weight in (*model.weights.values(), *head))
