"""Reshape Keras's attention weights, which have an axis for the heads, to the canonical matrices."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from berthub.config import EncoderConfig
from berthub.errors import CheckpointError
from berthub.formats.settings import Settings

__all__ = ["as_matrix", "check_heads", "first_heads", "heads_of"]

_ATTENTION = re.compile(r".*/attention(?:_1)?/(self/(?:query|key|value)|output/dense)/(kernel|bias)")


def as_matrix(name: str, array: Any) -> Any:
    """The weight of this canonical name without the axis: [h, heads, width] as [h, heads * width], and so on.

    Nothing is copied, and what has no such axis stays as it is.
    """
    if heads_of(name, array) is None:
        return array
    if name.endswith("/bias"):
        return array.reshape(-1)
    return array.reshape(-1, array.shape[-1]) if "/output/" in name else array.reshape(array.shape[0], -1)


def first_heads(arrays: Mapping[str, Any]) -> int | None:
    """How many heads the queries of the first attention are shaped for; None if they have no axis for them."""
    first = next((name for name in arrays if name.endswith("/self/query/kernel")), None)
    return None if first is None else heads_of(first, arrays[first])


def check_heads(config: EncoderConfig, arrays: Mapping[str, Any], settings: Settings, *, source: Path) -> None:
    """`CheckpointError` if a weight, by its canonical name, is shaped for another number of heads than is configured.

    Without its axis for the heads nothing would show it.
    """
    for name, array in arrays.items():
        heads = heads_of(name, array)
        if heads not in (None, config.num_heads):
            raise CheckpointError(
                f"num_heads is {config.num_heads} ({settings.sources['num_heads']}), but {name} in {source} is shaped "
                f"for {heads}"
            )


def heads_of(name: str, array: Any) -> int | None:
    """How many heads the weight of this canonical name is shaped for; None if it has no axis for them."""
    match = _ATTENTION.fullmatch(name)
    if match is None:
        return None
    # [h, heads, width], and of the output layer [heads, width, h]; biases [heads, width], but not the output's.
    is_kernel, is_output = match[2] == "kernel", match[1] == "output/dense"
    if array.ndim != (3 if is_kernel else 2):
        return None
    heads: int = array.shape[1 if is_kernel and not is_output else 0]
    return heads
