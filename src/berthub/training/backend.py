"""Import Keras with a backend: the one that is set, or one that is installed."""

import importlib
import importlib.util
import sys
from typing import Any

from berthub.errors import MissingDependencyError
from berthub.keras_backend import BACKENDS, choose_backend

__all__ = ["BACKENDS", "import_keras"]


def import_keras() -> Any:
    """Import Keras 3. If no backend is set, the first one that is installed is used.

    It is set in `KERAS_BACKEND` or in Keras's own `keras.json`. Raises `MissingDependencyError` with what to install.
    """
    if "keras" not in sys.modules:
        if importlib.util.find_spec("keras") is None:
            raise MissingDependencyError(
                "the Keras layer and fine-tuning need Keras 3 and one of its backends: "
                "pip install 'berthub[finetune]' and torch, tensorflow or jax"
            )
        if not choose_backend():
            raise MissingDependencyError(
                "Keras needs a backend, and none is installed: pip install torch (or tensorflow, or jax)"
            )
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
