"""Random numbers of training: each use of a seed has a stream of its own, independent of all others."""

import enum
import math
from typing import Literal

import numpy as np

__all__ = ["Use", "dropout_share", "seed_for", "stream"]


class Use(enum.IntEnum):
    """The uses of random numbers. The values are part of the streams: a new use gets a new value."""

    FIT = 1
    HEAD = 2
    ORDER = 3
    ENCODER_DROPOUT = 4
    HEAD_DROPOUT = 5
    LORA = 6
    WEIGHTS = 7


def stream(seed: int | None, use: Use, *key: int) -> np.random.Generator:
    """The random stream of `seed` for a use and a `key`, such as the number of an epoch.

    Streams of other seeds, uses and keys share nothing with it. `seed` None gives another stream every time.
    """
    return np.random.default_rng(_sequence(seed, use, key))


def seed_for(seed: int | None, use: Use, *key: int, bits: Literal[31, 62] = 31) -> int:
    """A seed derived from `seed`, a use and a key, for libraries that draw numbers themselves.

    31 bits is what Keras keeps of a seed on every backend.
    """
    return int(_sequence(seed, use, key).generate_state(1, np.uint64)[0]) >> (64 - bits)


def dropout_share(rate: float, *, digits: int) -> tuple[float, float]:
    """The share of numbers that dropout keeps, and what it multiplies them by: their product is 1.

    In a type with few binary `digits` the factor 1 / (1 - rate) is rounded. For a rate of 0.1 it is 0.16% too small
    in bfloat16, and every dropout of a network would shrink what goes through it. So the share follows from the
    rounded factor: 0.9014 instead of 0.9 there.
    """
    mantissa, exponent = math.frexp(1 / (1 - rate))
    factor = math.ldexp(round(math.ldexp(mantissa, digits)), exponent - digits)
    # A rate so small that the factor rounds to 1 still drops its share.
    return (1 / factor, factor) if factor > 1 else (1 - rate, 1.0)


def _sequence(seed: int | None, use: Use, key: tuple[int, ...]) -> np.random.SeedSequence:
    # Not SeedSequence([seed, ...]): for it trailing zeros mean nothing.
    return np.random.SeedSequence(seed, spawn_key=(use, *key))
