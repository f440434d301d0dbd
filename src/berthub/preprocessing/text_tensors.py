"""Apply functions over texts to TensorFlow's string tensors, and check Keras's symbolic inputs.

Neither library is ever imported here: a caller that passes a tensor has it loaded.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.errors import InputError

__all__ = [
    "ROWS",
    "check_keras_texts",
    "inputs_of_tensors",
    "is_keras_tensor",
    "is_tensor",
    "ragged_of_strings",
    "rows_of_ragged",
]

Ints = npt.NDArray[np.int32]
ROWS = ("input_word_ids", "input_mask", "input_type_ids")


def is_tensor(value: Any) -> bool:
    """Whether `value` is a tensor of TensorFlow: eager, of a graph, or ragged."""
    tf = sys.modules.get("tensorflow")
    return tf is not None and isinstance(value, tf.Tensor | tf.RaggedTensor)


def is_keras_tensor(value: Any) -> bool:
    """Whether `value` is a symbolic input or output of a Keras model."""
    return type(value).__name__ == "KerasTensor" and "keras" in type(value).__module__


def check_keras_texts(texts: Sequence[Any]) -> None:
    """`InputError` for symbolic texts that no layer takes: of other kinds, or of Keras on another library."""
    keras: Any = sys.modules.get("keras")
    instead = "write dataset.map(preprocessor) instead, or call the preprocessor on the texts before the model"
    if keras is None or not isinstance(texts[0], keras.KerasTensor) or keras.config.backend() != "tensorflow":
        raise InputError(
            "texts can be the input of a Keras model in Keras 3 on TensorFlow alone (KERAS_BACKEND=tensorflow): no "
            f"other library has tensors of strings. Elsewhere {instead}"
        )
    if any(not isinstance(text, keras.KerasTensor) or text.dtype != "string" or text.ndim != 1 for text in texts):
        raise InputError(
            f'texts of a Keras model are inputs such as keras.Input(shape=(), dtype="string"); or {instead}'
        )


def inputs_of_tensors(
    texts: Sequence[Any], function: Callable[[list[list[str]]], dict[str, Ints]], width: int
) -> dict[str, Any]:
    """`function` of one or two string tensors, [] or [batch], as int32 tensors [width] or [batch, width].

    `function` gets a list of strings for each of the tensors. Works eagerly, and in the graph of a `tf.data` pipeline
    or a `tf.function`.
    """
    tf = sys.modules["tensorflow"]
    _check_strings(tf, texts)

    def run(*values: Any) -> list[Ints]:
        inputs = function([_strings(value) for value in values])
        return [inputs[name].reshape((*np.shape(values[0]), width)) for name in ROWS]

    outputs = _apply(tf, run, texts, [tf.int32] * len(ROWS))
    for output in outputs:
        # What a graph does not know of a function in Python.
        output.set_shape([*texts[0].shape, width])
    return dict(zip(ROWS, outputs, strict=True))


def ragged_of_strings(texts: Any, function: Callable[[list[str]], tuple[Ints, npt.NDArray[np.int64]]]) -> Any:
    """`function` of a string tensor [batch], which returns flat values and row splits, as `tf.RaggedTensor`."""
    tf = sys.modules["tensorflow"]
    _check_strings(tf, [texts])
    if texts.shape.rank != 1:
        raise InputError("to be tokenized, texts come as a tensor [batch], not as a single string: batch them first")
    values, splits = _apply(tf, lambda value: function(_strings(value)), [texts], [tf.int32, tf.int64])
    values.set_shape([None])
    size = texts.shape[0]
    splits.set_shape([None if size is None else size + 1])
    return tf.RaggedTensor.from_row_splits(values, splits, validate=False)


def rows_of_ragged(
    segments: Sequence[Any], function: Callable[[list[list[Any]]], dict[str, Ints]], width: int
) -> dict[str, Any]:
    """`function` of ragged tensors of ids, [batch, (pieces)] or [batch, (words), (pieces)], as int32 [batch, width].

    `function` gets a list of rows for each of the tensors; dense tensors [batch, pieces] are taken, too.
    """
    tf = sys.modules["tensorflow"]
    parts = []
    for segment in segments:
        if not is_tensor(segment) or not segment.dtype.is_integer or segment.shape.rank not in (2, 3):
            raise InputError(
                "segments of TensorFlow are tensors of whole numbers, [batch, (pieces)] or [batch, (words), (pieces)], "
                f"all of them; one is {segment!r}"
            )
        if not isinstance(segment, tf.RaggedTensor):
            segment = tf.RaggedTensor.from_tensor(segment, ragged_rank=segment.shape.rank - 1)
        flat = segment.merge_dims(1, 2) if segment.shape.rank == 3 else segment
        parts += [flat.values, flat.row_splits]

    def run(*arrays: Any) -> list[Ints]:
        pairs = zip(arrays[::2], arrays[1::2], strict=True)
        inputs = function([np.split(values, splits[1:-1]) if len(splits) > 1 else [] for values, splits in pairs])
        return [inputs[name] for name in ROWS]

    outputs = _apply(tf, run, parts, [tf.int32] * len(ROWS))
    for output in outputs:
        output.set_shape([segments[0].shape[0], width])
    return dict(zip(ROWS, outputs, strict=True))


def _apply(tf: Any, function: Callable[..., Any], inputs: Sequence[Any], types: Sequence[Any]) -> list[Any]:
    if all(hasattr(tensor, "numpy") for tensor in inputs):
        # Called directly, so that its errors are its own, not TensorFlow's.
        outputs = function(*(tensor.numpy() for tensor in inputs))
        return [tf.constant(output, dtype) for output, dtype in zip(outputs, types, strict=True)]
    return list(tf.numpy_function(function, inputs, types, stateful=False))


def _strings(value: Any) -> list[str]:
    """The texts of a string tensor's value, decoded as UTF-8; U+FFFD stands for invalid bytes."""
    texts = [value] if isinstance(value, bytes) else np.asarray(value, object).reshape(-1).tolist()
    return [text.decode("utf-8", "replace") for text in texts]


def _check_strings(tf: Any, texts: Sequence[Any]) -> None:
    for tensor in texts:
        if not isinstance(tensor, tf.Tensor) or tensor.dtype != tf.string:
            kind = f"{tensor.dtype.name} {type(tensor).__name__}" if is_tensor(tensor) else type(tensor).__name__
            raise InputError(
                f"texts in TensorFlow are string tensors, and so are the second texts of pairs; one is a {kind}. Over "
                "a dataset of texts and labels: dataset.map(lambda text, label: (preprocessor(text), label))"
            )
        if tensor.shape.rank not in (0, 1):
            raise InputError(
                f"texts are a string tensor [batch], or [] for a single one; the shape of this one is {tensor.shape}. "
                "Use tf.squeeze, tf.reshape or tensor.set_shape first"
            )
    if not all(tensor.shape.is_compatible_with(texts[0].shape) for tensor in texts):
        shapes = " and ".join(str(tensor.shape) for tensor in texts)
        raise InputError(f"there must be as many second texts as first ones; their shapes are {shapes}")
