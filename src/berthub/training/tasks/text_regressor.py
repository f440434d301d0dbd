"""Fine-tune a model to predict a number for each text: `hub.TextRegressor`."""

import math
import os
from typing import Any, Literal

import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.encoding.prediction import Logits
from berthub.errors import InputError
from berthub.head import Task
from berthub.training.examples import Examples
from berthub.training.model import Scaling
from berthub.training.tasks.checks import checked_pairs, shortened
from berthub.training.tasks.fine_tuner import FineTuner

__all__ = ["TextRegressor"]


class TextRegressor(FineTuner):
    """A model that learns a number for each text, or pair of texts given as tuples: similarity, ratings.

    The numbers may have any scale: training is on their distance from the mean in standard deviations, and the
    saved head leads back. `name` is that of the number, by default value. The other arguments are those of every
    task (`FineTuner`).

        regressor = hub.TextRegressor(handle).fit(pairs, similarities, dev=(dev_pairs, dev_similarities))
        regressor.predict([("one text", "another")])
    """

    @property
    def _task(self) -> Task:
        return "regress"

    def __init__(
        self,
        handle: "str | os.PathLike[str] | Checkpoint | None" = None,
        *,
        name: str | None = None,
        **options: Any,
    ) -> None:
        if "labels" in options:
            raise InputError("a regression has no labels; name= is what its number is called")
        if name is not None and (not isinstance(name, str) or not name):
            raise InputError(f"name must be a str, not {shortened(name)}")
        self._name = name
        super().__init__(handle, labels=None if name is None else [name], **options)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor by name, hyperparameters included."""
        others = {name: value for name, value in super().get_params(deep).items() if name != "labels"}
        return {**others, "name": self._name}

    @property
    def _estimator_kind(self) -> Literal["regressor"]:
        return "regressor"

    def _checked(self, texts: Any, labels: Any, which: str) -> tuple[list[Any], list[Any]]:
        texts, labels = checked_pairs(texts, labels, which)
        for row, value in enumerate(labels):
            number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
            if not number or not math.isfinite(value):
                raise InputError(f"the value of {which} text {row} must be a finite number, not {shortened(value)}")
        return texts, [float(value) for value in labels]

    def _labels_of(self, labels: list[Any]) -> tuple[str, ...]:
        # A model that was fine-tuned keeps its name for the value.
        return ("value",) if self._own_head is None else self._own_head.labels

    def _check_labels(self, labels: list[Any], names: tuple[str, ...], which: str) -> None:
        if which != "evaluation" and min(labels) == max(labels):
            why = "there is nothing to learn" if which == "training" else "there is no correlation to tell epochs by"
            raise InputError(f"all {which} values are {labels[0]:g}: {why}")

    def _scaling(self, labels: list[Any]) -> Scaling:
        return Scaling(float(np.mean(labels)), float(np.std(labels)))

    def _examples(self, texts: list[Any], labels: list[Any], names: tuple[str, ...], scaling: Scaling) -> Examples:
        tokens = self._tokenizer.tokens(texts, max_length=self._tokenizer.max_length)
        targets = (np.array(labels, np.float64) - scaling.centre) / scaling.scale
        # A column, as the head's output is.
        return Examples(tokens, targets.astype(np.float32)[:, None], self._pad)

    def _loss(self, logits: Logits, labels: list[Any], scaling: Scaling) -> float:
        errors = logits.values[:, 0].astype(np.float64) - np.array(labels)
        # In the training loss's unit, so that the two can be compared.
        return float(np.mean((errors / scaling.scale) ** 2))
