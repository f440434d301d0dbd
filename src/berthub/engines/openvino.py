"""OpenVINO: the fast engine for processors, and the only place that imports it.

The graph is built from the network with the checkpoint's arrays as its constants, without copying them. A graph is
compiled for each set of outputs that is asked for, and kept.
"""

import functools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as op

from berthub.checkpoint import Checkpoint
from berthub.config import Activation
from berthub.engines.engine import Batch, Engine, Floats, Precision, Result
from berthub.errors import InputError
from berthub.networks.ops import MASKED, Ops
from berthub.networks.outputs import Output, build

__all__ = ["OpenVinoEngine", "OpenVinoOps", "processor_has_bfloat16"]

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
        self.precision = "float32" if precision == "float32" or not native else "bfloat16"
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
            model = _graph(self._checkpoint, outputs)
            settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _HINTS[self.precision]}
            self._compiled[outputs] = _core().compile_model(model, "CPU", settings)
        return self._compiled[outputs]


def _result(request: ov.InferRequest, batch: Batch) -> Result:
    request.wait()
    count = len(request.model_outputs)
    return Result(batch, [request.get_output_tensor(index).data for index in range(count)])


@functools.cache
def _core() -> ov.Core:
    return ov.Core()


def _graph(checkpoint: Checkpoint, outputs: tuple[Output, ...]) -> ov.Model:
    names = ["ids", "mask", "type_ids", *(["positions"] if any(output.mlm for output in outputs) else [])]
    inputs = {name: op.parameter([-1, -1], np.int32, name=name) for name in names}
    results = build(OpenVinoOps(), checkpoint.config, checkpoint.weights, outputs, **inputs)
    return ov.Model(results, list(inputs.values()), checkpoint.config.architecture)


def processor_has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16 natively."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoOps(Ops[Any, Floats]):
    """`berthub.networks.ops.Ops` on nodes of an OpenVINO graph; weights are NumPy arrays, shared, not copied."""

    def __init__(self) -> None:
        # One node for each: where layers share weights, these are kept, and converted, once.
        self._constants: dict[tuple[Any, ...], Any] = {}

    def gather(self, table: Floats, ids: Any) -> Any:
        return op.gather(self._shared(table), ids, _integers(0))

    def leading_rows(self, table: Floats, ids: Any, *, first: int = 0) -> Any:
        length = op.gather(op.shape_of(ids, output_type="i32"), _integers([1]), _integers(0))
        rows = op.slice(self._shared(table[first:]), _integers([0]), length, _integers([1]), _integers([0]))
        return op.unsqueeze(rows, _integers([0]))

    def dense(self, x: Any, kernel: Floats, bias: Floats) -> Any:
        # A kernel that came as [out, in] is the transposed view of what lies in memory.
        transposed = not kernel.flags.c_contiguous and kernel.T.flags.c_contiguous
        weight = self._shared(kernel.T if transposed else kernel)
        return op.add(op.matmul(x, weight, transpose_a=False, transpose_b=transposed), self._shared(bias))

    def tied_dense(self, x: Any, table: Floats, bias: Floats) -> Any:
        return op.add(op.matmul(x, self._shared(table), transpose_a=False, transpose_b=True), self._shared(bias))

    def scale_shift(self, x: Any, gamma: Floats, beta: Floats) -> Any:
        return op.add(op.multiply(x, self._shared(gamma)), self._shared(beta))

    def layer_norm(self, x: Any, gamma: Floats, beta: Floats, *, eps: float) -> Any:
        normed = op.mvn(x, _integers([-1]), normalize_variance=True, eps=eps, eps_mode="inside_sqrt")
        return op.add(op.multiply(normed, self._shared(gamma)), self._shared(beta))

    def activation(self, x: Any, name: Activation) -> Any:
        match name:
            case "relu":
                return op.relu(x)
            case "gelu_tanh":
                return op.gelu(x, "tanh")
            case "gelu_erf":
                return op.gelu(x, "erf")

    def tanh(self, x: Any) -> Any:
        return op.tanh(x)

    def add(self, x: Any, y: Any) -> Any:
        return op.add(x, y)

    def multiply(self, x: Any, y: Any) -> Any:
        return op.multiply(x, y)

    def neighbours(self, x: Any) -> Any:
        # One position of zeros at either end, and then the row from the third, second and first position on.
        padded = op.pad(x, _integers([0, 1, 0]), _integers([0, 1, 0]), "constant", _floats(0))
        first, last = (
            op.slice(padded, _integers([at]), _integers([end]), _integers([1]), _integers([1]))
            for at, end in ((0, -2), (2, 2**31 - 1))
        )
        return op.concat([last, x, first], 2)

    def dropout(self, x: Any, rate: float) -> Any:
        return x

    def attention_bias(self, mask: Any) -> Any:
        return op.unsqueeze(_penalty(mask), _integers([1, 2]))

    def attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        bias: Any,
        *,
        heads: int,
        dropout: float,
        mixing: tuple[Floats, Floats] | None = None,
    ) -> Any:
        width = query.get_output_partial_shape(0)[2].get_length()

        def split(x: Any) -> Any:
            return op.transpose(
                op.reshape(x, _integers([0, 0, heads, width // heads]), special_zero=True),
                _integers([0, 2, 1, 3]),
            )

        # Spelled out, since the plugin recognises this pattern and runs it as one operation.
        scores = op.matmul(split(query), split(key), transpose_a=False, transpose_b=True)
        scores = op.multiply(scores, _floats((width // heads) ** -0.5))
        scores = op.add(scores if mixing is None else _mixed(scores, self._shared(mixing[0])), bias)
        weights = op.softmax(scores, -1)
        weights = weights if mixing is None else _mixed(weights, self._shared(mixing[1]))
        context = op.matmul(weights, split(value), transpose_a=False, transpose_b=False)
        return op.reshape(op.transpose(context, _integers([0, 2, 1, 3])), _integers([0, 0, width]), special_zero=True)

    def first(self, x: Any) -> Any:
        return op.gather(x, _integers(0), _integers(1))

    def first_alone(self, x: Any) -> Any:
        return op.gather(x, _integers([0]), _integers(1))

    def at_positions(self, x: Any, positions: Any) -> Any:
        return op.gather(x, positions, _integers(1), batch_dims=1)

    def masked_mean(self, x: Any, mask: Any) -> Any:
        weights = op.convert(mask, "f32")
        # As a matrix product, [b, 1, s] @ [b, s, h]: the sum over positions in one pass.
        total = op.matmul(op.unsqueeze(weights, _integers([1])), x, transpose_a=False, transpose_b=False)
        count = op.maximum(op.reduce_sum(weights, _integers([1]), keep_dims=True), _floats(1))
        return op.divide(op.squeeze(total, _integers([1])), count)

    def masked_max(self, x: Any, mask: Any) -> Any:
        return op.reduce_max(op.add(x, op.unsqueeze(_penalty(mask), _integers([2]))), _integers([1]), keep_dims=False)

    def _shared(self, array: Floats) -> Any:
        key = (array.__array_interface__["data"][0], array.shape, array.strides)
        if key not in self._constants:
            whole = array if array.flags.c_contiguous else np.ascontiguousarray(array)
            self._constants[key] = op.constant(whole, shared_memory=True)
        return self._constants[key]


def _mixed(x: Any, matrix: Any) -> Any:
    """[b, n, q, k] to [b, m, q, k], the heads `n` mixed to `m` by a matrix [n, m]."""
    count = matrix.get_output_partial_shape(0)[0].get_length()
    shape = op.shape_of(x, output_type="i32")
    flat = op.reshape(x, _integers([0, count, -1]), special_zero=True)
    mixed = op.matmul(matrix, flat, transpose_a=True, transpose_b=False)
    return op.reshape(mixed, shape, special_zero=False)


def _penalty(mask: Any) -> Any:
    """0 where the mask is 1, `MASKED` where it is 0."""
    masked = op.subtract(op.convert(mask, "f32"), _floats(1))  # 0 and -1
    return op.multiply(masked, _floats(-MASKED))


def _integers(values: Any) -> Any:
    return op.constant(np.asarray(values, np.int32))


def _floats(value: float) -> Any:
    return op.constant(np.float32(value))
