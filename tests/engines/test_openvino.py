import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from berthub.engines.openvino.engine import OpenVinoEngine, _graph
from berthub.engines.openvino.ops import OpenVinoOps
from berthub.engines.openvino.pages import given_back
from berthub.formats import read
from berthub.networks.outputs import Output
from support.tiny import tiny_checkpoint

_PROGRAM = """
import sys
import berthub.engines.openvino
assert "openvino.tools.ovc" not in sys.modules
assert sys.modules["openvino_telemetry"] is None
import openvino
stand_in = openvino.convert_model
try:
    openvino.convert_model("there is no such file")
except Exception as error:
    print(type(error).__name__)
assert openvino.convert_model is not stand_in
"""


def test_openvino_comes_without_telemetry_and_with_converters_when_they_are_called() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert "AttributeError" not in done.stdout
    assert done.stdout.strip(), "converting nothing is an error of the converters"


@pytest.mark.parametrize("name", ["hf_bert", "tf2_v4", "google_checkpoint"])
def test_pages_that_are_given_back_hold_the_same_weights(models: Path, name: str) -> None:
    checkpoint = read(models / name)
    before = {name: weight.copy() for name, weight in checkpoint.weights.items()}
    with given_back(checkpoint.weights):
        pass
    for name, weight in checkpoint.weights.items():
        np.testing.assert_array_equal(weight, before[name])
        # What is given back must not hold anything that the file does not.
        assert not weight.flags.writeable


@pytest.mark.parametrize("shape", [(4, 11), (2, 70)])
def test_no_dense_layer_becomes_a_convolution_and_activations_are_part_of_theirs(shape: tuple[int, int]) -> None:
    # Convolutions are slower on short sequences, and keep a copy of the weights for each kind of shape.
    sizes = {"hidden_size": 128, "embedding_size": 128, "intermediate_size": 512, "num_heads": 2}
    checkpoint = tiny_checkpoint("bert", max_positions=70, **sizes)
    output = Output().resolved(checkpoint.config)
    model = ov.Core().compile_model(
        _graph(checkpoint, (output,), OpenVinoOps()),
        "CPU",
        {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "PERF_COUNT": "YES"},
    )
    request = model.create_infer_request()
    ones = np.ones(shape, np.int32)
    request.infer({0: ones * 7, 1: ones, 2: ones * 0})
    run = [info for info in request.profiling_info if info.status == ov.ProfilingInfo.Status.EXECUTED]
    kernels = [info.exec_type for info in run if info.node_type == "FullyConnected"]
    assert len(kernels) == 6 * checkpoint.config.num_layers
    assert not [kernel for kernel in kernels if "conv" in kernel]
    assert not [info for info in run if info.node_type == "Gelu"]


@pytest.mark.parametrize("architecture", ["albert", "roberta"])
def test_a_weight_that_is_used_again_is_one_constant(architecture: str) -> None:
    checkpoint = tiny_checkpoint(architecture)
    outputs = (Output().resolved(checkpoint.config), Output(mlm=True).resolved(checkpoint.config))
    nodes = [
        node for node in _graph(checkpoint, outputs, OpenVinoOps()).get_ops() if node.get_type_name() == "Constant"
    ]
    addresses = [node.data.ctypes.data for node in nodes]
    first = getattr(checkpoint.config, "first_position", 0)
    for name, weight in checkpoint.weights.items():
        skipped = first if name.endswith("position_embeddings") else 0
        if "pooler" not in name:
            assert addresses.count(weight[skipped:].ctypes.data) == 1, name


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("asked", [1, None])
def test_threads_are_as_many_as_asked_for_and_tied_to_no_core(
    models: Path, monkeypatch: pytest.MonkeyPatch, many: bool, asked: int | None
) -> None:
    # Unasked, those whose time a container has.
    monkeypatch.setattr("berthub.engines.openvino.engine.quota_cores", lambda: 1)
    engine = OpenVinoEngine(read(models / "tf2_v4"), precision="float32", threads=asked)
    with contextlib.ExitStack() as packing:
        model = engine._model((Output(1),), many=many, packing=packing)._model
        assert model.get_property("INFERENCE_NUM_THREADS") == 1
        # Two processes with a thread each would have it on the same core.
        assert not model.get_property("ENABLE_CPU_PINNING")
