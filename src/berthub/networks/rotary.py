"""Rotary position embeddings (Su et al., 2021, https://arxiv.org/abs/2104.09864): the angles by position."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from berthub.config import EncoderConfig
from berthub.networks.ops import Ops

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["rotation", "rotation_faults"]

T = TypeVar("T")


def rotation(ops: Ops[T, Any], config: EncoderConfig, ids: T, *, theta: float, factor: float = 1.0) -> Callable[[T], T]:
    """What turns queries and keys [b, s, h] by their positions, which are those of `ids` [b, s].

    Of a head's pairs, number i turns by position / theta^(2i/d) / factor.
    """
    size, length = config.head_size, config.max_positions
    name = f"rotary/{theta!r}/{factor!r}"
    cos, sin = (
        ops.constant_rows(f"{name}/{part}", table, ids)
        for part, table in zip(("cos", "sin"), _tables(size, length, theta, factor), strict=True)
    )
    return lambda x: ops.rotate(x, cos, sin, heads=config.num_heads)


def rotation_faults(config: EncoderConfig, **numbers: float) -> list[str]:
    """What is wrong with settings of a rotation, by their names; a head must have pairs of components."""
    faults = [
        f"{name} must be a positive number, not {value!r}"
        for name, value in numbers.items()
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf")
    ]
    if config.head_size % 2:
        faults.append(f"a head must have an even number of components, not {config.head_size}")
    return faults


@functools.lru_cache(maxsize=8)
def _tables(size: int, length: int, theta: float, factor: float) -> "tuple[npt.NDArray[np.float32], ...]":
    """The cosines and sines, [length, size], each angle twice; in float32 all along, as the originals have them."""
    import numpy as np

    exponents = np.arange(0, size, 2, dtype=np.float32) / np.float32(size)
    frequencies = np.float32(1) / np.power(np.float32(theta), exponents) / np.float32(factor)
    angles = np.arange(length, dtype=np.float32)[:, None] * frequencies
    angles = np.concatenate([angles, angles], axis=1)
    return np.cos(angles), np.sin(angles)
