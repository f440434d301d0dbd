"""Keras and the library that it computes with: found, chosen, or asked for."""

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

from berthub.errors import MissingDependencyError

__all__ = ["BACKENDS", "import_keras"]

BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
"""The backends of Keras that can train, by the module that each needs. The order is Keras's own preference."""


def import_keras() -> Any:
    """Keras 3. Where nothing says which backend it shall use, the first one that is installed.

    What says so is `KERAS_BACKEND` or Keras's own `keras.json` (https://keras.io/getting_started); without either
    Keras would take TensorFlow, installed or not. Raises `MissingDependencyError` with what to install.
    """
    if "keras" not in sys.modules:
        if importlib.util.find_spec("keras") is None:
            raise MissingDependencyError(
                "the Keras layer and fine-tuning need Keras 3 and one of its backends: "
                "pip install 'berthub[finetune]' and torch, tensorflow or jax"
            )
        _choose_backend()
    try:
        keras = importlib.import_module("keras")
    except ImportError as error:
        raise MissingDependencyError(
            f"Keras could not be imported: {error}. Install its backend ({', '.join(BACKENDS)}), "
            "or name an installed one in the environment variable KERAS_BACKEND"
        ) from error
    if int(keras.__version__.split(".", 1)[0]) < 3:
        raise MissingDependencyError(
            f"berthub needs Keras 3, and {keras.__version__} is installed: pip install 'berthub[keras]'"
        )
    if keras.config.backend() not in BACKENDS:
        raise MissingDependencyError(
            f"the Keras backend {keras.config.backend()!r} cannot train; choose one of {', '.join(BACKENDS)} "
            "in the environment variable KERAS_BACKEND before Keras is imported"
        )
    return keras


def _choose_backend() -> None:
    if os.environ.get("KERAS_BACKEND") or _configured():
        return
    installed = [name for name, module in BACKENDS.items() if importlib.util.find_spec(module) is not None]
    if not installed:
        raise MissingDependencyError(
            "Keras needs a backend, and none is installed: pip install torch (or tensorflow, or jax)"
        )
    os.environ["KERAS_BACKEND"] = installed[0]


def _configured() -> bool:
    """Whether the user's `keras.json` names a backend that is installed.

    Keras writes that file by itself, naming TensorFlow, so the name alone says nothing.
    """
    path = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    if not path.is_file():
        return False
    backend = json.loads(path.read_text(encoding="utf-8")).get("backend")
    return backend in BACKENDS and importlib.util.find_spec(BACKENDS[backend]) is not None
