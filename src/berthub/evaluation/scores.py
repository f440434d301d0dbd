"""Score predictions: the scores that the field reports for each task."""

import importlib
import itertools
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.errors import InputError, MissingDependencyError
from berthub.head import TASKS, Task

__all__ = ["MAIN_SCORE", "confusion", "main_score", "scores"]

MAIN_SCORE: Mapping[Task, str] = MappingProxyType(
    {"classify": "accuracy", "multi_label": "f1_micro", "regress": "pearson", "tag": "f1"}
)
"""The score by which models are compared, by task; `main_score` also knows tags without entities."""

_SHOWN_LABELS = 10
# BILOU's names for what seqeval knows from IOBES.
_IOBES = {"L": "E", "U": "S"}


def scores(task: Task, *, labels: Sequence[str], truth: Sequence[Any], predicted: Sequence[Any]) -> dict[str, float]:
    """The scores of `predicted` against `truth`, by name; `labels` are all that the model knows.

    classify (a label each): accuracy, f1_macro, matthews; and with exactly two labels `f1`, that of the second one,
    as GLUE reports it for MRPC.

    multi_label (a collection of labels each): f1_micro, f1_macro, and exact_match, the share of rows in which all
    labels are right.

    regress (a finite number each): pearson, spearman, mean_absolute_error, root_mean_squared_error. The correlations
    are undefined, nan, for fewer than two rows and where all numbers of a side are the same.

    tag (a list of tags each): precision, recall and f1 of whole entities, counted as conlleval does
    (https://aclanthology.org/W03-0419), and accuracy over tokens. Where no label begins with B- or I-, tags mark no
    entities (parts of speech): then accuracy and f1_macro over tokens.

    A macro average is over the labels that occur in `truth` or `predicted`; what would divide by zero is 0.
    `InputError` for no rows, different numbers of rows or tags, and labels that are not among `labels`;
    `MissingDependencyError` where scikit-learn or seqeval is not installed.
    """
    if task not in TASKS:
        raise InputError(f"there are no scores for the task {task!r}; use one of {', '.join(TASKS)}")
    _check_lengths(truth, predicted)
    # Where a score is undefined the libraries warn; here it is a documented value.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        match task:
            case "classify":
                return _classify(labels, truth, predicted)
            case "multi_label":
                return _multi_label(labels, truth, predicted)
            case "regress":
                return _regress(truth, predicted)
            case "tag":
                return _tag(labels, truth, predicted)


def main_score(task: Task, scores: Mapping[str, float]) -> str:
    """The name of the score by which models are compared: `MAIN_SCORE`'s, or accuracy for tags without entities."""
    name = MAIN_SCORE[task]
    return name if name in scores else "accuracy"


def confusion(labels: Sequence[str], truth: Sequence[Any], predicted: Sequence[Any]) -> npt.NDArray[np.int64]:
    """The confusion matrix: int64 counts [n, n], a row for the true one, a column for the predicted.

    Takes a label each, or for `tag` a list of tags each, whose tokens are counted. `InputError` as in `scores`.
    """
    _check_lengths(truth, predicted)
    if not isinstance(truth[0], str):
        truth, predicted = _tokens(truth, predicted)
    rows, columns = _indices(labels, truth, "truth"), _indices(labels, predicted, "predicted")
    matrix = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(matrix, (rows, columns), 1)
    return matrix


def _classify(labels: Sequence[str], truth: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    metrics = _library("sklearn.metrics")
    true, said = _indices(labels, truth, "truth"), _indices(labels, predicted, "predicted")
    result = {
        "accuracy": float(np.mean(true == said)),
        "f1_macro": float(metrics.f1_score(true, said, average="macro", zero_division=0)),
        "matthews": float(metrics.matthews_corrcoef(true, said)),
    }
    if len(labels) == 2:
        result["f1"] = float(metrics.f1_score(true, said, labels=[1], average="macro", zero_division=0))
    return result


def _multi_label(
    labels: Sequence[str], truth: Sequence[Collection[str]], predicted: Sequence[Collection[str]]
) -> dict[str, float]:
    metrics = _library("sklearn.metrics")
    true, said = _indicators(labels, truth, "truth"), _indicators(labels, predicted, "predicted")
    occurring = np.flatnonzero((true | said).any(0))

    def f1(average: str) -> float:
        if not len(occurring):
            return 0.0
        return float(metrics.f1_score(true, said, labels=occurring, average=average, zero_division=0))

    return {
        "f1_micro": f1("micro"),
        "f1_macro": f1("macro"),
        "exact_match": float(np.mean((true == said).all(1))),
    }


def _regress(truth: Sequence[float], predicted: Sequence[float]) -> dict[str, float]:
    stats = _library("scipy.stats")
    true, said = _numbers(truth, "truth"), _numbers(predicted, "predicted")
    constant = len(true) < 2 or np.ptp(true) == 0 or np.ptp(said) == 0
    return {
        "pearson": float("nan") if constant else float(stats.pearsonr(true, said).statistic),
        "spearman": float("nan") if constant else float(stats.spearmanr(true, said).statistic),
        "mean_absolute_error": float(np.mean(np.abs(true - said))),
        "root_mean_squared_error": float(np.sqrt(np.mean(np.square(true - said)))),
    }


def _tag(labels: Sequence[str], truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, float]:
    flat_truth, flat_predicted = _tokens(truth, predicted)
    true, said = _indices(labels, flat_truth, "truth"), _indices(labels, flat_predicted, "predicted")
    accuracy = float(np.mean(true == said))
    if not any(label.startswith(("B-", "I-")) for label in labels):
        macro = _library("sklearn.metrics").f1_score(true, said, average="macro", zero_division=0)
        return {"accuracy": accuracy, "f1_macro": float(macro)}
    labeling = _library("seqeval.metrics.sequence_labeling")
    precision, recall, f1, _ = labeling.precision_recall_fscore_support(
        [[_iobes(tag) for tag in tags] for tags in truth],
        [[_iobes(tag) for tag in tags] for tags in predicted],
        average="micro",
        zero_division=0,
    )
    return {"precision": float(precision), "recall": float(recall), "f1": float(f1), "accuracy": accuracy}


def _iobes(tag: str) -> str:
    prefix, dash, entity = tag.partition("-")
    return f"{_IOBES.get(prefix, prefix)}-{entity}" if dash else tag


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"scores need {name.partition('.')[0]}, which is not installed: pip install 'berthub[finetune]'"
        ) from error


def _check_lengths(truth: Sequence[Any], predicted: Sequence[Any]) -> None:
    if len(truth) != len(predicted):
        raise InputError(f"there are {len(truth):,} true rows and {len(predicted):,} predicted: give one for each")
    if not len(truth):
        raise InputError("there are no rows, and so no scores: give at least one")


def _tokens(truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> tuple[list[str], list[str]]:
    for index, (true, said) in enumerate(zip(truth, predicted, strict=True)):
        if len(true) != len(said):
            raise InputError(
                f"sentence {index} has {len(true):,} true tags and {len(said):,} predicted: every word has one of each"
            )
    flat = list(itertools.chain.from_iterable(truth))
    if not flat:
        raise InputError("the sentences have no words, and so no scores: give at least one word")
    return flat, list(itertools.chain.from_iterable(predicted))


def _indices(labels: Sequence[str], values: Sequence[str], side: str) -> npt.NDArray[np.int64]:
    by_label = {label: index for index, label in enumerate(labels)}
    _check_known(by_label, values, side)
    return np.fromiter((by_label[value] for value in values), np.int64, len(values))


def _indicators(labels: Sequence[str], values: Sequence[Collection[str]], side: str) -> npt.NDArray[np.bool_]:
    by_label = {label: index for index, label in enumerate(labels)}
    for index, row in enumerate(values):
        if isinstance(row, str):
            raise InputError(f'row {index} of {side} is the string "{row}"; it should be a collection of labels')
        _check_known(by_label, row, side)
    indicators = np.zeros((len(values), len(labels)), np.bool_)
    for index, row in enumerate(values):
        indicators[index, [by_label[label] for label in row]] = True
    return indicators


def _check_known(known: Collection[str], values: Iterable[str], side: str) -> None:
    unknown = [repr(value) for value in dict.fromkeys(values) if value not in known]
    if unknown:
        more = f" and {len(unknown) - _SHOWN_LABELS:,} more" if len(unknown) > _SHOWN_LABELS else ""
        raise InputError(
            f"{side} has labels that are not among those of the model: {', '.join(unknown[:_SHOWN_LABELS])}{more}. "
            f"It knows {', '.join(repr(label) for label in itertools.islice(known, _SHOWN_LABELS))}"
            + (", ..." if len(known) > _SHOWN_LABELS else "")
        )


def _numbers(values: Sequence[float], side: str) -> npt.NDArray[np.float64]:
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1:
        raise InputError(f"{side} should be a number for each row, and it has shape {numbers.shape}")
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        raise InputError(f"row {wrong[0]} of {side} is {numbers[wrong[0]]}, not a finite number")
    return numbers
