"""The head of a fine-tuned model: the dense layers on the encoder, and what their outputs mean."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from berthub.brief import Brief
from berthub.choices import POOLINGS, Pooling
from berthub.config import Activation
from berthub.errors import CheckpointError
from berthub.networks.ops import Dense, Ops

__all__ = [
    "HEAD_BIAS",
    "HEAD_KERNEL",
    "HIDDEN_ACTIVATIONS",
    "OUTPUT_ACTIVATIONS",
    "TASKS",
    "Head",
    "HiddenActivation",
    "HiddenLayer",
    "OutputActivation",
    "Task",
    "head_logits",
    "hidden_output",
    "label_order",
]

T = TypeVar("T")
W = TypeVar("W")

Task = Literal["classify", "multi_label", "regress", "tag"]
"""`classify`: one label for a text (softmax); `multi_label`: any number of them (a sigmoid each); `regress`: a number
for a text; `tag`: one label for each word (softmax), read at its first piece."""

TASKS: tuple[str, ...] = get_args(Task)

HiddenActivation = Literal[Activation, "tanh"]
"""What a hidden layer of a head computes of its outputs."""

HIDDEN_ACTIVATIONS: tuple[str, ...] = get_args(HiddenActivation)

OutputActivation = Literal["identity", "sigmoid", "tanh"]
"""What a regression gives of its output."""

OUTPUT_ACTIVATIONS: tuple[str, ...] = get_args(OutputActivation)

HEAD_KERNEL, HEAD_BIAS = "head/kernel", "head/bias"
"""The names of the output layer's weights, beside those of the encoder."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class HiddenLayer(Brief):
    """A dense layer below the output layer: `kernel` float32 [in, out], `bias` float32 [out], and its activation.

    Where there are `gamma` and `beta`, float32 [out] each, a layer norm with the epsilon `eps` follows the activation.
    """

    kernel: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    activation: HiddenActivation
    gamma: npt.NDArray[np.float32] | None = None
    beta: npt.NDArray[np.float32] | None = None
    eps: float | None = None

    @property
    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """The weights that there are, by their names within the layer."""
        named = {name: getattr(self, name) for name in ("kernel", "bias", "gamma", "beta")}
        return {name: weight for name, weight in named.items() if weight is not None}

    def faults(self, number: int) -> list[str]:
        """What is wrong with the layer, which is the hidden layer of that number."""
        name, faults = f"hidden layer {number}", []
        if self.activation not in HIDDEN_ACTIVATIONS:
            faults.append(f"the activation of {name} is {self.activation!r}, none of {', '.join(HIDDEN_ACTIVATIONS)}")
        if self.kernel.ndim != 2 or self.kernel.dtype != np.float32:
            return [*faults, f"the kernel of {name} is {self.kernel.dtype} {self.kernel.shape}, not float32 [in, out]"]
        for part in ("bias", "gamma", "beta"):
            weight = getattr(self, part)
            if weight is not None and (weight.shape != self.kernel.shape[1:] or weight.dtype != np.float32):
                faults.append(
                    f"the {part} of {name} is {weight.dtype} {weight.shape}, not float32 [{self.kernel.shape[1]}]"
                )
        if len({self.gamma is None, self.beta is None, self.eps is None}) > 1:
            faults.append(f"the layer norm of {name} needs gamma, beta and eps")
        elif self.eps is not None and not (isinstance(self.eps, float) and 0 < self.eps < 1):
            faults.append(f"the eps of {name} is {self.eps!r}, not a number between 0 and 1")
        return faults


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Head(Brief):
    """Dense layers on the encoder: the last has `kernel` float32 [in, n], `bias` float32 [n], a column for each label.

    `hidden` are the layers below it, as a rule none. `labels` are the names of the outputs; a regression has one.
    `pooling` says what of a text the layers see (`berthub.networks.outputs`), None for `tag`, where they see every
    token of the last layer. `max_length` is the length to which texts were truncated in training. `activation` is what
    a regression gives of its output, such as its sigmoid; None where no file of the model says it: then the output is
    given as it is, and `Encoder.rank` takes the sigmoid. Making one validates it (`CheckpointError`).
    """

    task: Task
    labels: tuple[str, ...]
    pooling: Pooling | None
    max_length: int
    kernel: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    hidden: tuple[HiddenLayer, ...] = ()
    activation: OutputActivation | None = "identity"

    def __post_init__(self) -> None:
        faults = []
        least = 2 if self.task in ("classify", "tag") else 1
        if self.task not in TASKS:
            faults.append(f"the task {self.task!r} is none of {', '.join(TASKS)}")
        if len(set(self.labels)) != len(self.labels) or not all(isinstance(name, str) for name in self.labels):
            faults.append(f"the labels must be different strings, not {self.labels!r}")
        if len(self.labels) < least or (self.task == "regress" and len(self.labels) != 1):
            faults.append(f"{len(self.labels)} labels do not fit the task {self.task}")
        if (self.pooling is None) != (self.task == "tag") or self.pooling not in (None, *POOLINGS):
            faults.append(f"the pooling {self.pooling!r} does not fit the task {self.task}")
        if not isinstance(self.max_length, int) or self.max_length < 3:
            faults.append(f"max_length is {self.max_length!r}, not a number of tokens")
        columns = len(self.labels)
        if self.kernel.ndim != 2 or self.kernel.shape[1] != columns or self.kernel.dtype != np.float32:
            faults.append(
                f"the kernel is {self.kernel.dtype} {self.kernel.shape}, not float32 [hidden, {columns}] for the labels"
            )
        if self.bias.shape != (columns,) or self.bias.dtype != np.float32:
            faults.append(f"the bias is {self.bias.dtype} {self.bias.shape}, not float32 [{columns}] for the labels")
        if self.activation not in (None, *OUTPUT_ACTIVATIONS):
            faults.append(f"the activation {self.activation!r} is none of {', '.join(OUTPUT_ACTIVATIONS)}")
        elif self.task != "regress" and self.activation != "identity":
            faults.append(f"the activation {self.activation!r} does not fit the task {self.task}")
        faults += [fault for number, layer in enumerate(self.hidden) for fault in layer.faults(number)]
        kernels = [layer.kernel for layer in self.hidden] + [self.kernel]
        if not faults and any(below.shape[1] != above.shape[0] for below, above in itertools.pairwise(kernels)):
            faults.append(f"the layers do not fit together: {', '.join(str(kernel.shape) for kernel in kernels)}")
        if faults:
            raise CheckpointError("the head of the model is not valid: " + "; ".join(faults))

    @property
    def input_size(self) -> int:
        """How wide the vectors are that the head sees."""
        return len(self.hidden[0].kernel if self.hidden else self.kernel)

    @property
    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """The weights of all layers by their names, beside those of the encoder; the output layer's come last."""
        hidden = {
            f"{_hidden_scope(number)}/{name}": weight
            for number, layer in enumerate(self.hidden)
            for name, weight in layer.weights.items()
        }
        return {**hidden, HEAD_KERNEL: self.kernel, HEAD_BIAS: self.bias}

    def described(self) -> dict[str, Any]:
        """All but the weights, as plain JSON values; what a head of one layer does not need is left out."""
        described: dict[str, Any] = {name: getattr(self, name) for name in ("task", "labels", "pooling", "max_length")}
        if self.hidden:
            described["hidden"] = [{"activation": layer.activation, "eps": layer.eps} for layer in self.hidden]
        if self.activation != "identity":
            described["activation"] = self.activation
        return described

    def with_weights(self, changed: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]) -> Self:
        """The same head with what `changed` makes of each weight."""
        hidden = []
        for layer in self.hidden:
            weights: dict[str, Any] = {name: changed(weight) for name, weight in layer.weights.items()}
            hidden.append(dataclasses.replace(layer, **weights))
        return dataclasses.replace(self, kernel=changed(self.kernel), bias=changed(self.bias), hidden=tuple(hidden))


def head_logits(ops: Ops[T, W], head: Head, weights: Mapping[str, W], x: T) -> T:
    """The outputs of a head for the vectors `x` [..., h] that it sees: [..., n]; `weights` are `head.weights`."""
    for number, layer in enumerate(head.hidden):
        scope = _hidden_scope(number)
        named = {name: weights[f"{scope}/{name}"] for name in layer.weights}
        x = hidden_output(ops, layer, named, x, scope=scope)
    return ops.dense(x, Dense("head", weights[HEAD_KERNEL], weights[HEAD_BIAS]))


def hidden_output(ops: Ops[T, W], layer: HiddenLayer, weights: Mapping[str, W], x: T, *, scope: str = "head") -> T:
    """The output of a hidden layer for `x` [..., in]: [..., out]; `weights` are `layer.weights`."""
    x = ops.dense(x, Dense(scope, weights["kernel"], weights["bias"]))
    x = ops.tanh(x) if layer.activation == "tanh" else ops.activation(x, layer.activation)
    return x if layer.eps is None else ops.layer_norm(x, weights["gamma"], weights["beta"], eps=layer.eps)


def label_order(label: str) -> tuple[bool, int, str]:
    """A key to sort labels by where nobody gave their order: whole numbers by value, then the others by alphabet."""
    whole = label.isascii() and label.isdecimal()
    return not whole, len(label.lstrip("0")) if whole else 0, label


def _hidden_scope(number: int) -> str:
    return f"head/hidden_{number}"
