"""PyTorch and transformers, batches of 32 sorted by length."""

from typing import Any

from benchmarks.batches import Batcher, Floats, Padded
from benchmarks.models import Model
from benchmarks.peers.peer import Output, Peer
from benchmarks.peers.traced import chosen


class Transformers(Peer):
    def __init__(self, *, precision: str) -> None:
        self.name, self.precision = "PyTorch + transformers, sorted", precision

    def load(self, model: Model) -> str:
        import numpy as np
        import torch
        from transformers import BertModel

        self._torch: Any = torch
        dtype = getattr(torch, self.precision)
        self._model: Any = BertModel.from_pretrained(model.huggingface, dtype=dtype).eval()
        self._batcher = Batcher(model.vocabulary, in_order=False, dtype=np.int64)
        return self.precision

    def encode(self, texts: list[str], output: Output) -> Floats:
        with self._torch.inference_mode():
            return self._batcher.encode(texts, lambda batch: self._run(batch, output))

    def _run(self, batch: Padded, output: Output) -> Floats:
        tensor = self._torch.from_numpy
        mask = tensor(batch.mask)
        found = self._model(input_ids=tensor(batch.ids), attention_mask=mask, token_type_ids=tensor(batch.type_ids))
        return chosen(found, mask, output).float().numpy()  # type: ignore[no-any-return]
