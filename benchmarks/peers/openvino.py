"""OpenVINO as its users write it: the converted PyTorch model in a simple loop, batches of 32 sorted by length."""

from typing import Any

from benchmarks.batches import Batcher, Floats, Padded
from benchmarks.models import Model
from benchmarks.peers.peer import Output, Peer
from benchmarks.peers.traced import openvino_file
from benchmarks.processes import UnavailableError

_HINTS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoLoop(Peer):
    def __init__(self, *, precision: str) -> None:
        self.name, self.precision = "OpenVINO, a simple loop, sorted", precision

    def load(self, model: Model) -> str:
        import numpy as np
        import openvino as ov

        self._core: Any = ov.Core()
        if self.precision == "bfloat16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise UnavailableError("this processor has no native bfloat16")
        self._model, self._loaded = model, ""
        self._batcher = Batcher(model.vocabulary, in_order=False, dtype=np.int64)
        return self.precision

    def encode(self, texts: list[str], output: Output) -> Floats:
        # One compiled model at a time: each has the weights.
        if output != self._loaded:
            settings = {"INFERENCE_PRECISION_HINT": _HINTS[self.precision]}
            path = openvino_file(self._model, output)
            self._compiled: Any = self._core.compile_model(path, "CPU", settings)
            self._loaded = output
        return self._batcher.encode(texts, self._run)

    def _run(self, batch: Padded) -> Floats:
        return self._compiled([batch.ids, batch.mask, batch.type_ids])[0]  # type: ignore[no-any-return]
