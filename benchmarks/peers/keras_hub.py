"""keras-hub's BERT on Keras 3, its weights converted from the Hugging Face folder, batches of 32 sorted by length."""

from typing import Any

from benchmarks.batches import Batcher, Floats, Padded
from benchmarks.models import Model
from benchmarks.peers.peer import Output, Peer


class KerasHub(Peer):
    # It makes the tanh GELU of every GELU.
    form = "saved_model"
    precision = "float32"

    def __init__(self, *, backend: str) -> None:
        self.name = f"keras-hub on {backend}, sorted"
        self.environment = {"KERAS_BACKEND": backend}

    def load(self, model: Model) -> str:
        import numpy as np
        from keras_hub.models import BertBackbone

        self._model: Any = BertBackbone.from_preset(str(model.huggingface))
        self._batcher = Batcher(model.vocabulary, in_order=False, dtype=np.int32)
        return self.precision

    def encode(self, texts: list[str], output: Output) -> Floats:
        def run(batch: Padded) -> Floats:
            inputs = {"token_ids": batch.ids, "padding_mask": batch.mask, "segment_ids": batch.type_ids}
            found = self._model.predict_on_batch(inputs)
            if output == "mean":
                return mean(found["sequence_output"], batch)
            return found[f"{output}_output"]  # type: ignore[no-any-return]

        return self._batcher.encode(texts, run)


def mean(vectors: Floats, batch: Padded) -> Floats:
    """The mean of the token vectors [b, s, hidden] over real tokens."""
    import numpy as np

    weights = batch.mask.astype(np.float32)[:, None, :]
    return (weights @ vectors)[:, 0] / weights.sum(axis=2)
