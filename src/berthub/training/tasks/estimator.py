"""What a task's model does besides learning: predict, be scored and saved, be an estimator of scikit-learn's."""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from berthub.checkpoint import Checkpoint
from berthub.encoding.encoder import Encoder
from berthub.encoding.prediction import Predictions, Probabilities
from berthub.engines.create import create_engine
from berthub.errors import InputError
from berthub.evaluation.scores import main_score, scores
from berthub.formats.native import write_native
from berthub.head import Head, Task
from berthub.sources.redaction import public_spelling
from berthub.tokenization.tokenizer import Tokenizer
from berthub.training.tasks.scoring import as_list

__all__ = ["TaskEstimator"]


class TaskEstimator(ABC):
    """A model for a task, without its training: predictions, scores, files, and the methods that scikit-learn asks for.

    scikit-learn is imported by `__sklearn_tags__` alone, which nothing but scikit-learn calls.
    """

    _checkpoint: Checkpoint
    _tokenizer: Tokenizer
    _encoder: Encoder | None
    # The arguments of the constructor as they were given, and the defaults of the others. If this was unpickled, a
    # handle that may have held a password is left out.
    _given: dict[str, Any]

    def __getstate__(self) -> dict[str, Any]:
        # With the weights, which may be nowhere else; what is compiled of them is compiled anew.
        given = dict(self._given)
        if isinstance(handle := given.get("handle"), str) and public_spelling(handle) != handle:
            del given["handle"]
        return {**vars(self), "_encoder": None, "_given": given}

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
        return scores(self._task, labels=self.labels, truth=labels, predicted=as_list(encoder.predict(texts)))

    def score(self, texts: Sequence[Any], labels: Sequence[Any]) -> float:
        """The main one of the scores, by which models are compared, as scikit-learn asks for it.

        It is the accuracy of a classifier, the micro F1 with `multi_label`, Pearson's correlation of a regressor (and
        not R²), and the F1 of a tagger's entities, or its accuracy where tags mark no entities.
        """
        found = self.evaluate(texts, labels)
        return found[main_score(self._task, found)]

    def checkpoint(self) -> Checkpoint:
        """The model, with its head."""
        return self._fitted_checkpoint()

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Save model, head and labels; `folder` must be new or empty. `berthub.load(folder).predict` runs it."""
        write_native(self._fitted_checkpoint(), Path(folder))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor by name, hyperparameters included, for scikit-learn's `clone`."""
        if "handle" not in self._given:
            raise InputError(
                f"this {type(self).__name__} was pickled, and its handle was an address with a password, a token or "
                "other parameters, which pickles leave out: clones, set_params and n_jobs need a model given by its "
                "folder, such as hub.resolve(address)"
            )
        return dict(self._given)

    def set_params(self, **params: Any) -> Self:
        """Make this anew, with these arguments of the constructor changed; what was learned is forgotten."""
        known = self.get_params()
        if unknown := [name for name in params if name not in known]:
            raise InputError(self._unknown(unknown, known))
        if params:
            # All of it, or with an error nothing.
            made = type(self)(**{**known, **params})
            vars(self).clear()
            vars(self).update(vars(made))
        return self

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of `predict_proba`."""

    @property
    @abstractmethod
    def _task(self) -> Task:
        """The task, as the head has it."""

    @property
    @abstractmethod
    def _own_head(self) -> Head | None:
        """The model's head, if it is one for this task and these labels."""

    @property
    def _estimator_kind(self) -> Literal["classifier", "regressor"] | None:
        """What scikit-learn counts this among; None for a task whose labels are no column of numbers or names."""
        return None

    @abstractmethod
    def _checked(self, texts: Any, labels: Any, which: str) -> tuple[list[Any], list[Any]]:
        """Texts and labels as lists that `scores` takes; `InputError` for what does not fit."""

    @abstractmethod
    def _check_labels(self, labels: list[Any], names: tuple[str, ...], which: str) -> None:
        """`InputError` for labels that are not among `names`, and in training data for names without an example."""

    def __sklearn_is_fitted__(self) -> bool:
        return self._own_head is not None

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        kind = self._estimator_kind
        return Tags(
            estimator_type=kind,
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags() if kind == "classifier" else None,
            regressor_tags=RegressorTags() if kind == "regressor" else None,
            input_tags=InputTags(two_d_array=False, string=True),
        )

    def _unknown(self, names: Sequence[str], known: Sequence[str] | dict[str, Any]) -> str:
        return f"{', '.join(names)}: not known; the arguments of a {type(self).__name__} are {', '.join(known)}"

    def _fitted_checkpoint(self) -> Checkpoint:
        if self._own_head is None:
            raise InputError(f"this {type(self).__name__} has learned nothing yet: call fit(texts, labels) first")
        return self._checkpoint

    def _fitted(self) -> Encoder:
        if self._encoder is None:
            self._encoder = self._encoder_of(self._fitted_checkpoint())
        return self._encoder

    def _encoder_of(self, checkpoint: Checkpoint) -> Encoder:
        return Encoder(checkpoint, self._tokenizer, create_engine(checkpoint))
