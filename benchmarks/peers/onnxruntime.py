"""ONNX Runtime on the model that PyTorch exports, all graph optimizations on, batches of 32 sorted by length."""

from typing import Any

from benchmarks.batches import Batcher, Floats, Padded
from benchmarks.models import Model
from benchmarks.peers.peer import Output, Peer
from benchmarks.peers.traced import INPUTS, onnx_file


class OnnxRuntime(Peer):
    name = "ONNX Runtime, sorted"
    precision = "float32"

    def load(self, model: Model) -> str:
        import numpy as np
        import onnxruntime

        self._session_of: Any = onnxruntime.InferenceSession
        self._model, self._loaded = model, ""
        self._batcher = Batcher(model.vocabulary, in_order=False, dtype=np.int64)
        return self.precision

    def encode(self, texts: list[str], output: Output) -> Floats:
        # One session at a time: each has the weights.
        if output != self._loaded:
            path = onnx_file(self._model, output)
            self._session: Any = self._session_of(path, providers=["CPUExecutionProvider"])
            self._loaded = output
        return self._batcher.encode(texts, self._run)

    def _run(self, batch: Padded) -> Floats:
        values = (batch.ids, batch.mask, batch.type_ids)
        # Inputs that the export found to be unused are not inputs of the session.
        known = {node.name for node in self._session.get_inputs()}
        feed = {name: value for name, value in zip(INPUTS, values, strict=True) if name in known}
        return self._session.run(None, feed)[0]  # type: ignore[no-any-return]
