"""TF Hub's own way: the SavedModel called by TensorFlow."""

from typing import Any

from benchmarks.batches import Batcher, Floats, Padded
from benchmarks.models import Model
from benchmarks.peers.peer import Output, Peer
from benchmarks.processes import UnavailableError

# `seq_length` of TF Hub's preprocessing models, unless a user changes it.
_WIDTH = 128


class TensorFlowHub(Peer):
    """`padded`: every text to 128 tokens, in the caller's order. Else batches of 32 sorted by length."""

    form = "saved_model"
    precision = "float32"

    def __init__(self, *, padded: bool) -> None:
        self.padded = self.in_order = padded
        self.name = "TF Hub SavedModel, " + (f"padded to {_WIDTH}" if padded else "sorted")
        if padded:
            self.longest = _WIDTH

    def load(self, model: Model) -> str:
        if model.saved_model is None:
            raise UnavailableError(model.reason)
        import numpy as np
        import tensorflow as tf

        self._tf: Any = tf
        self._model: Any = tf.saved_model.load(str(model.saved_model))
        width = _WIDTH if self.padded else None
        self._batcher = Batcher(model.vocabulary, in_order=self.padded, dtype=np.int32, width=width)
        return self.precision

    def encode(self, texts: list[str], output: Output) -> Floats:
        return self._batcher.encode(texts, lambda batch: self._run(batch, output))

    def _run(self, batch: Padded, output: Output) -> Floats:
        tf = self._tf
        inputs = {
            "input_word_ids": tf.constant(batch.ids),
            "input_mask": tf.constant(batch.mask),
            "input_type_ids": tf.constant(batch.type_ids),
        }
        found = self._model(inputs, training=False)
        if output == "mean":
            weights = tf.cast(inputs["input_mask"], tf.float32)[:, None, :]
            total = tf.matmul(weights, found["sequence_output"])[:, 0]
            return (total / tf.reduce_sum(weights, axis=2)).numpy()  # type: ignore[no-any-return]
        return found[f"{output}_output"].numpy()  # type: ignore[no-any-return]
