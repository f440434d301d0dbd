"""Texts to numbers: `hub.TextRegressor`."""

import math
import os
from typing import Any

import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.encoding.prediction import Logits
from berthub.errors import InputError
from berthub.head import Task
from berthub.training.examples import Examples
from berthub.training.tasks.checks import checked_pairs, shortened
from berthub.training.tasks.fine_tuner import FineTuner

__all__ = ["TextRegressor"]


class TextRegressor(FineTuner):
    """A model that learns a number for each text, or pair of texts given as tuples: similarity, ratings.

    The numbers may have any scale: training is on their distance from the mean in standard deviations, and the
    saved head leads back. `name` is that of the number. The other arguments are those of every task (`FineTuner`).

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
        name: str = "value",
        **options: Any,
    ) -> None:
        if "labels" in options:
            raise InputError("a regression has no labels; name= is what its number is called")
        super().__init__(handle, labels=[name], **options)

    def _checked(self, texts: Any, labels: Any, which: str) -> tuple[list[Any], list[Any]]:
        texts, labels = checked_pairs(texts, labels, which)
        for row, value in enumerate(labels):
            number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
            if not number or not math.isfinite(value):
                raise InputError(f"the value of {which} text {row} must be a finite number, not {shortened(value)}")
        return texts, [float(value) for value in labels]

    def _labels_of(self, labels: list[Any]) -> tuple[str, ...]:
        raise AssertionError("the name of the value is given always")

    def _check_labels(self, labels: list[Any], names: tuple[str, ...], which: str) -> None:
        if which == "training" and min(labels) == max(labels):
            raise InputError(f"all training values are {labels[0]:g}: there is nothing to learn")

    def _examples(self, texts: list[Any], labels: list[Any], names: tuple[str, ...]) -> tuple[Examples, float, float]:
        tokens = self._tokenizer.tokens(texts, max_length=self._tokenizer.max_length)
        values = np.array(labels, np.float64)
        centre, scale = float(values.mean()), float(values.std())
        # A column, as the head's output is.
        targets = ((values - centre) / scale).astype(np.float32)[:, None]
        return Examples(tokens, targets, self._pad), centre, scale

    def _loss(self, logits: Logits, labels: list[Any]) -> float:
        errors = logits.values[:, 0].astype(np.float64) - np.array(labels)
        # In the training loss's unit, so that the two can be compared.
        spread = np.std(labels) or 1.0
        return float(np.mean((errors / spread) ** 2))
