"""The operations of a network for the backend that Keras has."""

from typing import Any

import keras

from berthub.networks.ops import Ops

__all__ = ["operations"]


def operations(dtype: str, seeds: Any | None, *, valid: Any = None) -> Ops[Any, Any]:
    """Operations that compute in `dtype`, for one forward pass.

    `seeds` is a `keras.random.SeedGenerator` for dropout; None means no dropout. `valid` is that of `KerasOps`;
    PyTorch needs none.
    """
    if keras.config.backend() != "torch":
        from berthub.training.keras_ops import KerasOps

        return KerasOps(dtype, seeds, valid=valid)
    from berthub.training.torch_ops import TrainingOps, generator, torch_dtype

    return TrainingOps(torch_dtype(dtype), None if seeds is None else generator(seeds))
