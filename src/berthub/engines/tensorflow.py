"""Run a SavedModel as it is, by TensorFlow: the last resort, for models whose network berthub does not have.

It executes whatever the file says, so it is only for models that the user trusts, and only when asked for.
"""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.errors import ForkError, InputError, MissingDependencyError, ModelError

__all__ = ["Program"]

# What the signature of a TF1 hub module, or of a model that cannot be called itself, may be called.
_SIGNATURES = ("serving_default", "default", "tokens")


class Program:
    """A loaded SavedModel, to be called with arrays or strings.

    `MissingDependencyError` where TensorFlow is not installed, `ModelError` for what TensorFlow cannot load.
    """

    def __init__(self, folder: Path) -> None:
        if importlib.util.find_spec("tensorflow") is None:
            raise MissingDependencyError(
                'engine="tensorflow" runs the model\'s own graph by TensorFlow, which is not installed: '
                "pip install tensorflow (and tensorflow-text, if the model's graph uses its operations)"
            )
        import tensorflow as tf

        self._process = os.getpid()
        if importlib.util.find_spec("tensorflow_text") is not None:
            # Registers the operations that tokenizing models use.
            importlib.import_module("tensorflow_text")
        try:
            self._model: Any = tf.saved_model.load(str(folder))
        except ValueError:
            # TF1 hub modules have two graphs, the one for inference without a tag.
            self._model = self._load(tf, folder, tags=[])
        except Exception as error:
            raise ModelError(_failed(folder, error)) from error

    def __call__(self, inputs: Any) -> dict[str, npt.NDArray[Any]]:
        """The outputs by name (one without a name is `default`); `inputs` as the model takes them.

        That is a list of texts, or arrays: one, a list, or a dict by name. `InputError` for what the model refuses.
        """
        import tensorflow as tf

        if os.getpid() != self._process:
            raise ForkError(
                "TensorFlow cannot be used in a process that was forked after it: load the model in that process, or "
                'start processes by "spawn"'
            )
        call = self._callable()
        try:
            outputs = call(tf.nest.map_structure(tf.constant, inputs) if isinstance(inputs, Mapping) else inputs)
        except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
            raise InputError(f"the model does not take these inputs: {_short(error)}") from error
        return _by_name(outputs)

    def texts(self, texts: list[str]) -> dict[str, npt.NDArray[Any]]:
        """The outputs for texts, by name."""
        import tensorflow as tf

        return self(tf.constant(texts))

    @staticmethod
    def _load(tf: Any, folder: Path, *, tags: list[str]) -> Any:
        try:
            return tf.saved_model.load(str(folder), tags=tags)
        except Exception as error:
            raise ModelError(_failed(folder, error)) from error

    def _callable(self) -> Any:
        if callable(self._model):
            return self._model
        signatures = self._model.signatures
        name = next((name for name in _SIGNATURES if name in signatures), None)
        if name is None:
            raise InputError(
                f"the model cannot be called: it has only the signatures {', '.join(signatures) or 'none'}"
            )
        signature = signatures[name]
        names = list(signature.structured_input_signature[1])

        def call(inputs: Any) -> Any:
            return signature(**(inputs if isinstance(inputs, Mapping) else {names[0]: inputs}))

        return call


def _by_name(outputs: Any) -> dict[str, npt.NDArray[Any]]:
    if isinstance(outputs, Mapping):
        named: dict[str, npt.NDArray[Any]] = {}
        for name, value in outputs.items():
            if isinstance(value, list | tuple):
                # A layer's worth each, as in encoder_outputs.
                named |= {f"{name}_{index}": _array(part) for index, part in enumerate(value)}
            else:
                named[str(name)] = _array(value)
        return named
    if isinstance(outputs, list | tuple):
        # Version 1 and 2 of the encoders returned the pair; text embedders return a list of one.
        names = ("default",) if len(outputs) == 1 else ("pooled_output", "sequence_output")
        return {name: _array(value) for name, value in zip(names, outputs, strict=False)}
    return {"default": _array(outputs)}


def _array(value: Any) -> npt.NDArray[Any]:
    return np.asarray(value.to_tensor() if hasattr(value, "to_tensor") else value)


def _failed(folder: Path, error: Exception) -> str:
    return (
        f"TensorFlow cannot load the SavedModel in {folder}: {_short(error)}. If an operation is missing, install the "
        "library that has it, such as tensorflow-text, in the version of your TensorFlow"
    )


def _short(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:300]
