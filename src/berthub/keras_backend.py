"""Which library Keras computes with, where nothing says so: the first one that is installed."""

import importlib.util
import json
import os
from pathlib import Path

__all__ = ["BACKENDS", "choose_backend"]

BACKENDS = ("tensorflow", "jax", "torch")
"""The backends of Keras that can train, named as the modules that they are. The order is Keras's own preference."""


def choose_backend(*, prefer: str | None = None) -> bool:
    """See to it that Keras, before it is imported, has a backend that is installed; False if there is none.

    `KERAS_BACKEND` and Keras's own `keras.json` (https://keras.io/getting_started) are left alone. Without either
    Keras would take TensorFlow, installed or not. `prefer` is taken before the others where it is installed.
    """
    if os.environ.get("KERAS_BACKEND") or _configured():
        return True
    installed = [name for name in BACKENDS if importlib.util.find_spec(name) is not None]
    if installed:
        os.environ["KERAS_BACKEND"] = prefer if prefer in installed else installed[0]
    return bool(installed)


def _configured() -> bool:
    """Whether the user's `keras.json` names a backend that is installed.

    Keras writes that file by itself, naming TensorFlow, so the name alone says nothing.
    """
    path = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    if not path.is_file():
        return False
    try:
        backend = json.loads(path.read_text(encoding="utf-8"))["backend"]
    except (ValueError, KeyError, TypeError):
        # Keras tells what is wrong with its file, or passes over it.
        return False
    return backend in BACKENDS and importlib.util.find_spec(backend) is not None
