"""Read and write the task heads of Hugging Face folders: the dense layers that are a `Head`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.choices import Pooling
from berthub.errors import CheckpointError, UnsupportedModelError
from berthub.formats.huggingface.architecture import ACTIVATIONS, Architecture, HiddenScopes
from berthub.formats.huggingface.cross_encoder import CrossEncoderFiles, described_activation
from berthub.head import Head, HiddenActivation, HiddenLayer, OutputActivation, Task

__all__ = ["FoundHead", "described_head", "find_head", "head_class", "head_tensors", "read_head"]

Arrays = Mapping[str, npt.NDArray[Any]]

_TAGGER, _CLASSIFIER = "ForTokenClassification", "ForSequenceClassification"
# `problem_type` of transformers.
_PROBLEMS: dict[str, Task] = {
    "single_label_classification": "classify",
    "multi_label_classification": "multi_label",
    "regression": "regress",
}
_TAGS = "classifier"
# What transformers' ACT2FN calls the activations of hidden layers.
_HIDDEN: dict[str, HiddenActivation] = {**ACTIVATIONS, "tanh": "tanh"}  # type: ignore[dict-item]
# What transformers calls the poolings of heads that can be told to pool otherwise.
_POOLINGS: dict[str, Pooling] = {"cls": "cls", "bos": "cls", "mean": "mean"}


@dataclass(frozen=True, kw_only=True)
class FoundHead:
    """A head in the files that is a `Head`: the scope of its output layer, and what is below it."""

    task: Task
    scope: str
    pooling: Pooling | None
    activation: OutputActivation | None = "identity"
    hidden: HiddenScopes | None = None
    hidden_activation: HiddenActivation = "tanh"

    def weights(self, arrays: Arrays) -> set[str]:
        """The names of its weights."""
        scopes = [self.scope, *([] if self.hidden is None else filter(None, (self.hidden.dense, self.hidden.norm)))]
        return {name for scope in scopes for part in ("weight", "bias") if (name := f"{scope}.{part}") in arrays}


def find_head(
    architecture: Architecture, stored: Mapping[str, Any], arrays: Arrays, *, files: CrossEncoderFiles
) -> FoundHead | None:
    """The head that `architectures` in `config.json` names; None where there is none, or none that berthub has."""
    classes = stored.get("architectures")
    name = classes[0] if isinstance(classes, list) and classes and isinstance(classes[0], str) else ""
    tags = name.endswith(_TAGGER)
    scope = _TAGS if tags else architecture.classifier if name.endswith(_CLASSIFIER) else None
    count = None if scope is None else _outputs(scope, arrays)
    if scope is None or count is None:
        return None
    hidden = architecture.tagger_hidden if tags else architecture.classifier_hidden
    found = FoundHead(task="tag", scope=scope, pooling=None)
    if not tags:
        if architecture.classifier_pooler and f"{architecture.classifier_pooler}.weight" not in arrays:
            return None
        task, activation = _task(stored.get("problem_type"), count, files)
        if task is None:
            return None
        found = replace(found, task=task, pooling="pooled", activation=activation)
    elif count < 2:
        return None
    return found if hidden is None else _with_hidden(found, hidden, stored, arrays)


def read_head(found: FoundHead, *, stored: Mapping[str, Any], arrays: Arrays, max_length: int) -> Head:
    """That head."""
    bias = arrays[f"{found.scope}.bias"]
    return Head(
        task=found.task,
        labels=_labels(stored.get("id2label"), len(bias)),
        pooling=found.pooling,
        max_length=max_length,
        kernel=arrays[f"{found.scope}.weight"].T,
        bias=bias,
        hidden=() if found.hidden is None else (_hidden_layer(found.hidden, found.hidden_activation, stored, arrays),),
        activation=found.activation,
    )


def head_class(head: Head) -> str:
    """The suffix of the names of transformers' classes with such a head."""
    return _TAGGER if head.task == "tag" else _CLASSIFIER


def head_tensors(architecture: Architecture, head: Head) -> dict[str, npt.NDArray[np.float32]]:
    """The tensors of a head by their names in transformers; `UnsupportedModelError` for one that it does not have."""
    tags = head.task == "tag"
    scope, hidden = (
        (_TAGS, architecture.tagger_hidden) if tags else (architecture.classifier, architecture.classifier_hidden)
    )
    fault = _other_layers(head, hidden)
    if scope is None or fault is not None:
        what = f"the {head.pooling} vector of a text" if head.pooling else "the tokens"
        raise UnsupportedModelError(
            f"the head of this model sees {what}{fault or ''}, and transformers' "
            f"{architecture.title}{head_class(head)} computes something else below its head. "
            "Write the encoder alone (encoder_only=True), or export to onnx or native"
        )
    tensors = {f"{scope}.weight": head.kernel.T, f"{scope}.bias": head.bias}
    for layer in head.hidden:
        assert hidden is not None
        tensors[f"{hidden.dense}.weight"] = layer.kernel.T
        if hidden.bias_key is None or layer.bias.any():
            tensors[f"{hidden.dense}.bias"] = layer.bias
        if hidden.norm is not None and layer.gamma is not None and layer.beta is not None:
            tensors[f"{hidden.norm}.weight"] = layer.gamma
            if layer.beta.any():
                tensors[f"{hidden.norm}.bias"] = layer.beta
    return tensors


def described_head(architecture: Architecture, head: Head, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The head in the terms of `config.json`, whose other settings are `stored`."""
    described: dict[str, Any] = {
        "id2label": {str(index): label for index, label in enumerate(head.labels)},
        "label2id": {label: index for index, label in enumerate(head.labels)},
    }
    hidden = architecture.tagger_hidden if head.task == "tag" else architecture.classifier_hidden
    for layer in head.hidden:
        assert hidden is not None
        if layer.eps is not None and stored.get(hidden.eps_key) != layer.eps:
            raise UnsupportedModelError(
                f"the layer norm of this model's head has the epsilon {layer.eps}, and transformers' has that of the "
                f"others, {stored.get(hidden.eps_key)}: export the model to onnx or native"
            )
        if layer.beta is not None and layer.beta.any() and stored.get(hidden.norm_bias_key) is False:
            raise UnsupportedModelError(
                "the layer norm of this model's head has a bias, and transformers' has none: export the model to onnx "
                "or native"
            )
        if hidden.activation_key is not None:
            described[hidden.activation_key] = _stored_name(layer.activation)
        if hidden.bias_key is not None:
            described[hidden.bias_key] = bool(layer.bias.any())
        if hidden.pooling_key is not None and head.pooling is not None:
            described[hidden.pooling_key] = next(name for name, ours in _POOLINGS.items() if ours == head.pooling)
    if head.task == "regress":
        described |= described_activation(head.activation)
    if head.task != "tag" and head.activation is not None:
        described["problem_type"] = next(name for name, task in _PROBLEMS.items() if task == head.task)
    return described


def _outputs(scope: str, arrays: Arrays) -> int | None:
    """How many outputs the dense layer of that scope has; None where there is none."""
    kernel, bias = arrays.get(f"{scope}.weight"), arrays.get(f"{scope}.bias")
    fits = kernel is not None and bias is not None and kernel.ndim == 2 and bias.shape == kernel.shape[:1]
    return len(bias) if bias is not None and fits else None


def _task(problem: Any, count: int, files: CrossEncoderFiles) -> tuple[Task | None, OutputActivation | None]:
    """The task of a head with so many outputs, and the activation of a regression."""
    if isinstance(problem, str) and problem not in _PROBLEMS:
        return None, None
    task = files.task(count, _PROBLEMS.get(problem) if isinstance(problem, str) else None)
    fits = {"classify": count > 1, "multi_label": True, "regress": count == 1}
    if not fits[task]:
        return None, None
    if task != "regress":
        return task, "identity"
    # A regression that transformers trained is a number; of one output that nobody described, nothing is known.
    return task, files.activation or ("identity" if problem is not None else None)


def _with_hidden(found: FoundHead, hidden: HiddenScopes, stored: Mapping[str, Any], arrays: Arrays) -> FoundHead | None:
    kernel = arrays.get(f"{hidden.dense}.weight")
    activation = _HIDDEN.get(str(stored.get(hidden.activation_key or "", hidden.activation)))
    named = stored.get(hidden.pooling_key or "")
    pooling = hidden.pooling if named is None else _POOLINGS.get(str(named))
    biases = hidden.bias_key is not None or f"{hidden.dense}.bias" in arrays
    norm = hidden.norm is None or f"{hidden.norm}.weight" in arrays
    if kernel is None or kernel.ndim != 2 or activation is None or pooling is None or not biases or not norm:
        return None
    pooling = None if found.pooling is None else pooling
    return replace(found, pooling=pooling, hidden=hidden, hidden_activation=activation)


def _hidden_layer(
    hidden: HiddenScopes, activation: HiddenActivation, stored: Mapping[str, Any], arrays: Arrays
) -> HiddenLayer:
    kernel = arrays[f"{hidden.dense}.weight"].T
    zeros = np.zeros(kernel.shape[1], np.float32)
    norm: dict[str, Any] = {}
    if hidden.norm is not None:
        eps = stored.get(hidden.eps_key, 1e-5)
        norm = {
            "gamma": arrays[f"{hidden.norm}.weight"],
            "beta": arrays.get(f"{hidden.norm}.bias", zeros),
            "eps": float(eps) if isinstance(eps, int | float) else eps,
        }
    return HiddenLayer(kernel=kernel, bias=arrays.get(f"{hidden.dense}.bias", zeros), activation=activation, **norm)


def _other_layers(head: Head, hidden: HiddenScopes | None) -> str | None:
    """In words what the head has that transformers' head of that task has not; None where they are alike."""
    if hidden is None:
        alike = not head.hidden and head.pooling in (None, "pooled")
        return None if alike else _count_in_words(head)
    if len(head.hidden) != 1:
        return _count_in_words(head)
    (layer,) = head.hidden
    if layer.activation != _HIDDEN[hidden.activation] and hidden.activation_key is None:
        return f" through a hidden layer with {layer.activation}"
    if (layer.eps is None) != (hidden.norm is None):
        return f" through a hidden layer {'without' if layer.eps is None else 'with'} a layer norm"
    poolings = {None, hidden.pooling, *(_POOLINGS.values() if hidden.pooling_key else ())}
    return None if head.pooling in poolings else ""


def _count_in_words(head: Head) -> str:
    count = len(head.hidden)
    return f" through {count} hidden layer{'s' if count > 1 else ''}" if count else ""


def _stored_name(activation: HiddenActivation) -> str:
    return next(name for name, ours in _HIDDEN.items() if ours == activation)


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
