"""Read and write the task heads of Hugging Face folders: the dense layers that are a `Head`."""

import re
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from berthub.errors import CheckpointError, UnsupportedModelError
from berthub.formats.huggingface.architecture import Architecture
from berthub.head import Head, Task

__all__ = ["described_head", "head_class", "head_scope", "head_task", "read_head", "scope_to_write"]

Arrays = Mapping[str, npt.NDArray[Any]]

_TAGGER, _CLASSIFIER = "ForTokenClassification", "ForSequenceClassification"
# `problem_type` of transformers.
_PROBLEMS: dict[str, Task] = {
    "single_label_classification": "classify",
    "multi_label_classification": "multi_label",
    "regression": "regress",
}
_TAGS = "classifier"


def head_task(architecture: Architecture, stored: Mapping[str, Any], arrays: Arrays) -> Task | None:
    """The task of the head that `architectures` in `config.json` names.

    None where there is none, or where it is more than one dense layer on what berthub's heads see.
    """
    classes = stored.get("architectures")
    name = classes[0] if isinstance(classes, list) and classes and isinstance(classes[0], str) else ""
    scope = _TAGS if name.endswith(_TAGGER) else architecture.classifier if name.endswith(_CLASSIFIER) else None
    kernel, bias = arrays.get(f"{scope}.weight"), arrays.get(f"{scope}.bias")
    if kernel is None or bias is None or kernel.ndim != 2 or bias.shape != kernel.shape[:1]:
        return None
    count = len(bias)
    if name.endswith(_TAGGER):
        return "tag" if count > 1 else None
    if architecture.classifier_pooler and f"{architecture.classifier_pooler}.weight" not in arrays:
        return None
    problem = stored.get("problem_type")
    task = _PROBLEMS.get(problem) if isinstance(problem, str) else "regress" if count == 1 else "classify"
    fits = {"classify": count > 1, "multi_label": True, "regress": count == 1}
    return task if task is not None and fits[task] else None


def read_head(
    architecture: Architecture, task: Task, *, stored: Mapping[str, Any], arrays: Arrays, max_length: int
) -> Head:
    """The head of that task."""
    scope = head_scope(architecture, task)
    bias = arrays[f"{scope}.bias"]
    return Head(
        task=task,
        labels=_labels(stored.get("id2label"), len(bias)),
        pooling=None if task == "tag" else "pooled",
        max_length=max_length,
        kernel=arrays[f"{scope}.weight"].T,
        bias=bias,
    )


def head_class(head: Head) -> str:
    """The suffix of the names of transformers' classes with such a head."""
    return _TAGGER if head.task == "tag" else _CLASSIFIER


def head_scope(architecture: Architecture, task: Task) -> str | None:
    """The scope of the head's layer in transformers; None where it has no such head."""
    return _TAGS if task == "tag" else architecture.classifier


def scope_to_write(architecture: Architecture, head: Head) -> str:
    """`head_scope`; `UnsupportedModelError` where transformers gives such a head other inputs."""
    scope = head_scope(architecture, head.task)
    if scope is None or head.pooling not in (None, "pooled"):
        raise UnsupportedModelError(
            f"the head of this model sees the {head.pooling} vector of a text, and transformers' "
            f"{architecture.title}{_CLASSIFIER} computes something else below its head. "
            "Write the encoder alone (encoder_only=True), or export to onnx or native"
        )
    return scope


def described_head(head: Head) -> dict[str, Any]:
    """The head in the terms of `config.json`."""
    described: dict[str, Any] = {
        "id2label": {str(index): label for index, label in enumerate(head.labels)},
        "label2id": {label: index for index, label in enumerate(head.labels)},
    }
    if head.task != "tag":
        described["problem_type"] = next(name for name, task in _PROBLEMS.items() if task == head.task)
    return described


def _labels(stored: Any, count: int) -> tuple[str, ...]:
    """The names by their numbers; those of transformers where it has stored none."""
    if stored is None:
        return tuple(f"LABEL_{index}" for index in range(count))
    if isinstance(stored, dict) and all(re.fullmatch(r"LABEL_\d+", str(name)) for name in stored.values()):
        # Nobody named them; configurations of 2020 may list two of more.
        return tuple(f"LABEL_{index}" for index in range(count))
    if (
        not isinstance(stored, dict)
        or sorted(stored) != sorted(map(str, range(count)))
        or not all(isinstance(name, str) for name in stored.values())
    ):
        raise CheckpointError(f"id2label in config.json should name the {count} outputs of the head; it is {stored!r}")
    return tuple(stored[str(index)] for index in range(count))
