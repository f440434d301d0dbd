"""The model that is trained: the layer, dropout, and a head of dense layers."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.choices import Pooling
from berthub.head import Head, HiddenLayer, Task, hidden_output
from berthub.networks.interface import INPUTS
from berthub.networks.outputs import pool
from berthub.training.keras_layer import KerasLayer
from berthub.training.operations import operations
from berthub.training.randomness import Use, seed_for, stream
from berthub.training.weights import initial_value

__all__ = ["Adaptation", "Scaling", "TaskModel", "build_model", "loss_of"]


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """How the encoder is adapted: which layers are frozen, and LoRA; see `berthub.KerasLayer`."""

    dropout: float = 0.1
    freeze_layers: int = 0
    freeze_embeddings: bool = False
    lora_rank: int | None = None
    lora_alpha: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Scaling:
    """The scaling of regression targets: a prediction is the model's output times `scale`, plus `centre`."""

    centre: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class TaskModel:
    """The Keras model (inputs in TF Hub's names to logits [b, labels] or [b, s, labels]) and how to read it back."""

    keras: Any
    layer: KerasLayer
    head_layers: "_HeadLayers"
    start: Checkpoint
    head: Head
    scaling: Scaling

    def torch_forward(self, inputs: Mapping[str, Any]) -> Any:
        """The logits in training, on PyTorch: those of `keras`, computed without padding where the model allows it."""
        if self.start.config.sees_padding:
            return self.keras(inputs, training=True)
        from berthub.training.torch_forward import forward_without_padding

        return self.head_layers(forward_without_padding(self.layer, inputs), inputs["input_mask"], training=True)

    def checkpoint(self) -> Checkpoint:
        """The model as it is now."""
        kernel, bias = _arrays(self.head_layers.dense)
        head = dataclasses.replace(
            self.head,
            hidden=self.head_layers.hidden_layers(self.head),
            kernel=(kernel * self.scaling.scale).astype(np.float32),
            bias=(bias * self.scaling.scale + self.scaling.centre).astype(np.float32),
        )
        # What other weights were calibrated for does not fit these.
        return dataclasses.replace(self.start, weights=self.layer.weights_by_name(), head=head, quantization=None)


def build_model(
    start: Checkpoint,
    *,
    task: Task,
    labels: tuple[str, ...],
    pooling: Pooling | None,
    max_length: int,
    adaptation: Adaptation,
    policy: str,
    scaling: Scaling,
) -> TaskModel:
    """A model that begins with the weights of `start`, and with its head, if that has the same task and labels.

    `InputError` for an adaptation that the model cannot have.
    """
    layer = KerasLayer(
        start,
        trainable=True,
        output_key="pooled_output" if pooling == "pooled" else "sequence_output",
        freeze_layers=adaptation.freeze_layers,
        freeze_embeddings=adaptation.freeze_embeddings,
        lora_rank=adaptation.lora_rank,
        lora_alpha=adaptation.lora_alpha,
        seed=adaptation.seed,
        dtype=policy,
        name="bert",
    )
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in INPUTS}
    head = _first_head(
        start,
        task=task,
        labels=labels,
        pooling=pooling,
        max_length=max_length,
        seed=adaptation.seed,
        scaling=scaling,
    )
    head_layers = _HeadLayers(head, adaptation=adaptation)
    logits = head_layers(layer(inputs), inputs["input_mask"])
    head_layers.set_hidden_layers(head)
    head_layers.dense.set_weights([head.kernel / scaling.scale, (head.bias - scaling.centre) / scaling.scale])
    model = keras.Model(inputs, logits, name=task)
    return TaskModel(model, layer, head_layers, start, head, scaling)


def loss_of(task: Task) -> Any:
    """The Keras loss of a task, the mean over what has weight."""
    reduction = "mean_with_sample_weight"
    match task:
        case "classify" | "tag":
            return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
        case "multi_label":
            return keras.losses.BinaryCrossentropy(from_logits=True, reduction=reduction)
        case "regress":
            return keras.losses.MeanSquaredError(reduction=reduction)


class _HeadLayers:
    """The Keras layers on top of the encoder: pooling, the head's hidden layers, dropout, and its output layer."""

    def __init__(self, head: Head, *, adaptation: Adaptation) -> None:
        seed = seed_for(adaptation.seed, Use.HEAD_DROPOUT)
        pooling = head.pooling
        self._pooling = None if pooling is None or pooling == "pooled" else _TextPooling(pooling, dtype="float32")
        self._hidden = [
            _Hidden(layer, dtype="float32", name=f"head_hidden_{number}") for number, layer in enumerate(head.hidden)
        ]
        self._dropout = _Dropout(adaptation.dropout, seed, dtype="float32", name="dropout")
        self.dense = keras.layers.Dense(len(head.labels), dtype="float32", name="head")

    def __call__(self, encoded: Any, mask: Any, *, training: bool | None = None) -> Any:
        """The logits, from the encoder's outputs for inputs with that mask."""
        x = encoded if self._pooling is None else self._pooling(encoded, mask)
        for layer in self._hidden:
            x = layer(x)
        return self.dense(self._dropout(x, training=training))

    def set_hidden_layers(self, head: Head) -> None:
        """Give the hidden layers, which are built by now, the weights of that head."""
        for layer, stored in zip(self._hidden, head.hidden, strict=True):
            layer.set_weights([*stored.weights.values()])

    def hidden_layers(self, head: Head) -> tuple[HiddenLayer, ...]:
        """The hidden layers of that head with the weights that they have now."""
        changed = []
        for layer, stored in zip(self._hidden, head.hidden, strict=True):
            weights: dict[str, Any] = dict(zip(stored.weights, _arrays(layer), strict=True))
            changed.append(dataclasses.replace(stored, **weights))
        return tuple(changed)


class _Hidden(keras.layers.Layer):
    """A hidden layer of a head: a dense layer, its activation and, where it has one, a layer norm."""

    def __init__(self, layer: HiddenLayer, **options: Any) -> None:
        super().__init__(**options)
        self._layer = layer

    def build(self, input_shape: Any) -> None:
        """Make the weights, in the order of `HiddenLayer.weights`."""
        self._named = {
            name: self.add_weight(shape=weight.shape, name=name, initializer="zeros")
            for name, weight in self._layer.weights.items()
        }

    def call(self, x: Any) -> Any:
        weights = {name: keras.ops.convert_to_tensor(weight) for name, weight in self._named.items()}
        return hidden_output(operations("float32", None), self._layer, weights, x)

    def compute_output_spec(self, x: Any) -> Any:
        return keras.KerasTensor((*x.shape[:-1], len(self._layer.bias)), "float32")


class _TextPooling(keras.layers.Layer):
    """One vector for each text from its token vectors."""

    def __init__(self, pooling: Pooling, **options: Any) -> None:
        super().__init__(**options)
        self._pooling = pooling

    def call(self, x: Any, mask: Any) -> Any:
        return pool(operations("float32", None), x, mask, self._pooling)

    def compute_output_spec(self, x: Any, mask: Any) -> Any:
        return keras.KerasTensor((x.shape[0], x.shape[-1]), "float32")


class _Dropout(keras.layers.Layer):
    """Dropout before the head, by the same operation as within the encoder.

    Keras's own adds the number of the step to the seed on PyTorch: neighbouring seeds have the same masks there, a
    step apart.
    """

    def __init__(self, rate: float, seed: int, **options: Any) -> None:
        super().__init__(**options)
        self._rate = rate
        self._seed_generator = keras.random.SeedGenerator(seed)

    def call(self, x: Any, training: bool | None = None) -> Any:
        return operations("float32", self._seed_generator).dropout(x, self._rate) if training else x

    def compute_output_spec(self, x: Any, training: bool | None = None) -> Any:
        return keras.KerasTensor(x.shape, "float32")


def _arrays(layer: Any) -> list[Any]:
    """The weights of a Keras layer as arrays."""
    return [np.asarray(keras.ops.convert_to_numpy(weight.value), np.float32) for weight in layer.weights]


def _first_head(
    start: Checkpoint,
    *,
    task: Task,
    labels: tuple[str, ...],
    pooling: Pooling | None,
    max_length: int,
    seed: int,
    scaling: Scaling,
) -> Head:
    old = start.head
    if old is not None and (old.task, old.labels, old.pooling) == (task, labels, pooling):
        # Training compares the outputs themselves with the targets.
        return dataclasses.replace(old, max_length=max_length, activation="identity")
    shape = (start.config.hidden_size, len(labels))
    kernel = initial_value("head/kernel", shape, start.config, stream(seed, Use.HEAD))
    return Head(
        task=task,
        labels=labels,
        pooling=pooling,
        max_length=max_length,
        kernel=(kernel * scaling.scale).astype(np.float32),
        bias=np.full(len(labels), scaling.centre, np.float32),
    )
