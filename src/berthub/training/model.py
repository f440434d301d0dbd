"""The model that is trained: the layer, dropout, and a dense head."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.choices import Pooling
from berthub.head import Head, Task
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
        kernel, bias = (
            np.asarray(keras.ops.convert_to_numpy(weight.value)) for weight in self.head_layers.dense.weights
        )
        head = dataclasses.replace(
            self.head,
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
    head_layers = _HeadLayers(len(labels), pooling=pooling, adaptation=adaptation)
    logits = head_layers(layer(inputs), inputs["input_mask"])
    head = _first_head(
        start,
        task=task,
        labels=labels,
        pooling=pooling,
        max_length=max_length,
        seed=adaptation.seed,
        scaling=scaling,
    )
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
    """The Keras layers on top of the encoder: pooling, dropout, and the dense head."""

    def __init__(self, labels: int, *, pooling: Pooling | None, adaptation: Adaptation) -> None:
        seed = seed_for(adaptation.seed, Use.HEAD_DROPOUT)
        self._pooling = None if pooling is None or pooling == "pooled" else _TextPooling(pooling, dtype="float32")
        self._dropout = _Dropout(adaptation.dropout, seed, dtype="float32", name="dropout")
        self.dense = keras.layers.Dense(labels, dtype="float32", name="head")

    def __call__(self, encoded: Any, mask: Any, *, training: bool | None = None) -> Any:
        """The logits, from the encoder's outputs for inputs with that mask."""
        pooled = encoded if self._pooling is None else self._pooling(encoded, mask)
        return self.dense(self._dropout(pooled, training=training))


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
        return dataclasses.replace(old, max_length=max_length)
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
