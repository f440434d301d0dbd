"""The canonical representation of a model, whatever format it came from."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from berthub.config import EncoderConfig
from berthub.embedding import UNSAID, Embedding
from berthub.errors import CheckpointError, InputError
from berthub.head import Head
from berthub.networks.network import weight_shapes
from berthub.quantization import Quantization
from berthub.vocabulary import AddedToken, Vocabulary

__all__ = ["Checkpoint", "Origin", "Weights"]

# The weights that have a row for each piece.
_TABLE, _BIAS = "bert/embeddings/word_embeddings", "cls/predictions/output_bias"

Weights = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a checkpoint came from.

    `settings` says for each setting of the configuration where it was read, or from what it was inferred; `unused`
    names the weights in the files that the encoder has no place for (task heads, optimizer slots), and `head` those of
    them that stand between the encoder and a model's output, where the files tell. `notes` are sentences on what was
    inferred and may be wrong.
    """

    format: str
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    head: tuple[str, ...] = ()

    @property
    def unread_head(self) -> tuple[str, ...]:
        """The unused weights that are, by their place or their names, the kernel or bias of a task's head."""
        return self.head or tuple(
            name for name in self.unused if any(part in name for part in _HEADS) and not _is_slot(name)
        )


# What is in the names of the weights that tasks put on an encoder, in the code of transformers, Google and Keras.
_HEADS = (
    "classifier",
    "qa_outputs",
    "output_weights",
    "output_bias",
    "start_logits",
    "task_specific",
    "end_logits",
    "sequence_summary",
    "seq_relationship",
    "discriminator_predictions",
    "cls.predictions",
    "cls/",
    "logits",
)
# What an optimizer keeps of each weight.
_SLOTS = ("adam", "optimizer", "/m", "/v", "lamb", "momentum")


def _is_slot(name: str) -> bool:
    lowered = name.lower()
    return any(slot in lowered if slot[0] != "/" else lowered.endswith(slot) for slot in _SLOTS)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A model: configuration, weights and vocabulary, and the head if it was fine-tuned for a task.

    `weights` are float32 arrays under the names of the original releases, kernels `[in, out]`
    (`berthub.networks.network.weight_shapes` lists them); as a rule they are views of memory-mapped files. Making one
    validates it: every missing, extra and mis-shaped weight, and a vocabulary of more pieces than the embedding table
    has rows (padded tables have more), are named in one `CheckpointError`. `quantization` is there for a model that was
    calibrated for 8-bit integers. `embedding` is what the model's files say of its sentence vectors. A pickle holds the
    weights, as large as they are.
    """

    config: EncoderConfig
    weights: Weights
    vocabulary: Vocabulary
    origin: Origin
    head: Head | None = None
    quantization: Quantization | None = None
    embedding: Embedding = UNSAID

    def __post_init__(self) -> None:
        faults = [
            *_weight_faults(self.config, self.weights),
            *_vocabulary_faults(self.config, self.vocabulary),
            *_head_faults(self.config, self.head),
            *_quantization_faults(self.weights, self.quantization),
            *_embedding_faults(self.config, self.embedding),
        ]
        if faults:
            raise CheckpointError(
                f"the {self.origin.format} model in {self.origin.folder} does not fit its configuration:\n  "
                + "\n  ".join(faults)
            )
        object.__setattr__(self, "weights", MappingProxyType(dict(self.weights)))

    def __getstate__(self) -> dict[str, Any]:
        # With the weights themselves, as copies: they need not lie in any file.
        return {**vars(self), "weights": dict(self.weights)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        vars(self)["weights"] = MappingProxyType(state["weights"])

    def __repr__(self) -> str:
        config, origin = self.config, self.origin
        return (
            f"<Checkpoint {config.architecture}, {config.num_layers} layers of {config.hidden_size}, "
            f"{self.parameters:,} parameters, {origin.format} in {origin.folder}>"
        )

    @property
    def parameters(self) -> int:
        """The number of parameters, of the masked-language-model head, too."""
        return sum(weight.size for weight in self.weights.values())

    def add_tokens(
        self, tokens: Iterable[str | AddedToken], *, special: bool = False, vectors: npt.ArrayLike | None = None
    ) -> Self:
        """The model with more added tokens, and a row of the embedding table for each that is not in the vocabulary.

        `vectors`, float [new tokens, width of the table], are these rows; without them each is the mean of the rows of
        the other pieces, as in transformers. The bias of a masked-language-model head becomes the mean, too.
        `special` tokens are no part of a text. Only the tokenization `transformers` looks for added tokens: for a model
        with another one, and for vectors of another shape, `InputError`.
        """
        if self.config.tokenization != "transformers":
            raise InputError(
                f"the model's tokenization is {self.config.tokenization!r}, which looks for no added tokens; load it "
                "with tokenization='transformers', which may split other texts differently"
            )
        vocabulary = self.vocabulary.with_added(tokens, special=special)
        old, new = len(self.vocabulary), len(vocabulary)
        config = dataclasses.replace(self.config, vocab_size=max(self.config.vocab_size, new))
        width = self.weights[_TABLE].shape[1]
        rows = None if vectors is None else np.asarray(vectors, np.float32)
        if rows is not None and rows.shape != (new - old, width):
            raise InputError(f"vectors must have the shape {(new - old, width)}, one for each new token: {rows.shape}")
        weights = dict(self.weights)
        for name in (_TABLE, _BIAS):
            if name in weights and new > old:
                # Rows that are there without a piece were never trained.
                weight = weights[name]
                more = np.zeros((config.vocab_size - len(weight), *weight.shape[1:]), np.float32)
                weights[name] = grown = np.concatenate([weight, more])
                grown[old:new] = weight[:old].mean(0) if rows is None or name == _BIAS else rows
        return dataclasses.replace(self, config=config, weights=weights, vocabulary=vocabulary)

    def in_memory(self) -> Self:
        """The same model with copies of its arrays, so that changes of its files do not matter."""
        copies: dict[Any, npt.NDArray[Any]] = {}

        def copied(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
            # An array that stands under two names is one in the copy, too.
            key = array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str
            if key not in copies:
                copies[key] = np.array(array)
            return copies[key]

        def with_copies(thing: Any) -> Any:
            if not dataclasses.is_dataclass(thing) or isinstance(thing, type):
                return thing
            arrays = {name: copied(value) for name, value in vars(thing).items() if isinstance(value, np.ndarray)}
            return dataclasses.replace(thing, **arrays)

        embedding = self.embedding
        return dataclasses.replace(
            self,
            embedding=dataclasses.replace(embedding, layers=tuple(map(with_copies, embedding.layers))),
            weights={name: copied(weight) for name, weight in self.weights.items()},
            head=None if self.head is None else self.head.with_weights(copied),
            quantization=None
            if self.quantization is None
            else {name: with_copies(layer) for name, layer in self.quantization.items()},
        )


def _weight_faults(config: EncoderConfig, weights: Weights) -> list[str]:
    expected = weight_shapes(config)
    faults = [f"{name} {shape} is missing" for name, shape in expected.items() if name not in weights]
    for name, weight in weights.items():
        if name not in expected:
            faults.append(f"{name} {weight.shape} has no place in a model of {config.num_layers} layers")
        elif weight.shape != expected[name]:
            faults.append(f"{name} has shape {weight.shape}, not {expected[name]}")
        elif weight.dtype != np.float32:
            faults.append(f"{name} is of type {weight.dtype}, not float32")
    return faults


def _vocabulary_faults(config: EncoderConfig, vocabulary: Vocabulary) -> list[str]:
    # More rows than pieces are common: tables are padded to a multiple of 8 or 64.
    if len(vocabulary) <= config.vocab_size:
        return []
    return [
        f"the vocabulary has {len(vocabulary):,} pieces, and the embedding table {config.vocab_size:,} rows for them: "
        "they belong to different models, or pieces were added without resizing the table"
    ]


def _quantization_faults(weights: Weights, quantization: Quantization | None) -> list[str]:
    faults = []
    for name, layer in (quantization or {}).items():
        shape = layer.smoothing.shape + layer.correction.shape
        if name not in weights:
            faults.append(f"the quantization has a layer {name}, which the model has not")
        elif weights[name].shape != shape:
            faults.append(f"the quantization of {name} is for a kernel of shape {shape}, not {weights[name].shape}")
    return faults


def _head_faults(config: EncoderConfig, head: Head | None) -> list[str]:
    if head is None:
        return []
    faults = []
    if head.hidden and head.input_size != config.hidden_size:
        faults.append(
            f"the head's hidden layer has {head.input_size} inputs, and the model {config.hidden_size} outputs"
        )
    elif head.input_size != config.hidden_size:
        faults.append(f"the head's kernel has shape {head.kernel.shape}, not {(config.hidden_size, len(head.labels))}")
    if head.pooling == "pooled" and not config.has_pooled_output:
        faults.append("the head wants the pooler's output, and the model has no pooler")
    if head.max_length > config.max_positions:
        faults.append(f"the head's max_length is {head.max_length}, and the model has {config.max_positions} positions")
    return faults


def _embedding_faults(config: EncoderConfig, embedding: Embedding) -> list[str]:
    faults = []
    try:
        embedding.width(config.hidden_size)
    except CheckpointError as error:
        faults.append(str(error))
    if "pooled" in embedding.poolings and not config.has_pooled_output:
        faults.append("the sentence vectors are to be the pooler's output, and the model has no pooler")
    if embedding.max_length is not None and embedding.max_length > config.max_positions:
        faults.append(
            f"the sentence vectors are of up to {embedding.max_length} tokens, and the model has "
            f"{config.max_positions} positions"
        )
    return faults
