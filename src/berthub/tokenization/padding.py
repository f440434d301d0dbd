"""Rows as lists or as padded arrays, and the padding of rows that were made before."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.errors import InputError
from berthub.tokenization.assemble import Side
from berthub.tokenization.called import TokenizedTexts, tensor_of
from berthub.tokenization.tokens import pad_rows

__all__ = ["fills", "padded", "padded_again", "rounded_up", "row_lists"]

Ints = npt.NDArray[np.int64]

_IDS, _MASK = "input_ids", "attention_mask"


def fills(pad: int) -> dict[str, int]:
    """What each of the values of a token is at padding; `pad` is the id."""
    return {_IDS: pad, "token_type_ids": 0, _MASK: 0, "special_tokens_mask": 1, "offset_mapping": 0}


def padded(flat: npt.NDArray[Any], row_splits: Ints, *, width: int, value: int, side: Side) -> npt.NDArray[np.int32]:
    """A ragged array as a padded one, [n, width, ...]."""
    if side == "right":
        return pad_rows(flat, row_splits, width=width, value=value)
    rows = np.full((len(row_splits) - 1, width, *flat.shape[1:]), value, np.int32)
    rows[np.arange(width) >= width - np.diff(row_splits)[:, None]] = flat
    return rows


def row_lists(flat: npt.NDArray[Any], row_splits: Ints) -> list[Any]:
    """A ragged array as a list of lists."""
    return [row.tolist() for row in np.split(flat, row_splits[1:-1])] if len(row_splits) > 1 else []


def rounded_up(width: int, multiple: int | None) -> int:
    """The least multiple of `multiple` that is no less than `width`."""
    return width if multiple is None else -(-width // multiple) * multiple


def padded_again(
    inputs: Any,
    *,
    pad: int,
    width: int | None,
    longest: bool,
    multiple: int | None,
    side: Side,
    mask: bool,
    return_tensors: str | None,
) -> TokenizedTexts:
    """What a tokenizer's call made, or a list of such, filled up; other values than those of tokens stay as they are.

    To the longest row if `longest`, else to `width`, or not at all where that is None.
    """
    values, framework = _collected(inputs)
    if _IDS not in values:
        raise InputError(f"{_IDS} is missing in what is to be padded; there are {', '.join(values) or 'none'}")
    single = not any(isinstance(row, list | tuple) for row in values[_IDS])
    if single and values[_IDS]:
        values = {name: [value] for name, value in values.items()}
    lengths = [*map(len, values[_IDS])]
    if wrong := next((name for name, rows in values.items() if len(rows) != len(lengths)), None):
        raise InputError(f"{wrong} has {len(values[wrong])} rows, and {_IDS} {len(lengths)}")
    if mask and _MASK not in values:
        values[_MASK] = [[1] * length for length in lengths]
    if longest:
        width = max(lengths, default=0)
    if width is not None:
        width = rounded_up(width, multiple)
        for name, value in fills(pad).items():
            if name in values:
                fill = (0, 0) if name == "offset_mapping" else value
                rows = zip(values[name], lengths, strict=True)
                values[name] = [_filled(row, fill, width - length, side) for row, length in rows]
    if single and values[_IDS]:
        values = {name: rows[0] for name, rows in values.items()}
    return_tensors = return_tensors or framework
    if return_tensors is not None:
        values = {name: tensor_of(name, rows, return_tensors) for name, rows in values.items()}
    return TokenizedTexts(values)


def _filled(row: Sequence[Any], value: Any, count: int, side: Side) -> list[Any]:
    filling = [value] * count
    return [*row, *filling] if side == "right" else [*filling, *row]


def _collected(inputs: Any) -> tuple[dict[str, Any], str | None]:
    """The values by name, as lists, and the framework that they were tensors of."""
    if isinstance(inputs, Mapping):
        values = dict(inputs)
    elif isinstance(inputs, Iterable) and not isinstance(inputs, str | bytes):
        rows = list(inputs)
        if not all(isinstance(row, Mapping) for row in rows):
            raise InputError("pad takes what a tokenizer's call returns, or a list of such; here is something else")
        names = list(rows[0]) if rows else [_IDS]
        if uneven := next((row for row in rows if list(row) != names and {*row} != {*names}), None):
            raise InputError(f"the rows to pad have different values: {', '.join(names)}, and {', '.join(uneven)}")
        values = {name: [row[name] for row in rows] for name in names}
    else:
        raise InputError(f"pad takes what a tokenizer's call returns, or a list of such, not {type(inputs).__name__}")
    return {name: _as_list(value) for name, value in values.items()}, _framework(values.get(_IDS))


def _framework(value: Any) -> str | None:
    first = value[0] if isinstance(value, list | tuple) and value else value
    module = type(first).__module__.partition(".")[0]
    return {"numpy": "np", "torch": "pt", "tensorflow": "tf", "jax": "jax", "jaxlib": "jax"}.get(module)


def _as_list(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "numpy"):
        return value.numpy().tolist()
    return [_as_list(row) for row in value] if isinstance(value, list) else value
