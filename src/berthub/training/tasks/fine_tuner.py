"""What the tasks have in common: a model, its fine-tuning, and what comes of it."""

import dataclasses
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.config import POOLINGS, Pooling
from berthub.encoding.encoder import Encoder
from berthub.encoding.prediction import Logits, Predictions, Probabilities
from berthub.engines.create import create_engine
from berthub.errors import InputError, TrainingDivergedError, TruncationWarning
from berthub.evaluation.scores import main_score, scores
from berthub.formats import read
from berthub.formats.native import write_native
from berthub.head import Task
from berthub.hub.resolve import resolve
from berthub.tokenization.tokenizer import Tokenizer
from berthub.training.examples import Examples
from berthub.training.hyperparameters import Hyperparameters
from berthub.training.model import Adaptation, build_model, loss_of
from berthub.training.precision import training_policy
from berthub.training.progress import TrainingProgress
from berthub.training.run_folder import Run, RunFolder
from berthub.training.steps import create_step
from berthub.training.trainer import Trained, train

__all__ = ["FineTuner"]

_LEARNING_RATE, _LORA_LEARNING_RATE = 5e-5, 5e-4


class FineTuner(ABC):
    """A model that learns a task; see the subclasses for what goes in and out.

    `handle`, `settings`, `sha256`, `cache_dir` and `offline` are those of `berthub.load`; a fine-tuned folder goes on
    with its head, if it has the same task and labels. `labels` gives the labels and their order; None takes those of
    the training data, sorted. `pooling` says what of a text the head sees: pooled (the default, where the model has
    a pooler), cls, mean or max. `max_length` cuts longer texts, in tokens, by default at all of the model's positions.
    `dropout` is that before the head. `freeze_layers`, `freeze_embeddings`, `lora_rank` and `lora_alpha` are those of
    `berthub.KerasLayer`. Everything random follows from `seed`.
    """

    def __init__(
        self,
        handle: "str | os.PathLike[str] | Checkpoint | None" = None,
        *,
        labels: Sequence[str] | None = None,
        pooling: Pooling | None = None,
        max_length: int | None = None,
        dropout: float = 0.1,
        freeze_layers: int = 0,
        freeze_embeddings: bool = False,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        sha256: str | Mapping[str, str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        offline: bool | None = None,
    ) -> None:
        if isinstance(handle, Checkpoint):
            self._checkpoint = handle
        else:
            folder = resolve(handle, sha256=sha256, cache_dir=cache_dir, offline=offline)
            self._checkpoint = read(folder, settings=settings)
        self._handle = (
            "a Checkpoint" if isinstance(handle, Checkpoint) else "the default model" if handle is None else str(handle)
        )
        self._given_labels = None if labels is None else _checked_labels(labels)
        self._pooling = self._checked_pooling(pooling)
        self._tokenizer = Tokenizer.from_checkpoint(self._checkpoint, max_length=max_length)
        if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
            raise InputError(f"dropout must be from 0 to less than 1, not {dropout!r}")
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise InputError(f"seed must be a whole number from 0, not {seed!r}")
        self._adaptation = Adaptation(
            dropout=dropout,
            freeze_layers=freeze_layers,
            freeze_embeddings=freeze_embeddings,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            seed=seed,
        )
        self._encoder: Encoder | None = None
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of `predict_proba`; known from the beginning if given, else after `fit`."""
        if self._checkpoint.head is not None and self._checkpoint.head.task == self._task:
            return self._checkpoint.head.labels
        return self._given_labels or ()

    def fit(
        self,
        texts: Sequence[Any],
        labels: Sequence[Any],
        *,
        dev: tuple[Sequence[Any], Sequence[Any]] | None = None,
        run: str | os.PathLike[str] | None = None,
        resume: bool = False,
        progress: bool = True,
        data: str | None = None,
        **hyperparameters: Any,
    ) -> "FineTuner":
        """Train on texts and their labels; returns self, with the best epoch's model.

        `dev` is what the epochs are scored on, texts and labels; without it the last epoch is kept. `run` names a
        folder that is made for the model and all about it (metrics, pictures, a model card), and that keeps the
        state of training meanwhile; with `resume` an interrupted training goes on there, and ends with the weights
        that it would have had. `progress` shows a bar on a terminal. `data` says in the model card what the data
        are. `hyperparameters` are those of `berthub.Hyperparameters`: epochs, batch_size, learning_rate and so on.

        `history` has an entry for each epoch. `InputError` before training for what does not fit;
        `TrainingDivergedError` where the loss ceases to be a number: the best epoch until then is kept.
        """
        wanted = _hyperparameters(hyperparameters)
        folder = None if run is None else RunFolder(Path(run), resume=resume)
        if folder is None and resume:
            raise InputError("resume=True needs the run folder in which training was interrupted: run=...")
        texts, labels = self._checked(texts, labels, "training")
        names = self._given_labels if self._given_labels is not None else self._labels_of(labels)
        self._check_labels(labels, names, "training")
        if dev is not None:
            if not isinstance(dev, tuple) or len(dev) != 2:
                raise InputError("dev must be a tuple of texts and labels: dev=(texts, labels)")
            dev = self._checked(*dev, "dev")
            self._check_labels(dev[1], names, "dev")
        examples, centre, scale = self._examples(texts, labels, names)
        self._report_truncation(examples)

        start = dataclasses.replace(self._checkpoint)
        policy = training_policy(wanted.precision)
        model = build_model(
            start,
            task=self._task,
            labels=names,
            pooling=self._pooling,
            max_length=self._tokenizer.max_length,
            adaptation=self._adaptation,
            policy=policy,
            centre=centre,
            scale=scale,
        )
        peak = wanted.learning_rate
        if peak is None:
            peak = _LEARNING_RATE if self._adaptation.lora_rank is None else _LORA_LEARNING_RATE
        conditions = {
            **{name: value for name, value in wanted.to_dict().items() if name != "checkpoint_steps"},
            **dataclasses.asdict(self._adaptation),
            "learning_rate": peak,
            "policy": policy,
            "task": self._task,
            "labels": names,
            "max_length": self._tokenizer.max_length,
            "pooling": self._pooling,
            "backend": _backend(),
            "training data": examples.fingerprint(),
        }
        with TrainingProgress(epochs=wanted.epochs, shown=progress) as watcher:
            trained = train(
                create_step(model.keras, loss_of(self._task), wanted),
                examples,
                hyperparameters=wanted,
                peak_rate=peak,
                seed=self._adaptation.seed,
                snapshot=model.checkpoint,
                evaluation=None if dev is None else self._evaluation(dev),
                store=None if folder is None else folder.state(conditions),
                watcher=watcher,
                max_width=self._tokenizer.max_length,
            )
        self.history, self.best_epoch = trained.history, trained.best_epoch
        if trained.checkpoint is not None:
            self._checkpoint = dataclasses.replace(trained.checkpoint, origin=start.origin)
            self._encoder = None
            if folder is not None:
                about = {**conditions, "examples": len(texts), "dev_examples": 0 if dev is None else len(dev[0])}
                self._finish(folder, trained, dev, about=about, data=data)
        if trained.diverged is not None:
            kept = (
                "no epoch had been completed" if trained.checkpoint is None else f"epoch {trained.best_epoch} is kept"
            )
            raise TrainingDivergedError(
                f"the loss is no number any more {trained.diverged}; {kept}. "
                "Train with a smaller learning_rate, or more warmup"
            )
        return self

    def predict(self, texts: Any) -> Predictions:
        """The predictions for texts, as `berthub.load(folder).predict` gives them after `save`."""
        return self._fitted().predict(texts)

    def predict_proba(self, texts: Any) -> Probabilities:
        """The probabilities of the labels, as `berthub.load(folder).predict_proba` gives them after `save`."""
        return self._fitted().predict_proba(texts)

    def evaluate(self, texts: Sequence[Any], labels: Sequence[Any]) -> dict[str, float]:
        """The scores on texts and their labels, by name: see `berthub.evaluation.scores`."""
        encoder = self._fitted()
        texts, labels = self._checked(texts, labels, "evaluation")
        self._check_labels(labels, self.labels, "evaluation")
        return scores(self._task, labels=self.labels, truth=labels, predicted=_as_list(encoder.predict(texts)))

    def checkpoint(self) -> Checkpoint:
        """The model, with its head."""
        return self._fitted_checkpoint()

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Save model, head and labels; `folder` must be new or empty. `berthub.load(folder).predict` runs it."""
        write_native(self._fitted_checkpoint(), Path(folder))

    # What the tasks differ in.

    @property
    @abstractmethod
    def _task(self) -> Task:
        """The task, as the head has it."""

    @abstractmethod
    def _checked(self, texts: Any, labels: Any, which: str) -> tuple[list[Any], list[Any]]:
        """Texts and labels as lists in the form that `scores` takes; `InputError` for what does not fit."""

    @abstractmethod
    def _labels_of(self, labels: list[Any]) -> tuple[str, ...]:
        """The labels that occur, in the order that they shall have."""

    @abstractmethod
    def _check_labels(self, labels: list[Any], names: tuple[str, ...], which: str) -> None:
        """`InputError` for labels that are not among `names`, and in training data for names without an example."""

    @abstractmethod
    def _examples(self, texts: list[Any], labels: list[Any], names: tuple[str, ...]) -> tuple[Examples, float, float]:
        """What to train on, and the centre and scale of the targets."""

    @abstractmethod
    def _loss(self, logits: Logits, labels: list[Any]) -> float:
        """The mean loss of logits against the true labels."""

    def _default_pooling(self) -> Pooling | None:
        return "pooled" if self._checkpoint.config.pooler else "cls"

    def _checked_pooling(self, pooling: Pooling | None) -> Pooling | None:
        if pooling is None:
            return self._default_pooling()
        if pooling not in POOLINGS:
            raise InputError(f"pooling={pooling!r} is not known; use one of {', '.join(POOLINGS)}")
        if pooling == "pooled" and not self._checkpoint.config.pooler:
            raise InputError("this model has no pooler: use pooling='cls', 'mean' or 'max'")
        return pooling

    @property
    def _pad(self) -> int:
        vocabulary = self._checkpoint.vocabulary
        return vocabulary.ids[vocabulary.pad]

    def _fitted_checkpoint(self) -> Checkpoint:
        head = self._checkpoint.head
        if head is None or head.task != self._task:
            raise InputError(f"this {type(self).__name__} has learned nothing yet: call fit(texts, labels) first")
        return self._checkpoint

    def _fitted(self) -> Encoder:
        if self._encoder is None:
            self._encoder = self._encoder_of(self._fitted_checkpoint())
        return self._encoder

    def _encoder_of(self, checkpoint: Checkpoint) -> Encoder:
        return Encoder(checkpoint, self._tokenizer, create_engine(checkpoint))

    def _evaluation(self, dev: tuple[list[Any], list[Any]]) -> Any:
        texts, truth = dev

        def evaluate(checkpoint: Checkpoint) -> dict[str, float]:
            assert checkpoint.head is not None
            with warnings.catch_warnings():
                # Once for all epochs is enough, and that is when training ends.
                warnings.simplefilter("ignore", TruncationWarning)
                logits = self._encoder_of(checkpoint).logits(texts)
            if not np.isfinite(logits.values).all():
                return {"dev_loss": float("nan")}
            predicted = _as_list(logits.predictions())
            found = scores(self._task, labels=checkpoint.head.labels, truth=truth, predicted=predicted)
            main = found[main_score(self._task, found)]
            return {
                "dev_loss": self._loss(logits, truth),
                **{f"dev_{name}": value for name, value in found.items()},
                # A correlation may be undefined, which is worse than any.
                "dev_main": main if np.isfinite(main) else float("-inf"),
            }

        return evaluate

    def _report_truncation(self, examples: Examples) -> None:
        cut = int(examples.tokens.truncated.sum())
        if cut:
            warnings.warn(
                f"{cut:,} of {len(examples):,} training texts had more than {self._tokenizer.max_length} tokens "
                "and were cut",
                TruncationWarning,
                stacklevel=3,
            )

    def _finish(
        self,
        folder: RunFolder,
        trained: Trained,
        dev: tuple[list[Any], list[Any]] | None,
        *,
        about: Any,
        data: str | None,
    ) -> None:
        predicted = None if dev is None else _as_list(self._fitted().predict(dev[0]))
        folder.finish(
            Run(
                checkpoint=self._checkpoint,
                model=self._handle,
                data=data,
                conditions=about,
                history=trained.history,
                best_epoch=trained.best_epoch,
                scores=None
                if dev is None
                else scores(self._task, labels=self.labels, truth=dev[1], predicted=predicted or []),
                truth=None if dev is None else dev[1],
                predicted=predicted,
            )
        )


def _hyperparameters(given: Mapping[str, Any]) -> Hyperparameters:
    known = {field.name for field in dataclasses.fields(Hyperparameters)}
    unknown = sorted(given.keys() - known)
    if unknown:
        raise InputError(f"{', '.join(unknown)}: not known; the hyperparameters are {', '.join(sorted(known))}")
    return Hyperparameters(**given)


def _checked_labels(labels: Sequence[str]) -> tuple[str, ...]:
    if isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
        raise InputError(f"labels must be a list of str, not {labels!r}")
    if len(set(labels)) != len(labels):
        raise InputError(f"labels must be different from each other: {list(labels)!r}")
    return tuple(labels)


def _as_list(predictions: Predictions) -> list[Any]:
    return predictions.tolist() if isinstance(predictions, np.ndarray) else list(predictions)


def _backend() -> str:
    import keras

    name: str = keras.config.backend()
    return name
