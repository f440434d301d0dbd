"""Check model inputs that come as arrays, by TF Hub's or Hugging Face's names or as a list; convert to int32."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.config import EncoderConfig
from berthub.errors import InputError
from berthub.networks.interface import POSITIONS
from berthub.networks.network import weight_shapes

__all__ = ["ArrayInputs", "array_inputs", "check_ranges", "inputs_by_name", "sizes_of"]

_NAMES = {
    "input_word_ids": "ids",
    "input_ids": "ids",
    "input_mask": "mask",
    "attention_mask": "mask",
    "input_type_ids": "type_ids",
    "segment_ids": "type_ids",
    "token_type_ids": "type_ids",
    POSITIONS: "positions",
    # Of the modules of TensorFlow 1.
    "mlm_positions": "positions",
}
_ACCEPTED = (
    "a dict with input_word_ids, input_mask and input_type_ids (or input_ids, attention_mask and token_type_ids), "
    "or a list of the three; the last two may be left out; all are integers [batch, seq]. With masked_lm_positions, "
    "integers [batch, positions], there are mlm_logits, too"
)


@dataclass(frozen=True, eq=False)
class ArrayInputs:
    """`ids`, `mask` and `type_ids`: int32 [batch, seq], within what the model has; `positions` [batch, p] or None."""

    ids: npt.NDArray[np.int32]
    mask: npt.NDArray[np.int32]
    type_ids: npt.NDArray[np.int32]
    positions: npt.NDArray[np.int32] | None = None


def array_inputs(inputs: Any, config: EncoderConfig, *, pad: int) -> ArrayInputs:
    """The inputs of an encoder call, whichever of the accepted kinds they are.

    A mask that is left out is 1 wherever the id is not `pad`; type ids that are left out are 0.
    """
    given = {name: _integers(name, value) for name, value in inputs_by_name(inputs).items()}
    ids = given["ids"]
    if ids.ndim != 2 or not ids.shape[1]:
        raise InputError(f"the ids have the shape {ids.shape}; accepted: [batch, seq], with seq at least 1")
    for name, value in given.items():
        if name == "positions":
            if value.ndim != 2 or len(value) != len(ids):
                raise InputError(f"the {POSITIONS} have the shape {value.shape}; accepted: [{len(ids)}, positions]")
        elif value.shape != ids.shape:
            raise InputError(f"the {name} have the shape {value.shape} and the ids {ids.shape}; they must be equal")
    if ids.shape[1] > config.max_positions:
        raise InputError(f"the inputs have {ids.shape[1]} positions; the model has {config.max_positions}")
    mask = given.get("mask", np.not_equal(ids, pad))
    type_ids = given.get("type_ids", np.zeros_like(ids))
    check_ranges({**given, "type_ids": type_ids, "mask": mask}, config, width=ids.shape[1])
    positions = [given["positions"]] if "positions" in given else []
    return ArrayInputs(*(np.ascontiguousarray(value, np.int32) for value in (ids, mask, type_ids, *positions)))


def check_ranges(named: Mapping[str, npt.NDArray[Any]], config: EncoderConfig, *, width: int) -> None:
    """`InputError` for ids, type ids, masks or positions that a model does not have, in rows of `width` tokens."""
    sizes = sizes_of(config, width=width)
    for name, value in named.items():
        size = sizes[name]
        if not value.size:
            continue
        # A mask may be of floating-point numbers, too.
        if name == "mask" and value.dtype.kind == "f":
            outside = (value != 0) & (value != 1)
        elif value.min() < 0 or value.max() >= size:
            outside = (value < 0) | (value >= size)
        else:
            continue
        if outside.any():
            wrong = tuple(np.argwhere(outside)[0].tolist())
            raise InputError(f"the {name} must be from 0 to {size - 1}; at {wrong} there is {value[wrong]}")


def sizes_of(config: EncoderConfig, *, width: Any) -> dict[str, Any]:
    """The number of values that each input can have, from 0 on."""
    return {"ids": config.vocab_size, "mask": 2, "type_ids": _token_types(config), "positions": width}


@functools.lru_cache(maxsize=64)
def _token_types(config: EncoderConfig) -> int:
    # A model without a table of types ignores them, and a tokenizer gives two to pairs all the same.
    table = any(name.endswith("token_type_embeddings") for name in weight_shapes(config))
    return config.type_vocab_size if table else max(2, config.type_vocab_size)


def inputs_by_name(inputs: Any) -> dict[str, Any]:
    """The inputs under the names ids, mask and type_ids, whichever of the accepted kinds they are."""
    if isinstance(inputs, list | tuple) and 1 <= len(inputs) <= 3:
        return dict(zip(("ids", "mask", "type_ids"), inputs, strict=False))
    if not isinstance(inputs, Mapping):
        raise InputError(f"the inputs are of type {type(inputs).__name__}; accepted: {_ACCEPTED}")
    named: dict[str, Any] = {}
    for key, value in inputs.items():
        name = _NAMES.get(key)
        if name is None or name in named:
            reason = "is not known" if name is None else f"gives the {name} a second time"
            raise InputError(f"the input {key!r} {reason}; accepted: {_ACCEPTED}")
        named[name] = value
    if "ids" not in named:
        raise InputError(f"the inputs hold no ids, only {', '.join(inputs) or 'nothing'}; accepted: {_ACCEPTED}")
    return named


def _integers(name: str, value: Any) -> npt.NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"the {name} are no array: {error}; rows of different lengths must be padded") from error
    # Type kinds: boolean, signed and unsigned integer. An empty list has no type of its own.
    if array.dtype.kind not in "biu" and array.size:
        raise InputError(f"the {name} are of type {array.dtype}; accepted: {_ACCEPTED}. Texts go to encode() instead")
    return array
