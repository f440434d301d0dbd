"""Score predicted labels, by the same measures for every system."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.finetuning.tasks import Task

# What the table shows of each task, the first one first.
SHOWN = {"sst2": ("accuracy", "loss"), "mrpc": ("accuracy", "f1", "loss"), "conll2003": ("f1",)}


def scores(task: Task, predicted: Sequence[Any]) -> dict[str, float]:
    """The scores of predictions for `task.dev`: accuracy, and F1 (of the last label, or of whole entities)."""
    gold = task.dev.labels
    if task.tagging:
        from seqeval.metrics import accuracy_score, f1_score

        return {"accuracy": float(accuracy_score(gold, predicted)), "f1": float(f1_score(gold, predicted))}
    from sklearn.metrics import accuracy_score, f1_score

    f1 = f1_score(gold, predicted, pos_label=task.labels[-1])
    return {"accuracy": float(accuracy_score(gold, predicted)), "f1": float(f1)}


def log_loss(task: Task, probabilities: npt.NDArray[np.floating[Any]]) -> float:
    """The mean cross entropy of `probabilities` [n, labels] for `task.dev`."""
    gold = np.array([task.labels.index(label) for label in task.dev.labels])
    return float(-np.log(np.maximum(probabilities[np.arange(len(gold)), gold], 1e-12)).mean())
