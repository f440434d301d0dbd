"""How `config.json` says by what angles positions turn: `rope_parameters` of transformers 5, or the older keys."""

import math
from collections.abc import Mapping
from typing import Any

from berthub.errors import UnsupportedModelError

__all__ = ["FACTOR", "THETA", "rotation_parameters", "with_rotation"]

THETA, FACTOR = "rope_theta", "rope_factor"
"""The keys that `with_rotation` makes: the base of the powers, and how many times slower all turn."""


def with_rotation(stored: Mapping[str, Any], source: str, *, fixed_ntk: bool = False) -> dict[str, Any]:
    """The same settings with `THETA` and `FACTOR` in place of those that say it in other terms.

    With `fixed_ntk` the scaling "ntk" is that of GTE's own code, for texts of all lengths. "dynamic" scaling begins
    with texts that are longer than `max_position_embeddings`, and there are none here.
    """
    normal = dict(stored)
    rotation = {THETA: normal.get(THETA), **(_mapping(normal, "rope_scaling", source))}
    rotation |= _mapping(normal, "rope_parameters", source)
    kind = rotation.pop("rope_type", rotation.pop("type", "default"))
    rotation.pop("type", None)
    theta, factor = rotation.pop(THETA), rotation.pop("factor", 1.0)
    if rotation.pop("partial_rotary_factor", 1.0) != 1.0 or rotation.pop("mixed_b", None) is not None or rotation:
        raise UnsupportedModelError(
            f"{source} scales its rotary positions by {', '.join(sorted(rotation)) or 'a part of each head'}, which is "
            "not supported"
        )
    known = {"default", "linear", "dynamic", *(["ntk"] if fixed_ntk else [])}
    if kind not in known:
        raise UnsupportedModelError(
            f"{source} scales its rotary positions by {kind!r}; what is supported: {', '.join(sorted(known))}"
        )
    if kind in ("default", "dynamic"):
        factor = 1.0
    elif not isinstance(factor, int | float) or not 0 < factor < math.inf:
        raise UnsupportedModelError(f"{source} scales its rotary positions by the factor {factor!r}")
    if theta is not None:
        normal[THETA] = theta
    if kind == "ntk":
        normal |= _fixed_ntk(normal, theta, factor, source)
    else:
        normal[FACTOR] = float(factor)
    return normal


def rotation_parameters(theta: float, factor: float) -> dict[str, Any]:
    """The `rope_parameters` of transformers 5."""
    if factor == 1.0:
        return {"rope_type": "default", "rope_theta": theta}
    return {"rope_type": "linear", "rope_theta": theta, "factor": factor}


def _fixed_ntk(stored: Mapping[str, Any], theta: Any, factor: float, source: str) -> dict[str, Any]:
    """Base and factor of a scaling that is told by one number (https://kexue.fm/archives/9706)."""
    hidden, heads = stored.get("hidden_size"), stored.get("num_attention_heads")
    if isinstance(hidden, int) and isinstance(heads, int) and 0 < heads <= hidden and isinstance(theta, int | float):
        return {THETA: float(theta * factor), FACTOR: float(factor ** (2 / (hidden // heads)))}
    raise UnsupportedModelError(
        f"{source} scales its rotary positions by 'ntk', which needs the numbers hidden_size, num_attention_heads and "
        f"{THETA}; it has {hidden!r}, {heads!r} and {theta!r}"
    )


def _mapping(stored: dict[str, Any], key: str, source: str) -> dict[str, Any]:
    """The object under a key, which is taken out; empty where there is none."""
    value = stored.pop(key, None)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnsupportedModelError(f"{source} should hold an object {key}, not {value!r}")
    return value
