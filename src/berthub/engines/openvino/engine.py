"""Runs batches by OpenVINO.

The graph is built from the network with the checkpoint's arrays as its constants, without copying them. A graph is
compiled for each set of outputs that is asked for, and kept.
"""

import functools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import openvino as ov
import openvino.opset13 as op

from berthub.checkpoint import Checkpoint
from berthub.engines.engine import Batch, Engine, Precision, Result
from berthub.engines.openvino.int8_ops import Int8Ops
from berthub.engines.openvino.ops import OpenVinoOps
from berthub.engines.openvino.pages import given_back
from berthub.engines.weights import place
from berthub.errors import InputError
from berthub.networks.outputs import Output, build

__all__ = ["OpenVinoEngine", "processor_has_bfloat16"]

# One batch computes while the next is prepared and the last is read out.
_IN_FLIGHT = 2
_HINTS = {"bfloat16": "bf16", "float32": "f32"}


class OpenVinoEngine(Engine):
    """Runs batches on the processor, two in flight."""

    name = "openvino"

    def __init__(self, checkpoint: Checkpoint, *, precision: Precision = "auto") -> None:
        native = processor_has_bfloat16()
        if precision == "bfloat16" and not native:
            raise InputError('this processor does not compute in bfloat16; use precision="float32" or "auto"')
        if precision == "int8" and checkpoint.quantization is None:
            raise InputError('precision="int8" needs a checkpoint that was calibrated; `berthub.load` does that')
        best = "bfloat16" if native else "float32"
        self.precision = best if precision == "auto" else precision
        # Beside int8 everything that is not in bytes is computed as with "auto".
        self._hint = _HINTS[best if precision == "int8" else self.precision]
        self._checkpoint = checkpoint
        # One slot for a graph of each set of outputs: an application uses few.
        self._compiled: dict[tuple[Output, ...], ov.CompiledModel] = {}

    def run(self, batches: Iterable[Batch], outputs: Sequence[Output]) -> Iterator[Result]:
        """The outputs of every batch, in order; the arrays hold until the next result is taken."""
        compiled = self._model(tuple(outputs))
        idle = [compiled.create_infer_request() for _ in range(_IN_FLIGHT)]
        running: deque[tuple[ov.InferRequest, Batch]] = deque()
        try:
            for batch in batches:
                if not idle:
                    request, done = running.popleft()
                    yield _result(request, done)
                    idle.append(request)
                request = idle.pop()
                inputs = [batch.ids, batch.mask, batch.type_ids]
                request.start_async(
                    inputs if batch.positions is None else [*inputs, batch.positions], share_inputs=True
                )
                running.append((request, batch))
            while running:
                yield _result(*running.popleft())
        finally:
            # Requests read the batches' memory: they must end before it goes.
            for request, _ in running:
                request.wait()

    def _model(self, outputs: tuple[Output, ...]) -> ov.CompiledModel:
        if outputs not in self._compiled:
            model = _graph(self._checkpoint, outputs, self._ops())
            settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": self._hint}
            with given_back(self._checkpoint.weights):
                self._compiled[outputs] = _core().compile_model(model, "CPU", settings)
        return self._compiled[outputs]

    def _ops(self) -> OpenVinoOps:
        quantization = self._checkpoint.quantization
        if self.precision != "int8" or quantization is None:
            return OpenVinoOps()
        return Int8Ops({place(self._checkpoint.weights[name]): layer for name, layer in quantization.items()})


def _result(request: ov.InferRequest, batch: Batch) -> Result:
    request.wait()
    count = len(request.model_outputs)
    return Result(batch, [request.get_output_tensor(index).data for index in range(count)])


@functools.cache
def _core() -> ov.Core:
    return ov.Core()


def _graph(checkpoint: Checkpoint, outputs: tuple[Output, ...], ops: OpenVinoOps) -> ov.Model:
    names = ["ids", "mask", "type_ids", *(["positions"] if any(output.mlm for output in outputs) else [])]
    inputs = {name: op.parameter([-1, -1], np.int32, name=name) for name in names}
    results = build(ops, checkpoint.config, checkpoint.weights, outputs, **inputs)
    return ov.Model(results, list(inputs.values()), checkpoint.config.architecture)


def processor_has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16 natively."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
