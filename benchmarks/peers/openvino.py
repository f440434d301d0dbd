"""OpenVINO as its users write it: the converted PyTorch model in a simple loop, batches of 32 sorted by length."""

from typing import Any

from benchmarks.batches import Batcher, Floats, Padded
from benchmarks.models import Model
from benchmarks.peers.peer import Peer, UnavailableError
from benchmarks.peers.traced import example, pooled_module

_HINTS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoLoop(Peer):
    def __init__(self, *, precision: str) -> None:
        self.name, self.precision = "OpenVINO, a simple loop, sorted", precision

    def load(self, model: Model) -> None:
        import numpy as np
        import openvino as ov

        core = ov.Core()
        if self.precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise UnavailableError("this processor has no native bfloat16")
        converted = ov.convert_model(pooled_module(model, attention="sdpa"), example_input=example())
        settings = {"INFERENCE_PRECISION_HINT": _HINTS[self.precision]}
        self._compiled: Any = core.compile_model(converted, "CPU", settings)
        self._batcher = Batcher(model.vocabulary, in_order=False, dtype=np.int64)

    def encode(self, texts: list[str]) -> Floats:
        return self._batcher.encode(texts, self._run)

    def _run(self, batch: Padded) -> Floats:
        return self._compiled([batch.ids, batch.mask, batch.type_ids])[0]  # type: ignore[no-any-return]
