"""sentence-transformers: the mean of the token vectors, its own sorting, batches of 32 (its default)."""

from pathlib import Path
from typing import Any

from benchmarks.batches import BATCH, Floats
from benchmarks.models import Model
from benchmarks.peers.peer import Output, Peer


class SentenceTransformers(Peer):
    """The other backends are what optimum exports, which asks for older transformers than the rest."""

    outputs = ("mean",)

    def __init__(self, *, backend: str) -> None:
        self.name, self.precision, self.backend = f"sentence-transformers, {backend}", "float32", backend
        self.optimum = backend != "torch"
        if backend == "openvino":
            # OpenVINO chooses bfloat16 where the processor has it.
            self.precision = "auto"

    def load(self, model: Model) -> str:
        from sentence_transformers import SentenceTransformer

        if self.backend == "torch":
            self._model: Any = assembled(model.huggingface, self.backend)
            return "float32"
        folder = exported(model, self.backend)
        if not (folder / "modules.json").exists():
            assembled(model.huggingface, self.backend).save_pretrained(str(folder))
        self._model = SentenceTransformer(str(folder), backend=self.backend, device="cpu")
        return "float32" if self.backend == "onnx" else _openvino_arithmetic()

    def encode(self, texts: list[str], output: Output) -> Floats:
        return self._model.encode(texts, batch_size=BATCH, show_progress_bar=False)  # type: ignore[no-any-return]


def exported(model: Model, backend: str) -> Path:
    """The folder that holds what optimum made of the model."""
    return model.exports / f"sentence_transformers_{backend}"


def assembled(folder: Path, backend: str) -> Any:
    """The encoder and the mean over its tokens; any other backend than torch exports it first."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer

    transformer = Transformer(str(folder), max_seq_length=512, backend=backend)
    pooling = Pooling(transformer.get_word_embedding_dimension(), "mean")
    return SentenceTransformer(modules=[transformer, pooling], device="cpu")


def _openvino_arithmetic() -> str:
    import openvino as ov

    native = "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bfloat16" if native else "float32"
