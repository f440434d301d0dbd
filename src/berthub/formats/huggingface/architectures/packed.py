"""Dense layers that share an input and lie in one matrix in the files: taken apart when read, joined when written."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from berthub.formats.huggingface.architecture import Weights

__all__ = ["ACTIVATED_FIRST", "ACTIVATED_LAST", "PACKED", "PACKED_GATE", "QUERY_KEY_VALUE", "joined", "taken_apart"]

PACKED, PACKED_GATE = "attention/self/packed", "intermediate/packed"
"""What the layers are called while they are one, below a layer's scope."""

Packed = Mapping[str, tuple[str, ...]]
"""Such a name -> the names of the layers in it, in their order."""

QUERY_KEY_VALUE: Packed = {PACKED: tuple(f"attention/self/{part}" for part in ("query", "key", "value"))}
ACTIVATED_FIRST: Packed = {PACKED_GATE: ("intermediate/dense", "intermediate/gate")}
ACTIVATED_LAST: Packed = {PACKED_GATE: ("intermediate/gate", "intermediate/dense")}


def taken_apart(packed: Packed) -> Callable[[Weights, Any, str], Weights]:
    """The `Architecture.after_reading` for layers that lie so; the parts are views."""

    def after_reading(weights: Weights, config: Any, source: str) -> Weights:
        result = {}
        for name, weight in weights.items():
            match = re.fullmatch(rf"(.*/)({'|'.join(packed)})(/\w+)", name)
            if match is None or weight.ndim == 0:
                result[name] = weight
                continue
            parts = packed[match[2]]
            # Whether their shapes fit is checked with those of all weights.
            for part, array in zip(parts, np.array_split(weight, len(parts), axis=-1), strict=True):
                result[f"{match[1]}{part}{match[3]}"] = array
        return result

    return after_reading


def joined(packed: Packed) -> Callable[[Weights, Any], Weights]:
    """The `Architecture.before_writing` for layers that lie so."""

    def before_writing(weights: Weights, config: Any) -> Weights:
        names = {part: (name, parts) for name, parts in packed.items() for part in parts}
        result = {}
        for name, weight in weights.items():
            match = re.fullmatch(rf"(.*/)({'|'.join(names)})(/\w+)", name)
            if match is None:
                result[name] = weight
            elif (whole := f"{match[1]}{names[match[2]][0]}{match[3]}") not in result:
                parts = (weights[f"{match[1]}{part}{match[3]}"] for part in names[match[2]][1])
                result[whole] = np.concatenate(list(parts), axis=-1)
        return result

    return before_writing
