"""Check the inputs of a layer: their names, their shapes, and whether their values are in range.

Eagerly, wrong values are an error. What a library can do where they are known only when a compiled graph runs:

    TensorFlow, tf.function and Model.fit without XLA    `tf.errors.InvalidArgumentError`
    TensorFlow with XLA, JAX under jit, Model.fit on JAX  all outputs of that text are NaN
    PyTorch                                               is never compiled by Keras, so the eager error

NaN is the loudest that costs nothing: neither XLA nor JAX can raise an error in the middle of a graph, and to ask the
processor for every batch first would stop what runs ahead of it.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from berthub.config import EncoderConfig
from berthub.encoding.arrays import check_ranges, inputs_by_name, sizes_of
from berthub.errors import InputError
from berthub.networks.interface import INPUTS, POSITIONS
from berthub.training.forward import InputTensors

__all__ = ["INPUT_NAMES", "checked_inputs", "input_tensors", "valid_rows"]

INPUT_NAMES = dict(zip(("ids", "mask", "type_ids", "positions"), (*INPUTS, POSITIONS), strict=True))
"""TF Hub's names of the inputs, by the short ones."""


def checked_inputs(inputs: Any, config: EncoderConfig) -> dict[str, Any]:
    """The inputs as tensors under the names ids, mask, type_ids and positions; `InputError` if they are not valid.

    Values are checked where they are known already, as they are outside of compiled graphs.
    """
    if _is_tensor(inputs):
        inputs = [inputs]
    named = {name: _as_tensor(name, value) for name, value in inputs_by_name(inputs).items()}
    for name, value in named.items():
        _check_input(name, value, config)
        _check_shape(name, value, named["ids"])
    if "positions" in named and not config.mlm:
        raise InputError(f"{POSITIONS}: this model has no masked-language-model head")
    _check_known_values(named, config)
    return named


def input_tensors(inputs: Mapping[str, Any], *, pad: int) -> InputTensors:
    """The inputs of a forward pass, from those in TF Hub's names; `pad` is the id that tells padding without a mask."""
    ids = keras.ops.cast(inputs["input_word_ids"], "int32")
    mask = inputs.get("input_mask")
    type_ids = inputs.get("input_type_ids")
    positions = inputs.get(POSITIONS)
    return InputTensors(
        ids,
        keras.ops.cast(ids != pad if mask is None else mask, "int32"),
        keras.ops.zeros_like(ids) if type_ids is None else keras.ops.cast(type_ids, "int32"),
        None if positions is None else keras.ops.cast(positions, "int32"),
    )


def valid_rows(named: Mapping[str, Any], config: EncoderConfig) -> Any | None:
    """Which texts have inputs that the model has, bool [b]; None if all values are known, and so were checked.

    In a graph of TensorFlow that XLA does not compile, what it has not is an error besides.
    """
    unknown = {name: value for name, value in named.items() if not _is_known(value)}
    if not unknown or keras.config.backend() == "torch":
        return None
    ops, valid = keras.ops, None
    sizes = sizes_of(config, width=ops.shape(named["ids"])[1])
    for name, value in unknown.items():
        if name == "mask":
            fits = ops.logical_or(value == 0, value == 1)
        else:
            # Wide enough for the sizes; what is too large for 32 bits becomes negative.
            wide = ops.cast(value, "int64" if "64" in keras.backend.standardize_dtype(value.dtype) else "int32")
            fits = ops.logical_and(wide >= 0, wide < ops.cast(sizes[name], wide.dtype))
        fits = ops.all(fits, axis=1)
        valid = fits if valid is None else ops.logical_and(valid, fits)
        if keras.config.backend() == "tensorflow":
            _assert_in_graph(fits, f"the {name} must be from 0 to {_most(name, config)}, and are not in all texts")
    if keras.config.backend() == "tensorflow" and "ids" in unknown and named["ids"].shape[1] is None:
        fits = ops.shape(named["ids"])[1] <= config.max_positions
        _assert_in_graph(
            fits, f"the inputs have more than the model's {config.max_positions} positions: truncate the texts"
        )
    return valid


def _check_known_values(named: Mapping[str, Any], config: EncoderConfig) -> None:
    """`InputError` for ids, type ids, masks and positions out of range, where their values are known already."""
    width = named["ids"].shape[1]
    known = {name: _array(value) for name, value in named.items() if _is_known(value)}
    check_ranges(known, config, width=width if isinstance(width, int) else config.max_positions)


def _most(name: str, config: EncoderConfig) -> str:
    size = sizes_of(config, width=None)[name]
    return "the width of the ids" if size is None else str(size - 1)


def _assert_in_graph(condition: Any, message: str) -> None:
    import tensorflow as tf

    # XLA leaves it out.
    tf.debugging.Assert(tf.reduce_all(condition), [f"berthub: {message}"])


def _is_known(value: Any) -> bool:
    """Whether a tensor has its values already, and is not a symbol of a graph."""
    if isinstance(value, np.ndarray):
        return True
    if isinstance(value, keras.KerasTensor):
        return False
    match keras.config.backend():
        case "tensorflow":
            import tensorflow as tf

            return not tf.is_symbolic_tensor(value)
        case "jax":
            import jax

            return not isinstance(value, jax.core.Tracer)
        case _:
            import torch

            return not (value.device.type == "meta" or torch.compiler.is_compiling() or torch.jit.is_tracing())


def _array(value: Any) -> Any:
    return value if isinstance(value, np.ndarray) else keras.ops.convert_to_numpy(value)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, keras.KerasTensor | np.ndarray) or keras.ops.is_tensor(value)


def _as_tensor(name: str, value: Any) -> Any:
    """Convert lists and other libraries' tensors to arrays, which Keras's backend takes."""
    if type(value).__name__ in ("RaggedTensor", "SparseTensor"):
        raise InputError(
            f"the {name} are a {type(value).__name__}; the layer takes rows of one length: {name}.to_tensor() pads a "
            "ragged tensor, and tf.sparse.to_dense makes one of a sparse tensor"
        )
    if _is_tensor(value) and not isinstance(value, np.ndarray):
        return value
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"the {name} are no array: {error}; rows of different lengths must be padded") from error
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"the {name} are texts or objects; the layer takes numbers: make them with hub.Preprocessor(handle)(texts) "
            "or hub.Tokenizer.from_pretrained(handle)(texts, padding=True, return_tensors=...)"
        )
    return array


def _check_input(name: str, value: Any, config: EncoderConfig) -> None:
    dtype = keras.backend.standardize_dtype(value.dtype)
    if dtype == "string":
        raise InputError(
            f"the {name} are texts; the layer takes numbers: make them with hub.Preprocessor(handle)(texts)"
        )
    if name != "mask" and not ("int" in dtype or dtype == "bool"):
        raise InputError(
            f'the {name} are of type {dtype}, and must be integers: declare them as keras.Input((None,), dtype="int32")'
        )
    if len(value.shape) != 2:
        raise InputError(f"the {name} have the shape {tuple(value.shape)}; accepted: [batch, seq]")
    width = value.shape[1]
    # While a model is traced or exported it may be None, or a symbol.
    if isinstance(width, int) and not 1 <= width <= config.max_positions:
        raise InputError(f"the {name} have {width} positions; the model has {config.max_positions}: cut the texts")


def _check_shape(name: str, value: Any, ids: Any) -> None:
    pairs = list(zip(value.shape, ids.shape, strict=True))[: 1 if name == "positions" else 2]
    if any(isinstance(one, int) and isinstance(other, int) and one != other for one, other in pairs):
        raise InputError(
            f"the {name} have the shape {tuple(value.shape)} and the ids {tuple(ids.shape)}; they must be equal"
        )
