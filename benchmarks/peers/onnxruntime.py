"""ONNX Runtime on the model that PyTorch exports, all graph optimizations on, batches of 32 sorted by length."""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.batches import Batcher, Floats, Padded
from benchmarks.models import Model
from benchmarks.peers.peer import Peer
from benchmarks.peers.traced import example, pooled_module

_INPUTS = ["ids", "mask", "type_ids"]


class OnnxRuntime(Peer):
    name = "ONNX Runtime, sorted"
    precision = "float32"

    def load(self, model: Model) -> None:
        import numpy as np
        import onnxruntime
        import torch

        # Eager attention: a graph of plain operations, in which ONNX Runtime finds what it can fuse.
        module = pooled_module(model, attention="eager")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            axes = {name: {0: "batch", 1: "tokens"} for name in _INPUTS}
            torch.onnx.export(
                module,
                example(),
                str(path),
                input_names=_INPUTS,
                output_names=["pooled"],
                dynamic_axes={**axes, "pooled": {0: "batch"}},
                opset_version=17,
                dynamo=False,
            )
            self._session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self._batcher = Batcher(model.vocabulary, in_order=False, dtype=np.int64)

    def encode(self, texts: list[str]) -> Floats:
        return self._batcher.encode(texts, self._run)

    def _run(self, batch: Padded) -> Floats:
        values = (batch.ids, batch.mask, batch.type_ids)
        # Inputs that the export found to be unused are not inputs of the session.
        known = {node.name for node in self._session.get_inputs()}
        feed = {name: value for name, value in zip(_INPUTS, values, strict=True) if name in known}
        return self._session.run(["pooled"], feed)[0]  # type: ignore[no-any-return]
