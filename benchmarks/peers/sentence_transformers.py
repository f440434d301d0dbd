"""sentence-transformers: the mean of the token vectors, its own sorting, batches of 32 (its default)."""

import importlib.util
from typing import Any

from benchmarks.batches import BATCH, Floats
from benchmarks.models import Model
from benchmarks.peers.peer import Peer, UnavailableError


class SentenceTransformers(Peer):
    pooling = "mean"

    def __init__(self, *, backend: str) -> None:
        self.name, self.precision, self.backend = f"sentence-transformers, {backend}", "float32", backend
        if backend == "openvino":
            # OpenVINO chooses bfloat16 where the processor has it.
            self.precision = "auto"

    def load(self, model: Model) -> None:
        if self.backend == "openvino" and importlib.util.find_spec("optimum") is None:
            raise UnavailableError("optimum-intel is not installed (it asks for older transformers than the rest)")
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.models import Pooling, Transformer

        transformer = Transformer(str(model.huggingface), max_seq_length=512, backend=self.backend)
        pooling = Pooling(transformer.get_word_embedding_dimension(), "mean")
        self._model: Any = SentenceTransformer(modules=[transformer, pooling], device="cpu")

    def encode(self, texts: list[str]) -> Floats:
        return self._model.encode(texts, batch_size=BATCH, show_progress_bar=False)  # type: ignore[no-any-return]
