"""The gradients of a loss with respect to a layer's weights, by canonical name, on whichever backend Keras has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_DATA = Path(__file__).parent.parent / "data"
MODEL = _DATA / "models" / "tf2_v4"
# Made by make_gradients.py.
GOLDEN = _DATA / "gradients" / "tf2_v4.npz"


def batch() -> dict[str, np.ndarray]:
    """The inputs: the smallest golden batch, with masked positions."""
    with np.load(MODEL / "golden.npz") as arrays:
        return {
            name: arrays[f"e.{name}"].astype(np.int32) for name in ("input_word_ids", "input_mask", "input_type_ids")
        }


def loss(outputs: Mapping[str, Any], mean: Any) -> Any:
    """A scalar to which every weight and every position contributes, from the outputs of tests/data/models/tf2_v4.

    `mean` is the framework's mean over all elements.
    """
    # Neither output has a mean or a square that the layer norms would hold constant.
    return 10 * mean(outputs["pooled_output"] ** 3) + 10 * mean(outputs["sequence_output"] ** 3)


def gradients(layer: Any, inputs: Mapping[str, Any], *, training: bool = False) -> dict[str, np.ndarray]:
    """The gradients of `loss`; a frozen weight has none."""
    from berthub.training.backend import import_keras

    keras = import_keras()
    variables = {
        name: variable
        for group in layer.groups.values()
        for name, variable in group.weights_by_name.items()
        if variable.trainable
    }
    differentiate = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.config.backend()]

    def forward() -> Any:
        return loss(layer(inputs, training=training), keras.ops.mean)

    found = differentiate(forward, list(variables.values()))
    return {
        name: np.zeros(variable.shape, np.float32) if gradient is None else keras.ops.convert_to_numpy(gradient)
        for (name, variable), gradient in zip(variables.items(), found, strict=True)
    }


def _tensorflow(forward: Any, variables: list[Any]) -> list[Any]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = forward()
    found = tape.gradient(value, [variable.value for variable in variables])
    return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in found]


def _jax(forward: Any, variables: list[Any]) -> list[Any]:
    import jax

    from berthub.training.backend import import_keras

    keras = import_keras()

    def value(values: list[Any]) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return forward()

    return jax.jit(jax.grad(value))([variable.value for variable in variables])


def _torch(forward: Any, variables: list[Any]) -> list[Any]:
    import torch

    return list(torch.autograd.grad(forward(), [variable.value for variable in variables], allow_unused=True))
