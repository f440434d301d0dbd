"""Choose Keras's backend, if none is set: the first one that is installed."""

import importlib.util
import json
import os
from pathlib import Path

__all__ = ["BACKENDS", "choose_backend"]

BACKENDS = ("tensorflow", "jax", "torch")
"""The backends of Keras that can train, named as the modules that they are. The order is Keras's own preference."""

# What Keras writes into its `keras.json` by itself when it is first imported, whatever it computes with.
_WRITTEN_BY_KERAS = "tensorflow"


def choose_backend(*, prefer: str | None = None) -> bool:
    """Choose an installed backend for Keras, before it is imported; False if there is none.

    `KERAS_BACKEND` is left alone, and so is a `keras.json` (https://keras.io/getting_started) in which the user named
    a backend that is installed. Without either Keras would take TensorFlow, installed or not. `prefer` is taken before
    the others where it is installed. Keras writes `keras.json` by itself, naming TensorFlow: that is nobody's choice
    and outweighs no preference, or a second run would compute with another library than the first.
    """
    if os.environ.get("KERAS_BACKEND"):
        return True
    installed = [name for name in BACKENDS if importlib.util.find_spec(name) is not None]
    named = _named_in_settings()
    if named in installed and (named != _WRITTEN_BY_KERAS or prefer not in installed):
        return True
    if installed:
        os.environ["KERAS_BACKEND"] = prefer if prefer in installed else installed[0]
    return bool(installed)


def _named_in_settings() -> str | None:
    """The backend that `keras.json` names, if there is such a file."""
    path = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    if not path.is_file():
        return None
    try:
        backend = json.loads(path.read_text(encoding="utf-8"))["backend"]
    except (ValueError, KeyError, TypeError):
        # Keras tells what is wrong with its file, or passes over it.
        return None
    return backend if isinstance(backend, str) else None
