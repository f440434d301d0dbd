"""Keras the way people ran it: every text padded to one width, float32, `Model.fit` on TensorFlow."""

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.finetuning.pieces import IGNORED, Padded, Pieces, pad
from benchmarks.finetuning.settings import LARGEST_NORM, WARM_UP, WEIGHT_DECAY, Settings
from benchmarks.finetuning.systems.system import System
from benchmarks.finetuning.tasks import Examples, Task
from benchmarks.processes import UnavailableError

_DROPOUT = 0.1
# What a weight's name has where it is no kernel and no embedding.
_PLAIN = ["bias", "gamma", "beta"]


class _KerasFixed(System):
    """An encoder layer, dropout, a dense layer."""

    _inputs: tuple[str, str, str]

    @abstractmethod
    def _prepare(self, settings: Settings) -> tuple[Any, Any]:
        """The Keras that is used, and the encoder: a layer from a dict of `_inputs` to a dict of outputs."""

    def load(self, task: Task, settings: Settings, seed: int) -> None:
        keras, encoder = self._prepare(settings)
        keras.utils.set_random_seed(seed)
        self._keras, self._task, self._settings = keras, task, settings
        self._width = min(task.width, settings.max_length)
        self._pieces = Pieces(settings.model / "vocab.txt", task, self._width)
        inputs = {name: keras.Input((self._width,), dtype="int32", name=name) for name in self._inputs}
        encoded = encoder(inputs)["sequence_output" if task.tagging else "pooled_output"]
        logits = keras.layers.Dense(len(task.labels))(keras.layers.Dropout(_DROPOUT)(encoded))
        self._model: Any = keras.Model(inputs, logits)
        self._steps: int | None = None

    def fit(self, examples: Examples, epochs: int) -> list[float]:
        size = self._settings.batch_size
        batch = pad(self._pieces.rows(examples.inputs, examples.labels), self._width)
        self._compile(steps=-(-len(examples) // size) * epochs)
        seconds: list[float] = []
        clock = _clock(self._keras, seconds)
        counted = (batch.targets != IGNORED).astype(np.float32) if self._task.tagging else None
        self._model.fit(
            self._arrays(batch),
            np.maximum(batch.targets, 0),
            sample_weight=counted,
            batch_size=size,
            epochs=epochs,
            callbacks=[clock],
            verbose=0,
        )
        return seconds

    def predict(self, inputs: Sequence[Any]) -> list[Any]:
        rows = self._pieces.rows(inputs)
        logits = self._model.predict(self._arrays(pad(rows, self._width)), batch_size=64, verbose=0)
        return self._pieces.labels(inputs, rows, logits.argmax(-1).tolist())

    def _arrays(self, batch: Padded) -> dict[str, Any]:
        arrays = (batch.ids, batch.mask, batch.type_ids)
        return {name: array.astype(np.int32) for name, array in zip(self._inputs, arrays, strict=True)}

    def _compile(self, *, steps: int) -> None:
        keras = self._keras
        if steps == self._steps:
            # Compiled already; to do it again would trace the whole graph again.
            self._model.optimizer.iterations.assign(0)
            return
        rate = _schedule(keras, self._settings.learning_rate, steps)
        optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY, global_clipnorm=LARGEST_NORM)
        optimizer.exclude_from_weight_decay(var_names=_PLAIN)
        self._model.compile(optimizer=optimizer, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        self._steps = steps


class TensorFlowHubLayer(_KerasFixed):
    """`tensorflow_hub.KerasLayer` on the SavedModel: what the guides of TF Hub showed. Keras 2, as it must be."""

    name, title = "tf-hub", "tensorflow_hub.KerasLayer, padded, float32"
    environment: Mapping[str, str] = {"TF_USE_LEGACY_KERAS": "1"}
    _inputs = ("input_word_ids", "input_mask", "input_type_ids")

    def _prepare(self, settings: Settings) -> tuple[Any, Any]:
        if settings.saved_model is None:
            raise UnavailableError("--saved-model was not given")
        import tensorflow_hub
        import tf_keras

        return tf_keras, tensorflow_hub.KerasLayer(str(settings.saved_model), trainable=True)


class BerthubLayer(_KerasFixed):
    """`berthub.KerasLayer` in the same loop: the layer alone, without berthub's own training."""

    name, title = "keras-layer", "berthub.KerasLayer, padded, float32"
    environment: Mapping[str, str] = {"KERAS_BACKEND": "tensorflow"}
    _inputs = ("input_ids", "attention_mask", "token_type_ids")

    def _prepare(self, settings: Settings) -> tuple[Any, Any]:
        import keras

        import berthub

        return keras, berthub.KerasLayer(settings.model, trainable=True)


def _schedule(keras: Any, peak: float, steps: int) -> Any:
    """A learning rate that rises to `peak` and falls to nothing in straight lines."""
    import tensorflow as tf

    warm_up = int(WARM_UP * steps)

    class Schedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        def __call__(self, step: Any) -> Any:
            step = tf.cast(step, tf.float32)
            return peak * tf.minimum(step / max(warm_up, 1), (steps - step) / max(steps - warm_up, 1))

        def get_config(self) -> dict[str, Any]:
            return {}

    return Schedule()


def _clock(keras: Any, seconds: list[float]) -> Any:
    """Record the seconds of each epoch."""

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._start = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seconds.append(time.perf_counter() - self._start)

    return Clock()
