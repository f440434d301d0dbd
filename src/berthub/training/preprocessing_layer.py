"""TF Hub's preprocessing models as a Keras layer: strings to the inputs of an encoder, inside a model on TensorFlow."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, cast

import keras
import numpy as np

from berthub.errors import CorruptFileError, InputError
from berthub.formats.native import special_pieces
from berthub.formats.vocabularies import read_vocabulary_files, write_vocabulary_files
from berthub.preprocessing.preprocessor import Preprocessor
from berthub.preprocessing.text_tensors import ROWS, check_keras_texts, is_tensor
from berthub.tokenization.tokenizer import Tokenizer
from berthub.training.layer_model import Uncopied
from berthub.training.old_programs import text_arguments
from berthub.vocabulary import Vocabulary

__all__ = ["STEPS", "PreprocessingLayer", "PreprocessorDescription", "Step"]

Step = Literal["__call__", "tokenize", "bert_pack_inputs"]
STEPS: tuple[Step, ...] = ("__call__", "tokenize", "bert_pack_inputs")
"""The methods of a `Preprocessor` that a layer can be: all of it, or its two steps one by one."""


@dataclass(frozen=True)
class PreprocessorDescription:
    """A preprocessor without its vocabulary, whose files Keras keeps beside a model's configuration."""

    seq_length: int
    settings: Mapping[str, Any]
    algorithm: str
    special: Mapping[str, str]

    @classmethod
    def of(cls, preprocessor: Preprocessor) -> Self:
        """The description of a preprocessor."""
        vocabulary = preprocessor.tokenizer.vocabulary
        settings = preprocessor.tokenizer.settings
        return cls(preprocessor.seq_length, settings, vocabulary.algorithm, special_pieces(vocabulary))

    def preprocessor(self, vocabulary: Vocabulary) -> Preprocessor:
        """The preprocessor that this describes."""
        return Preprocessor(Tokenizer(vocabulary, **self.settings), self.seq_length)

    def to_dict(self) -> dict[str, Any]:
        """The entry of a layer's `get_config`."""
        return {
            "seq_length": self.seq_length,
            "settings": dict(self.settings),
            "algorithm": self.algorithm,
            "special_pieces": Uncopied(self.special),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """What `to_dict` made."""
        try:
            return cls(stored["seq_length"], {**stored["settings"]}, stored["algorithm"], {**stored["special_pieces"]})
        except (KeyError, TypeError) as error:
            raise CorruptFileError(f"a stored preprocessing layer is damaged: it is described as {stored!r}") from error


@keras.saving.register_keras_serializable("berthub")
class PreprocessingLayer(keras.layers.Layer):
    """A `Preprocessor` as a Keras layer: what `hub.KerasLayer` makes of a preprocessing model's handle.

    `handle` is that of a model, a `Preprocessor`, or its method `tokenize` or `bert_pack_inputs`. The layer takes and
    returns what these do. Texts, as lists or arrays, work on every backend of Keras and give its tensors; a
    `keras.Input(shape=(), dtype="string")`, and so texts inside of a model, on TensorFlow alone. The vocabulary is
    saved with a model in its `.keras` file. Nothing is trained, and `trainable` changes nothing.
    """

    def __init__(
        self,
        handle: "str | os.PathLike[str] | Preprocessor | PreprocessorDescription | Any",
        trainable: bool = False,
        *,
        step: Step = "__call__",
        vocabulary: str | os.PathLike[str] | None = None,
        sha256: str | Mapping[str, str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        offline: bool | None = None,
        **options: Any,
    ) -> None:
        seq_length = text_arguments(options)
        self._check_options(options)
        # Of the inputs, as Keras's own layers for texts have it: so a Sequential model declares its input by it.
        dtype = "int32" if step == "bert_pack_inputs" else "string"
        super().__init__(trainable=trainable, dtype=dtype, autocast=False, **options)
        self.supports_jit = False
        if isinstance(handle, PreprocessorDescription):
            made, description = None, handle
        else:
            if (owner := getattr(handle, "__self__", None)) is not None:
                handle, step = owner, handle.__name__
            if not isinstance(handle, Preprocessor):
                handle = Preprocessor(
                    handle, vocabulary=vocabulary, sha256=sha256, cache_dir=cache_dir, offline=offline
                )
            made = handle if seq_length is None else Preprocessor(handle.tokenizer, seq_length)
            description = PreprocessorDescription.of(made)
        self.step = step
        self._preprocessor = made
        self._description = description

    @staticmethod
    def _check_options(options: Mapping[str, Any]) -> None:
        if unknown := sorted(options.keys() - {"name", "autocast", "activity_regularizer"}):
            raise InputError(
                f"{', '.join(unknown)}: a preprocessing model has no weights and one kind of output; of the options of "
                "a KerasLayer it takes name, trainable, dtype (string), input_shape ([]), arguments (seq_length), "
                "vocabulary, sha256, cache_dir and offline"
            )

    @property
    def resolved_object(self) -> Preprocessor:
        """The preprocessor, which has `tokenize` and `bert_pack_inputs`."""
        if self._preprocessor is None:
            raise InputError(
                "the layer has no vocabulary: it was made from a configuration alone. keras.models.load_model has it "
                "from a .keras file; keras.models.clone_model does not copy it"
            )
        return self._preprocessor

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The vocabulary."""
        return None if self._preprocessor is None else self._preprocessor.tokenizer.vocabulary

    @property
    def input_shape(self) -> tuple[None]:
        """The shape of a batch of texts, by which a Sequential model that begins with the layer is built."""
        if self.step == "bert_pack_inputs":
            raise AttributeError("input_shape: segments of texts have no one shape")
        return (None,)

    def __call__(self, inputs: Any, text_pairs: Any = None, **options: Any) -> Any:
        """What the preprocessor makes of the inputs, eagerly or as symbols; `InputError` for what it does not take."""
        given = [inputs] if text_pairs is None else [inputs, text_pairs]
        leaves = keras.tree.flatten(given)
        if any(isinstance(leaf, keras.KerasTensor) for leaf in leaves):
            self._check_symbols(given)
        elif keras.config.backend() != "tensorflow" or not all(is_tensor(leaf) for leaf in leaves):
            return self._as_tensors(self._run(*given))
        return super().__call__(*given, **options)

    def call(self, inputs: Any, text_pairs: Any = None) -> Any:
        """What the preprocessor makes of TensorFlow's tensors."""
        return self._run(inputs) if text_pairs is None else self._run(inputs, text_pairs)

    def _run(self, *inputs: Any) -> Any:
        if self.step == "bert_pack_inputs":
            (segments,) = inputs
            # Keras wraps lists.
            segments = list(segments) if isinstance(segments, list | tuple) else segments
            return self.resolved_object.bert_pack_inputs(segments)
        return getattr(self.resolved_object, self.step)(*inputs)

    def _as_tensors(self, outputs: Any) -> Any:
        """The outputs as tensors of Keras's backend; ragged ones stay lists except on TensorFlow."""
        if isinstance(outputs, dict):
            # In the graph of a dataset there are TensorFlow's, whatever the backend, and no values yet.
            return {
                name: value if is_tensor(value) and not hasattr(value, "numpy") else _as_tensor(value)
                for name, value in outputs.items()
            }
        if keras.config.backend() == "tensorflow" and isinstance(outputs, list):
            import tensorflow as tf

            return tf.ragged.constant(outputs, tf.int32, ragged_rank=1)
        return outputs

    def _check_symbols(self, given: list[Any]) -> None:
        if self.step != "bert_pack_inputs":
            check_keras_texts(given)
        elif not isinstance(given[0], list | tuple) or len(given[0]) not in (1, 2) or len(given) > 1:
            raise InputError("segments are a list of one or of two of them, such as [tokenize(texts)]")

    def compute_output_spec(self, inputs: Any, text_pairs: Any = None) -> Any:
        """The shapes of the outputs."""
        first = inputs[0] if self.step == "bert_pack_inputs" else inputs
        batch = first.shape[0]
        if self.step == "tokenize":
            return keras.KerasTensor((batch, None), "int32", ragged=True)
        return {name: keras.KerasTensor((batch, self._description.seq_length), "int32") for name in ROWS}

    def get_config(self) -> dict[str, Any]:
        """The configuration that Keras stores; the vocabulary is in files beside it."""
        stored = {"preprocessor": self._description.to_dict(), "step": self.step}
        return {**super().get_config(), **stored}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The layer that `get_config` described; Keras gives it the vocabulary's files after that."""
        options = dict(config)
        stored, step = options.pop("preprocessor"), options.pop("step")
        if step not in STEPS:
            raise InputError(f"the stored layer is for {step!r}, which is none of {', '.join(STEPS)}")
        return cls(PreprocessorDescription.from_dict(stored), step=cast(Step, step), **options)

    def save_assets(self, folder: str) -> None:
        """Keep the vocabulary with the model that Keras saves."""
        write_vocabulary_files(self.resolved_object.tokenizer.vocabulary, Path(folder))

    def load_assets(self, folder: str) -> None:
        """Take the vocabulary from a model that Keras saved."""
        stored = self._description
        self._preprocessor = stored.preprocessor(read_vocabulary_files(Path(folder), stored.algorithm, stored.special))

    def _trackable_children(self, save_type: str = "checkpoint", **options: Any) -> dict[str, Any]:
        """TensorFlow's children of the layer; `InputError` for a SavedModel, which would hold no tokenizer."""
        if save_type == "savedmodel":
            raise InputError(
                f"the layer {self.name} tokenizes texts in Python, which no SavedModel can hold: save the whole model "
                'as model.save("model.keras"), and export the model behind this layer, whose inputs are its outputs'
            )
        children: dict[str, Any] = super()._trackable_children(save_type, **options)
        return children


def _as_tensor(value: Any) -> Any:
    return keras.ops.convert_to_tensor(np.asarray(value))
