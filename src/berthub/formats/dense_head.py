"""The head that dense layers of a Keras model are: its task follows from the outputs, the activation and the loss."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from berthub.choices import Pooling
from berthub.config import EncoderConfig
from berthub.head import Head, HiddenActivation, HiddenLayer, Task

__all__ = ["ACTIVATIONS", "HIDDEN", "head_of_dense", "hidden_of_dense"]

ACTIVATIONS = ("linear", "sigmoid", "softmax")
"""What may follow the layer: the activations whose outputs a `Head` has."""

HIDDEN: Mapping[str, HiddenActivation] = {"gelu": "gelu_erf", "relu": "relu", "tanh": "tanh"}
"""What may follow a layer below it, by Keras's names."""

_NUMBERS = ("meanabsoluteerror", "meansquarederror", "mae", "mse", "huber", "logcosh", "meansquaredlogarithmicerror")


def head_of_dense(
    kernel: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32] | None,
    *,
    activation: str,
    loss: str,
    length: int | None,
    pooling: Pooling | None,
    config: EncoderConfig,
    hidden: tuple[HiddenLayer, ...] = (),
) -> Head | None:
    """The head; None if its outputs fit no task of berthub. `hidden` are the layers below it, the lowest first.

    `loss` is the name of the loss that the model was compiled with, in lower case and without underscores, "" where
    none is known; `length` is the length of the texts, None for all positions; `pooling` is None where the layer sees
    every token.

    One output for a text, a logit or its sigmoid, stands for two labels: the first has the score 0, so that the softmax
    over both is the sigmoid. It stands for a number where the model was compiled for regression. Several outputs are
    labels of which one applies, or any number of them where the activation or the loss says so. The labels' names are
    stored nowhere: they are "0", "1" and so on.
    """
    columns = kernel.shape[-1] if kernel.ndim == 2 else 0
    if bias is None:
        bias = np.zeros(columns, np.float32)
    widths = [config.hidden_size, *(layer.kernel.shape[1] for layer in hidden)]
    below = all(layer.kernel.shape[0] == width for layer, width in zip(hidden, widths, strict=False))
    fits = below and kernel.shape == (widths[-1], columns) and bias.shape == (columns,)
    task = _task(columns, activation, loss, tokens=pooling is None)
    if not fits or task is None or not kernel.dtype == bias.dtype == np.float32:
        return None
    if task == "classify" and columns == 1:
        kernel, bias = _with_zeros(kernel), _with_zeros(bias)
    labels = ("value",) if task == "regress" else tuple(str(label) for label in range(kernel.shape[1]))
    most = min(length or config.max_positions, config.max_positions)
    return Head(task=task, labels=labels, pooling=pooling, max_length=most, kernel=kernel, bias=bias, hidden=hidden)


def hidden_of_dense(
    kernel: npt.NDArray[np.float32], bias: npt.NDArray[np.float32] | None, activation: HiddenActivation
) -> HiddenLayer | None:
    """A layer below the last one; None if its weights are none of a dense layer."""
    bias = np.zeros(kernel.shape[-1:], np.float32) if bias is None else bias
    layer = HiddenLayer(kernel=kernel, bias=bias, activation=activation)
    return None if layer.faults(0) else layer


def _task(columns: int, activation: str, loss: str, *, tokens: bool) -> Task | None:
    number = loss in _NUMBERS
    binary = activation == "sigmoid" or (activation == "linear" and loss == "binarycrossentropy")
    if tokens:
        # A tagger chooses one label for each word.
        return "tag" if columns > 1 and not number and not binary else None
    if columns == 1:
        # A softmax over one output is always 1.
        return None if activation == "softmax" else "regress" if number else "classify"
    if columns < 1 or number:
        return None
    return "multi_label" if binary else "classify"


def _with_zeros(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """[..., 1] to [..., 2]: the first is zero."""
    return np.concatenate([np.zeros_like(values), values], axis=-1)
