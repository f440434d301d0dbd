"""The base class of all fine-tuning tasks: train a model, predict with it, and save it."""

import dataclasses
import os
import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import keras

from berthub.brief import brief
from berthub.checkpoint import Checkpoint
from berthub.choices import Pooling
from berthub.encoding.encoder import Encoder
from berthub.encoding.prediction import Logits
from berthub.errors import InputError, TruncationWarning
from berthub.evaluation.scores import scores
from berthub.fingerprint import fingerprint_of_model
from berthub.formats import read
from berthub.head import Head
from berthub.sources.redaction import public_spelling
from berthub.sources.resolve import resolve
from berthub.tokenization.tokenizer import Tokenizer
from berthub.training.examples import Examples
from berthub.training.html import training_html
from berthub.training.hyperparameters import Hyperparameters
from berthub.training.model import Scaling, build_model, loss_of
from berthub.training.precision import training_policy
from berthub.training.progress import TrainingProgress
from berthub.training.randomness import Use, seed_for
from berthub.training.run import Run
from berthub.training.run_folder import RunFolder
from berthub.training.steps import create_step
from berthub.training.tasks.checks import check_whole, checked_adaptation, checked_labels, chosen_pooling, dev_data
from berthub.training.tasks.estimator import TaskEstimator
from berthub.training.tasks.scoring import as_list, dev_evaluation
from berthub.training.tasks.training_data import TrainingData
from berthub.training.trainer import Evaluation, Trained, train

__all__ = ["FineTuner"]

_LEARNING_RATE, _LORA_LEARNING_RATE = 5e-5, 5e-4
# How random numbers follow from a seed (`berthub.training.randomness`): a state of another version cannot go on.
_RANDOM_NUMBERS = 2


class FineTuner(TaskEstimator):
    """A model that is fine-tuned for a task; the subclasses say what its inputs and labels are.

    `handle`, `settings`, `sha256`, `cache_dir` and `offline` are those of `berthub.load`; a fine-tuned folder goes on
    with its head, if it has the same task and labels. `labels` gives the labels and their order; None takes those of
    the training data, sorted. `pooling` says what of a text the head sees: pooled (the default, where the model has
    a pooler), cls, mean or max. Texts of more than `max_length` tokens are truncated; by default that is all of the
    model's positions. `dropout` is that before the head. `freeze_layers`, `freeze_embeddings`, `lora_rank` and
    `lora_alpha` are those of `berthub.KerasLayer`. Everything random follows from `seed` and from how many times this
    object has been fitted before: a second `fit` has an order and masks of its own. `hyperparameters` are those of
    `berthub.Hyperparameters`; what `fit` is given stands above them.

    It is an estimator of scikit-learn's (1.6 or later), which clones it and tunes all of these arguments.
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
        vocabulary: str | os.PathLike[str] | None = None,
        sha256: str | Mapping[str, str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        offline: bool | None = None,
        **hyperparameters: Any,
    ) -> None:
        self._given = {
            "handle": handle,
            "labels": labels,
            "pooling": pooling,
            "max_length": max_length,
            "dropout": dropout,
            "freeze_layers": freeze_layers,
            "freeze_embeddings": freeze_embeddings,
            "lora_rank": lora_rank,
            "lora_alpha": lora_alpha,
            "seed": seed,
            "settings": settings,
            "vocabulary": vocabulary,
            "sha256": sha256,
            "cache_dir": cache_dir,
            "offline": offline,
            **Hyperparameters().to_dict(),
        }
        known = self.get_params()
        if unknown := [name for name in hyperparameters if name not in known]:
            raise InputError(self._unknown(unknown, known))
        Hyperparameters.of(hyperparameters)
        self._given.update(hyperparameters)
        self._hyperparameters = hyperparameters
        if isinstance(handle, Checkpoint):
            self._handle, self._checkpoint = "a Checkpoint", handle
        else:
            self._handle = public_spelling(handle)
            folder = resolve(handle, sha256=sha256, cache_dir=cache_dir, offline=offline)
            self._checkpoint = read(folder, settings=settings, vocabulary=vocabulary)
        self._given_labels = None if labels is None else checked_labels(labels)
        self._pooling = self._chosen_pooling(pooling)
        if max_length is None and self._own_head is not None:
            max_length = self._own_head.max_length
        most = self._checkpoint.config.max_positions
        if max_length is None:
            # Not the length of its sentence vectors: a label may depend on what they leave out.
            max_length = most
        check_whole("max_length", max_length, least=3, most=most)
        self._tokenizer = Tokenizer.from_checkpoint(self._checkpoint, max_length=max_length)
        self._adaptation = checked_adaptation(
            self._checkpoint.config,
            dropout=dropout,
            freeze_layers=freeze_layers,
            freeze_embeddings=freeze_embeddings,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            seed=seed,
        )
        self._encoder: Encoder | None = None
        self._fits = 0
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0

    def __repr__(self) -> str:
        state = "fitted" if self._own_head is not None else "not fitted"
        return f"<{type(self).__name__} of {self._handle}, {state}, labels {brief(self.labels)}>"

    def _repr_html_(self) -> str:
        title = repr(self).strip("<>")
        return training_html(title, history=self.history, best_epoch=self.best_epoch, facts=[])

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of `predict_proba`; known from the beginning if given, else after `fit`."""
        if self._given_labels is not None:
            return self._given_labels
        return () if self._own_head is None else self._own_head.labels

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
    ) -> Self:
        """Train on texts and their labels; returns self, with the best epoch's model.

        `dev` is what the epochs are scored on, texts and labels; without it the last epoch is kept. `run` names a
        folder that is made for the model and all about it (metrics, pictures, a model card), and that keeps the
        state of training meanwhile; with `resume` an interrupted training goes on there, and ends with the weights
        that it would have had. `progress` shows on stderr how far training is: a bar on a terminal, lines elsewhere.
        `data` says in the model card what the data are. `hyperparameters` are those of `berthub.Hyperparameters`:
        epochs, batch_size, learning_rate and so on; they stand above those that the constructor was given.

        `history` has an entry for each epoch. `InputError` before training for what does not fit;
        `TrainingDivergedError` where the loss ceases to be a number: the best epoch until then is kept.
        """

        def warn(message: str) -> None:
            # To the caller of `fit`: above it are `fit`, `_fit` and this function.
            warnings.warn(message, TruncationWarning, stacklevel=4)

        return self._fit(
            texts,
            labels,
            dev=dev,
            run=run,
            resume=resume,
            progress=progress,
            data=data,
            hyperparameters=hyperparameters,
            tell=warn,
        )

    def _fit(
        self,
        texts: Sequence[Any],
        labels: Sequence[Any],
        *,
        dev: tuple[Sequence[Any], Sequence[Any]] | None,
        run: str | os.PathLike[str] | None,
        resume: bool,
        progress: bool,
        data: str | None,
        hyperparameters: Mapping[str, Any],
        tell: Callable[[str], None],
    ) -> Self:
        """`fit`, but `tell` is called about truncated texts before training begins; `fit` warns of them."""
        wanted = Hyperparameters.of({**self._hyperparameters, **hyperparameters})
        folder = None if run is None else RunFolder(Path(run), resume=resume)
        if folder is None and resume:
            raise InputError("resume=True needs the run folder in which training was interrupted: run=...")
        ready = self._prepared(texts, labels, dev)
        if truncated := int(ready.examples.tokens.truncated.sum()):
            longest, total = self._tokenizer.max_length, len(ready.examples)
            tell(f"{truncated:,} of {total:,} training texts had more than {longest} tokens and were truncated")

        start, policy = self._checkpoint, training_policy(wanted.precision)
        peak = wanted.learning_rate
        if peak is None:
            peak = _LEARNING_RATE if self._adaptation.lora_rank is None else _LORA_LEARNING_RATE
        governing = {
            **{name: value for name, value in wanted.to_dict().items() if name != "checkpoint_steps"},
            **dataclasses.asdict(self._adaptation),
            "learning_rate": peak,
            "policy": policy,
            "max_length": self._tokenizer.max_length,
            "pooling": self._pooling,
            "backend": keras.config.backend(),
        }
        store = resumed = None
        fit = self._fits
        if folder is not None:
            store = folder.state(
                {
                    **governing,
                    "task": self._task,
                    "labels": ready.names,
                    "training data": ready.examples.fingerprint(),
                    "dev data": None if ready.dev_examples is None else ready.dev_examples.fingerprint(),
                    "model": fingerprint_of_model(start),
                    "random numbers": _RANDOM_NUMBERS,
                }
            )
            resumed = store.read()
            fit = fit if resumed is None else resumed.progress.fit
        # Each fit has its own order, masks and head: the second one is not to repeat those of the first.
        adaptation = dataclasses.replace(self._adaptation, seed=seed_for(self._adaptation.seed, Use.FIT, fit, bits=62))
        model = build_model(
            start,
            task=self._task,
            labels=ready.names,
            pooling=self._pooling,
            max_length=self._tokenizer.max_length,
            adaptation=adaptation,
            policy=policy,
            scaling=ready.scaling,
        )
        step = create_step(model.keras, loss_of(self._task), wanted, torch_forward=model.torch_forward)
        if store is not None:
            store.begin()
        with TrainingProgress(epochs=wanted.epochs, shown=progress) as watcher:
            goes_on = "" if resumed is None else f", going on after {resumed.progress.epoch} epochs"
            watcher.begin(
                f"training on {len(ready.examples):,} examples with Keras on {keras.config.backend()}, "
                f"in {policy.removeprefix('mixed_')}{goes_on}"
            )
            trained = train(
                step,
                ready.examples,
                hyperparameters=wanted,
                peak_rate=peak,
                seed=adaptation.seed,
                fit=fit,
                snapshot=model.checkpoint,
                evaluation=None if ready.dev is None else self._evaluation(*ready.dev, ready.scaling),
                store=store,
                resumed=resumed,
                watcher=watcher,
                max_width=min(self._tokenizer.max_length + start.config.sees_padding, start.config.max_positions),
                margin=int(start.config.sees_padding),
            )
        self.history, self.best_epoch = trained.history, trained.best_epoch
        if trained.checkpoint is not None:
            self._checkpoint = dataclasses.replace(trained.checkpoint, origin=start.origin)
            self._encoder, self._fits = None, fit + 1
            if folder is not None:
                folder.finish(self._run(trained, ready, hyperparameters=governing, data=data, tell=tell))
        elif folder is not None:
            folder.discard()
        trained.check_finite()
        return self

    # What the tasks differ in.

    @abstractmethod
    def _labels_of(self, labels: list[Any]) -> tuple[str, ...]:
        """The labels that occur, in the order of the head's outputs."""

    @abstractmethod
    def _examples(self, texts: list[Any], labels: list[Any], names: tuple[str, ...], scaling: Scaling) -> Examples:
        """The training data of texts and labels: tokens and targets."""

    @abstractmethod
    def _loss(self, logits: Logits, labels: list[Any], scaling: Scaling) -> float:
        """The mean loss of logits against the true labels, in the same unit as the training loss."""

    def _scaling(self, labels: list[Any]) -> Scaling:
        """The scaling of the targets; most tasks have none."""
        return Scaling()

    def _chosen_pooling(self, pooling: Pooling | None) -> Pooling | None:
        """The pooling given, or the default."""
        return chosen_pooling(pooling, self._own_head, self._checkpoint.config)

    @property
    def _own_head(self) -> Head | None:
        """The model's head, if it is one for this task and these labels."""
        head = self._checkpoint.head
        if head is None or head.task != self._task:
            return None
        return head if self._given_labels in (None, head.labels) else None

    def _names(self, labels: list[Any]) -> tuple[str, ...]:
        if self._given_labels is not None:
            return self._given_labels
        found, head = self._labels_of(labels), self._own_head
        # A head goes on with the order that it has.
        return head.labels if head is not None and set(head.labels) == set(found) else found

    @property
    def _pad(self) -> int:
        vocabulary = self._checkpoint.vocabulary
        return vocabulary.ids[vocabulary.pad]

    def _prepared(self, texts: Any, labels: Any, dev: Any) -> TrainingData:
        texts, labels = self._checked(texts, labels, "training")
        names = self._names(labels)
        self._check_labels(labels, names, "training")
        scaling = self._scaling(labels)
        examples = self._examples(texts, labels, names, scaling)
        if dev is None:
            return TrainingData(len(texts), names, scaling, examples, None, None)
        dev_texts, truth = self._checked(*dev_data(dev), "dev")
        self._check_labels(truth, names, "dev")
        # Texts that cannot be used, and what scores need and is not installed, shall be known now, not after an epoch.
        dev_examples = self._examples(dev_texts, truth, names, scaling)
        scores(self._task, labels=names, truth=truth, predicted=truth)
        return TrainingData(len(texts), names, scaling, examples, (dev_texts, truth), dev_examples)

    def _evaluation(self, texts: list[Any], truth: list[Any], scaling: Scaling) -> Evaluation:
        return dev_evaluation(
            texts, truth, encoder_of=self._encoder_of, loss=lambda logits: self._loss(logits, truth, scaling)
        )

    def _run(
        self,
        trained: Trained,
        ready: TrainingData,
        *,
        hyperparameters: Mapping[str, Any],
        data: str | None,
        tell: Callable[[str], None],
    ) -> Run:
        truth = predicted = found = None
        if ready.dev is not None:
            texts, truth = ready.dev
            logits = self._fitted().stages.logits(texts)
            if told := logits.truncation_in_words(self._tokenizer.max_length):
                tell(told)
            predicted = as_list(logits.predictions())
            found = scores(self._task, labels=self.labels, truth=truth, predicted=predicted)
        return Run(
            checkpoint=self._checkpoint,
            model=self._handle,
            data=data,
            examples=ready.count,
            dev_examples=0 if truth is None else len(truth),
            hyperparameters=hyperparameters,
            history=trained.history,
            best_epoch=trained.best_epoch,
            scores=found,
            truth=truth,
            predicted=predicted,
        )
