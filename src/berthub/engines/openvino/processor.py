"""The abilities of the processor: bfloat16, and exact products of bytes."""

import functools

import numpy as np
import openvino as ov
import openvino.opset13 as op

from berthub.engines.openvino.forking import GATE
from berthub.engines.openvino.runtime import Graphs, core

__all__ = ["multiplies_bytes_exactly", "processor_has_bfloat16"]

# Wide enough for the kernels that dense layers get.
_INPUTS, _OUTPUTS, _ROWS = 64, 32, 8


@functools.cache
def processor_has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16 natively."""
    with GATE.inside():
        return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@functools.cache
def multiplies_bytes_exactly() -> bool:
    """Whether sums of products of bytes are exact here: tried with the largest bytes.

    Without VNNI (AVX2 alone, the first AVX-512 processors) two products are added in 16 bits, which overflow. What the
    processor says of itself would have to be read in one way for each kind of processor and system, and says nothing
    of the kernel that OpenVINO takes.
    """
    x = op.parameter([-1, _INPUTS], np.float32)
    low, high = op.constant(np.float32(-128)), op.constant(np.float32(127))
    rounded = op.fake_quantize(x, low, high, low, high, levels=256)
    # A dense layer as `Int8Ops` writes it.
    values = np.full((_OUTPUTS, _INPUTS), 127, np.int8)
    weight = op.multiply(op.convert(op.constant(values), "f32"), op.constant(np.ones((_OUTPUTS, 1), np.float32)))
    y = op.matmul(rounded, weight, transpose_a=False, transpose_b=True)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    largest = np.full((_ROWS, _INPUTS), 127, np.float32)
    expected = _INPUTS * 127 * 127
    graphs: Graphs[str, ov.InferRequest] = Graphs()
    with GATE.inside():
        graphs.compiled[""] = core().compile_model(ov.Model([y], [x], "bytes"), "CPU", settings).create_infer_request()
        exact = bool((graphs.compiled[""].infer([largest])[0] == expected).all())
        graphs.end()
    return exact
