"""fastembed on the model that PyTorch exports, with its own tokenization, batches of 32 in the caller's order."""

import shutil
from typing import Any

from benchmarks.batches import BATCH, Floats
from benchmarks.models import Model
from benchmarks.peers.peer import Output, Peer
from benchmarks.peers.traced import onnx_file
from benchmarks.processes import UnavailableError

# What it wants beside the model.
_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")


class FastEmbed(Peer):
    name = "fastembed"
    precision = "float32"
    outputs = ("pooled", "mean")
    in_order = True

    def load(self, model: Model) -> str:
        import fastembed  # noqa: F401

        missing = [name for name in _FILES if not (model.huggingface / name).exists()]
        if missing:
            raise UnavailableError(f"it needs {', '.join(missing)} beside the weights")
        self._model_files, self._loaded = model, ""
        return self.precision

    def encode(self, texts: list[str], output: Output) -> Floats:
        import numpy as np

        if output != self._loaded:
            self._embedding, self._loaded = self._embed(output), output
        return np.stack(list(self._embedding.embed(texts, batch_size=BATCH))).astype(np.float32, copy=False)

    def _embed(self, output: Output) -> Any:
        from fastembed import TextEmbedding
        from fastembed.common.model_description import ModelSource, PoolingType

        # The exported models have the vector as their one output.
        model, path = self._model_files, onnx_file(self._model_files, output)
        for name in _FILES:
            shutil.copyfile(model.huggingface / name, path.parent / name)
        TextEmbedding.add_custom_model(
            model=f"{model.name}-{output}",
            pooling=PoolingType.DISABLED,
            normalization=False,
            sources=ModelSource(hf=model.name),
            dim=model.config["hidden_size"],
            model_file=path.name,
        )
        return TextEmbedding(f"{model.name}-{output}", specific_model_path=str(path.parent))
