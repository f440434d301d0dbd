"""Fine-tune a model to label texts: `hub.TextClassifier`."""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from berthub.checkpoint import Checkpoint
from berthub.encoding.prediction import Logits
from berthub.errors import InputError
from berthub.head import Task, label_order
from berthub.training.examples import Examples
from berthub.training.model import Scaling
from berthub.training.tasks.checks import check_known, checked_pairs, label_name, shortened
from berthub.training.tasks.fine_tuner import FineTuner

__all__ = ["TextClassifier"]


class TextClassifier(FineTuner):
    """A model that learns to label texts, or pairs of texts given as tuples: sentiment, topics, paraphrase.

    A text has one label of two or more. With `multi_label` it has any number of them, and labels come and go as
    collections: [("sports", "politics"), (), ...]. The other arguments are those of every task (`FineTuner`).

        clf = hub.TextClassifier(handle)
        clf.fit(texts, labels, dev=(dev_texts, dev_labels), run="sentiment")
        clf.predict(["a fine film"])
    """

    def __init__(
        self,
        handle: "str | os.PathLike[str] | Checkpoint | None" = None,
        *,
        labels: Sequence[str] | None = None,
        multi_label: bool = False,
        **options: Any,
    ) -> None:
        if not isinstance(multi_label, bool):
            raise InputError(f"multi_label must be True or False, not {multi_label!r}")
        self.multi_label = multi_label
        super().__init__(handle, labels=labels, **options)

    @property
    def classes_(self) -> npt.NDArray[np.str_]:
        """The labels as scikit-learn asks for them; no such attribute before `fit`."""
        if self._own_head is None:
            raise AttributeError("classes_ is known after fit")
        return np.array(self.labels)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor by name, hyperparameters included."""
        return {**super().get_params(deep), "multi_label": self.multi_label}

    @property
    def _estimator_kind(self) -> Literal["classifier"] | None:
        # Collections of labels are no target that scikit-learn could stratify by.
        return None if self.multi_label else "classifier"

    @property
    def _task(self) -> Task:
        return "multi_label" if self.multi_label else "classify"

    def _checked(self, texts: Any, labels: Any, which: str) -> tuple[list[Any], list[Any]]:
        texts, labels = checked_pairs(texts, labels, which)
        if not self.multi_label:
            return texts, [self._label(label, row, which) for row, label in enumerate(labels)]
        checked = []
        for row, several in enumerate(labels):
            if isinstance(several, str) or not isinstance(several, Collection):
                raise InputError(
                    f"with multi_label the labels of a text are a collection of str; those of {which} text {row} are "
                    f"{shortened(several)}"
                )
            own = tuple(self._label(label, row, which) for label in several)
            if len(set(own)) != len(own):
                raise InputError(
                    f"{which} text {row} has a label twice: {shortened(several)}; labels are named, as in "
                    '[("sports", "politics"), ()], not marked by 0 and 1'
                )
            checked.append(own)
        return texts, checked

    def _labels_of(self, labels: list[Any]) -> tuple[str, ...]:
        return tuple(sorted(set(_flat(labels) if self.multi_label else labels), key=label_order))

    def _check_labels(self, labels: list[Any], names: tuple[str, ...], which: str) -> None:
        counts = Counter(_flat(labels) if self.multi_label else labels)
        check_known(counts, names, which)
        least = 1 if self.multi_label else 2
        if len(names) < least:
            raise InputError(
                f"classification needs at least {least} different labels, and there are {len(names)}: {list(names)}"
            )
        if which == "training" and (empty := [name for name in names if not counts[name]]):
            raise InputError(f"no training text has the label {', '.join(map(repr, empty))}: the class is empty")

    def _examples(self, texts: list[Any], labels: list[Any], names: tuple[str, ...], scaling: Scaling) -> Examples:
        tokens = self._tokenizer.tokens(texts, max_length=self._tokenizer.max_length)
        return Examples(tokens, self._targets(labels, names), self._pad)

    def _targets(self, labels: list[Any], names: tuple[str, ...]) -> Any:
        index = {name: number for number, name in enumerate(names)}
        if not self.multi_label:
            return np.array([index[label] for label in labels], np.int32)
        targets = np.zeros((len(labels), len(names)), np.float32)
        for row, several in enumerate(labels):
            targets[row, [index[label] for label in several]] = 1
        return targets

    def _loss(self, logits: Logits, labels: list[Any], scaling: Scaling) -> float:
        targets, values = self._targets(labels, logits.head.labels), logits.values.astype(np.float64)
        if self.multi_label:
            return float(np.mean(np.logaddexp(0, values) - values * targets))
        return cross_entropy(values, targets)

    def _label(self, label: Any, row: int, which: str) -> str:
        name = label_name(label)
        if name is None:
            raise InputError(f"a label is a str, or a whole number; that of {which} text {row} is {shortened(label)}")
        return name


def cross_entropy(values: Any, targets: Any) -> float:
    """The mean over rows of the cross entropy of logits [n, labels] against int [n]."""
    top = values.max(1, keepdims=True)
    total = np.log(np.exp(values - top).sum(1)) + top[:, 0]
    return float(np.mean(total - values[np.arange(len(values)), targets]))


def _flat(labels: list[Any]) -> list[str]:
    return [label for several in labels for label in several]
