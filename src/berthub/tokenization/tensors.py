"""Integer arrays in the form that a framework wants; the frameworks are imported only when asked for."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from berthub.errors import InputError, MissingDependencyError

__all__ = ["FRAMEWORKS", "check_framework", "to_tensor"]

# name -> (module, how to install it, conversion)
FRAMEWORKS: Mapping[str, tuple[str, str, Callable[[Any, Any], Any]]] = {
    "np": ("numpy", "numpy", lambda numpy, array: array),
    "tf": ("tensorflow", "tensorflow", lambda tf, array: tf.constant(array)),
    # PyTorch's own functions want indices as int64.
    "pt": (
        "torch",
        "torch",
        lambda torch, array: torch.from_numpy(array.astype(np.int64) if array.dtype.kind in "iu" else array),
    ),
    "jax": ("jax.numpy", "jax", lambda jnp, array: jnp.asarray(array)),
}


def check_framework(framework: str) -> None:
    """Raise `InputError` unless `framework` is one of np, tf, pt and jax."""
    if framework not in FRAMEWORKS:
        raise InputError(
            f"return_tensors={framework!r} is not known; use one of {', '.join(FRAMEWORKS)}, or None for lists"
        )


def to_tensor(array: Any, framework: str) -> Any:
    """`array` (int32 or float32) for `framework`: integers as int64 for pt, as int32 for the others."""
    check_framework(framework)
    module, package, convert = FRAMEWORKS[framework]
    try:
        library = importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"return_tensors={framework!r} needs {package}, which is not installed: pip install {package}"
        ) from error
    return convert(library, array)
