"""The roof: the rate of matrix products that this processor reaches in each arithmetic, on all its cores.

No system can compute a model faster than its matrix products. Several libraries multiply large square matrices; the
best of them is the roof, and its call is repeated in every round beside the systems, under the same load.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Self

import numpy as np

from benchmarks.processes import Program, serve

ARITHMETICS = ("float32", "bfloat16", "int8")
_SIZES = (1024, 2048, 4096)
# Of a trial, and of a call in a round.
_SECONDS = 0.4
# One product of this size tells how long a trial of another would take: PyTorch's products of bytes need minutes on a
# processor without VNNI. Who would take longer than this many seconds is not the fastest.
_PILOT, _LONGEST = 256, 15.0
# The fewest calls of a trial, with the one that is not counted.
_CALLS = 3
# Integer products in a row: what turns floats to integers and back at both ends weighs less.
_CHAIN = 4


class Roof:
    """A program that multiplies; a context manager. `found` has each arithmetic's fastest library and its rate."""

    def __init__(self) -> None:
        self._program = Program("benchmarks.roof", {"TF_CPP_MIN_LOG_LEVEL": "3"})
        self.found: dict[str, dict[str, Any]] = self._program.load()

    def rate(self, arithmetic: str) -> float:
        """Operations per second of the fastest, now."""
        return self._program.ask(do="run", arithmetic=arithmetic)["rate"]  # type: ignore[no-any-return]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._program.close()


class _Server:
    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "load":
                return self._load()
            case "run":
                return {"rate": _rate(*self._best[request["arithmetic"]])}
        raise ValueError(f"unknown request {request['do']!r}")

    def _load(self) -> dict[str, Any]:
        self._best: dict[str, tuple[Callable[[], object], float]] = {}
        found: dict[str, Any] = {}
        pilots: dict[tuple[str, str], float] = {}
        for arithmetic, size, library, make, operations in _trials():
            if size == _PILOT:
                pilots[arithmetic, library] = _once(make(), operations)
                continue
            if _CALLS * operations / pilots[arithmetic, library] > _LONGEST:
                continue
            call = make()
            rate = _rate(call, operations)
            if arithmetic not in found or rate > found[arithmetic]["rate"]:
                found[arithmetic] = {"by": f"{library}, {size} x {size}", "rate": rate}
                self._best[arithmetic] = call, operations
        return found


def _once(call: Callable[[], object], operations: float) -> float:
    """The rate of the second call."""
    call()
    begin = time.perf_counter()
    call()
    return operations / (time.perf_counter() - begin)


def _rate(call: Callable[[], object], operations: float) -> float:
    """The best of at least two calls within `_SECONDS`, after one that is not counted."""
    call()
    rates: list[float] = []
    start = time.perf_counter()
    while len(rates) < _CALLS - 1 or time.perf_counter() - start < _SECONDS:
        begin = time.perf_counter()
        call()
        rates.append(operations / (time.perf_counter() - begin))
    return max(rates)


def _trials() -> Iterator[tuple[str, int, str, Callable[[], Callable[[], object]], float]]:
    """Arithmetic, size, library, what makes the call, and the operations of the call; the pilots come first."""
    import openvino as ov

    native = "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    for size in (_PILOT, *_SIZES):
        operations = 2.0 * size**3
        for arithmetic in ARITHMETICS:
            if arithmetic == "bfloat16" and not native:
                continue
            if arithmetic != "int8":
                yield arithmetic, size, "OpenVINO", partial(_openvino, arithmetic, size), operations
            yield arithmetic, size, "PyTorch", partial(_torch, arithmetic, size), operations
        yield "int8", size, "OpenVINO", partial(_openvino_int8, size), _CHAIN * operations
        yield "int8", size, "ONNX Runtime", partial(_onnxruntime_int8, size), operations


def _openvino(arithmetic: str, size: int) -> Callable[[], object]:
    import openvino.opset13 as op

    left = op.parameter([size, size], np.float32)
    product = op.matmul(left, op.constant(_floats(size)), transpose_a=False, transpose_b=True)
    return _compiled(left, product, {"float32": "f32", "bfloat16": "bf16"}[arithmetic])


def _openvino_int8(size: int) -> Callable[[], object]:
    import openvino.opset13 as op

    left = product = op.parameter([size, size], np.float32)
    for _ in range(_CHAIN):
        # Integers in a graph of floats, in the form that OpenVINO knows.
        bounds = [op.constant(np.float32(bound)) for bound in (-1.28, 1.27)]
        quantized = op.fake_quantize(product, *bounds, *bounds, 256)
        weights = op.multiply(op.convert(op.constant(_integers(size)), "f32"), op.constant(np.float32(1e-4)))
        product = op.matmul(quantized, weights, transpose_a=False, transpose_b=True)
    return _compiled(left, product, "f32")


def _compiled(parameter: Any, result: Any, hint: str) -> Callable[[], object]:
    import openvino as ov

    model = ov.Model([result], [parameter], "product")
    settings = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
    size = parameter.get_output_shape(0)[0]
    request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
    values = _floats(size)
    return lambda: request.infer([values], share_inputs=True, share_outputs=True)


def _torch(arithmetic: str, size: int) -> Callable[[], object]:
    import torch

    if arithmetic == "int8":
        integers = torch.from_numpy(_integers(size))
        return lambda: torch._int_mm(integers, integers)
    matrix = torch.from_numpy(_floats(size)).to(getattr(torch, arithmetic))
    out = torch.empty_like(matrix)

    def call() -> object:
        with torch.inference_mode():
            return torch.mm(matrix, matrix, out=out)

    return call


def _onnxruntime_int8(size: int) -> Callable[[], object]:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["left", "right"], ["product"])],
        "product",
        [helper.make_tensor_value_info("left", TensorProto.UINT8, [size, size])],
        [helper.make_tensor_value_info("product", TensorProto.INT32, [size, size])],
        [numpy_helper.from_array(_integers(size), "right")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    left = _integers(size).astype(np.uint8)
    return lambda: session.run(None, {"left": left})


def _floats(size: int) -> Any:
    return np.random.default_rng(0).standard_normal((size, size), np.float32)


def _integers(size: int) -> Any:
    return np.random.default_rng(0).integers(-127, 128, (size, size), np.int8)


if __name__ == "__main__":
    serve(_Server().answer)
