"""Every backend pools as the reference implementation does."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from berthub.choices import Pooling
from berthub.engines.numpy import NumpyOps
from berthub.networks.outputs import pool
from support.needs import needs

POOLINGS = [each for each in get_args(Pooling) if each != "pooled"]
NUMBERS = np.random.default_rng(0)
X = NUMBERS.standard_normal((3, 5, 4)).astype(np.float32)
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 1, 1, 0]], np.int32)


def _by_hand(pooling: str, skip: int) -> Any:
    vectors = []
    for rows, mask in zip(X, MASK, strict=True):
        kept = [place for place in range(skip, 5) if mask[place]]
        found, places = rows[kept], np.array(kept)[:, None] + 1
        vectors.append(
            {
                "cls": lambda rows=rows: rows[0],
                "mean": lambda found=found: found.mean(0),
                "max": lambda found=found: found.max(0),
                "mean_sqrt_len_tokens": lambda found=found: found.sum(0) / np.sqrt(len(found)),
                "weightedmean": lambda found=found, places=places: (found * places).sum(0) / places.sum(),
                "lasttoken": lambda found=found: found[-1],
            }[pooling]()
        )
    return np.stack(vectors)


def _pooled(ops: Any, x: Any, mask: Any, pooling: Any, skip: int) -> Any:
    return pool(ops, x, ops.without_first(mask, skip) if skip else mask, pooling)


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_by_hand(pooling: Any, skip: int) -> None:
    np.testing.assert_allclose(_pooled(NumpyOps(), X, MASK, pooling, skip), _by_hand(pooling, skip), atol=1e-6)


@pytest.mark.parametrize("skip", [0, 1])
def test_openvino(skip: int) -> None:
    import openvino as ov
    import openvino.opset13 as op

    from berthub.engines.openvino.ops import OpenVinoOps

    x, mask = op.parameter([-1, -1, 4], np.float32), op.parameter([-1, -1], np.int32)
    nodes = [_pooled(OpenVinoOps(), x, mask, pooling, skip) for pooling in POOLINGS]
    run = ov.Core().compile_model(ov.Model(nodes, [x, mask]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for pooling, vectors in zip(POOLINGS, run([X, MASK]).values(), strict=True):
        np.testing.assert_allclose(vectors, _by_hand(pooling, skip), atol=1e-6)


@needs("torch")
@pytest.mark.parametrize("ragged", [False, True])
def test_torch(ragged: bool) -> None:
    import torch

    from berthub.engines.torch.ops import TorchOps
    from berthub.engines.torch.ragged import Ragged

    mask = torch.from_numpy(MASK if not ragged else np.sort(MASK)[:, ::-1].copy())
    x = torch.from_numpy(X)
    arrangement = Ragged.of_mask(mask) if ragged else None
    given = x if arrangement is None else x.reshape(-1, 4)[arrangement.places][None]
    for pooling in POOLINGS:
        for skip in (0, 1):
            vectors = _pooled(TorchOps(torch.float32, ragged=arrangement), given, mask, pooling, skip)
            expected = _pooled(NumpyOps(), X, mask.numpy(), pooling, skip)
            np.testing.assert_allclose(vectors, expected, atol=1e-6)


@needs("tensorflow")
def test_tensorflow() -> None:
    import tensorflow as tf

    from berthub.training.tensorflow_ops import TensorFlowOps

    for pooling in POOLINGS:
        for skip in (0, 1):
            vectors = _pooled(TensorFlowOps(training=False), tf.constant(X), tf.constant(MASK), pooling, skip)
            np.testing.assert_allclose(vectors, _by_hand(pooling, skip), atol=1e-6)


@needs("keras")
def test_keras() -> None:
    from keras import ops

    from berthub.training.keras_ops import KerasOps

    for pooling in POOLINGS:
        for skip in (0, 1):
            vectors = _pooled(
                KerasOps("float32", None), ops.convert_to_tensor(X), ops.convert_to_tensor(MASK), pooling, skip
            )
            np.testing.assert_allclose(ops.convert_to_numpy(vectors), _by_hand(pooling, skip), atol=1e-6)


@needs("onnx", "onnxruntime")
def test_onnx(tmp_path: Path) -> None:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    from berthub.formats.onnx.ops import OPSET, OnnxOps, Value

    ops = OnnxOps()
    made = {
        f"{pooling}_{skip}": _pooled(ops, Value("x", 4), Value("mask"), pooling, skip)
        for pooling in POOLINGS
        for skip in (0, 1)
    }
    results = [
        helper.make_tensor_value_info(ops.renamed(value, name).name, TensorProto.FLOAT, ["b", 4])
        for name, value in made.items()
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", "s", 4]),
        helper.make_tensor_value_info("mask", TensorProto.INT64, ["b", "s"]),
    ]
    constants = [numpy_helper.from_array(array, name) for name, array in ops.constants.items()]
    graph = helper.make_graph(ops.nodes, "poolings", inputs, results, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    run = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for name, vectors in zip(made, run.run(None, {"x": X, "mask": MASK.astype(np.int64)}), strict=True):
        pooling, _, skip = name.rpartition("_")
        np.testing.assert_allclose(vectors, _by_hand(pooling, int(skip)), atol=1e-6)
