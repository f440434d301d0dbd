"""Attention with a scale and with scores of its own is the same on every backend."""

from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as op
import pytest

from berthub.engines.numpy import NumpyOps
from berthub.engines.openvino.ops import OpenVinoOps, named_weights

_HEADS, _SCALE, _WIDTH = 3, 0.3, 12
_LENGTHS = np.array([5, 2, 4])
_DRAW = np.random.default_rng(0)
_QUERY, _KEY, _VALUE = (_DRAW.normal(size=(3, 5, _WIDTH)).astype(np.float32) for _ in range(3))
_MASK = (np.arange(5) < _LENGTHS[:, None]).astype(np.int32)
_MIXING = tuple(_DRAW.normal(size=(_HEADS, _HEADS)).astype(np.float32) for _ in range(2))
# Scores for each text, and such as are alike for all.
_SCORES = [_DRAW.normal(size=(rows, _HEADS, 5, 5)).astype(np.float32) for rows in (3, 1)]


def _expected(scores: Any, *, mixed: bool) -> Any:
    """The formula, one text and one query at a time, over the keys that are not masked."""
    result = np.zeros_like(_QUERY)
    for row, length in enumerate(_LENGTHS):
        query, key, value = (x[row].reshape(5, _HEADS, -1) for x in (_QUERY, _KEY[:, :5], _VALUE))
        for place in range(5):
            logits = np.einsum("hd,khd->hk", query[place], key[:length]) * _SCALE
            logits += scores[row % len(scores), :, place, :length]
            logits = _MIXING[0].T @ logits if mixed else logits
            weights = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
            weights = _MIXING[1].T @ weights if mixed else weights
            result[row, place] = np.einsum("hk,khd->hd", weights, value[:length]).ravel()
    return result


def _options(mixing: Any) -> dict[str, Any]:
    return {"heads": _HEADS, "dropout": 0.0, "scale": _SCALE, "mixing": mixing}


def _numpy(scores: Any, mixing: Any) -> Any:
    ops = NumpyOps()
    return ops.attention(_QUERY, _KEY, _VALUE, ops.attention_bias(_MASK), scores=scores, **_options(mixing))


def _openvino(scores: Any, mixing: Any) -> Any:
    ops = OpenVinoOps()
    inputs = [op.parameter(ov.PartialShape([-1, -1, _WIDTH]), np.float32) for _ in range(3)]
    mask = op.parameter(ov.PartialShape([-1, -1]), np.int32)
    if mixing is not None:
        mixing = tuple(named_weights({"before": mixing[0], "after": mixing[1]}).values())
    bias = ops.attention_bias(mask)
    found = ops.attention(*inputs, bias, scores=op.constant(scores), **_options(mixing))
    compiled = ov.Core().compile_model(
        ov.Model([found], [*inputs, mask], "attention"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return compiled([_QUERY, _KEY, _VALUE, _MASK])[0]


def _torch(scores: Any, mixing: Any) -> Any:
    torch = pytest.importorskip("torch")
    from berthub.engines.torch.ops import TorchOps

    ops = TorchOps(torch.float32)
    query, key, value, mask = map(torch.from_numpy, (_QUERY, _KEY, _VALUE, _MASK))
    options = _options(mixing if mixing is None else tuple(map(torch.from_numpy, mixing)))
    added = torch.from_numpy(scores)
    return ops.attention(query, key, value, ops.attention_bias(mask), scores=lambda *_: added, **options).numpy()


def _keras(scores: Any, mixing: Any) -> Any:
    pytest.importorskip("keras")
    from berthub.training.backend import import_keras

    keras = import_keras()
    from berthub.training.keras_ops import KerasOps

    ops = KerasOps("float32", None)
    query, key, value, mask, added = map(keras.ops.convert_to_tensor, (_QUERY, _KEY, _VALUE, _MASK, scores))
    found = ops.attention(query, key, value, ops.attention_bias(mask), scores=added, **_options(mixing))
    return keras.ops.convert_to_numpy(found)


def _onnx(scores: Any, mixing: Any) -> Any:
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from berthub.formats.onnx.ops import OPSET, OnnxOps, Value
    from berthub.formats.onnx.ops import Weight as OnnxWeight

    ops = OnnxOps()
    constants = {"scores": scores, **({} if mixing is None else {"before": mixing[0], "after": mixing[1]})}
    if mixing is not None:
        mixing = tuple(OnnxWeight(name, constants[name].shape) for name in ("before", "after"))
    inputs = [Value(name, _WIDTH) for name in ("query", "key", "value")]
    found = ops.attention(*inputs, ops.attention_bias(Value("mask")), scores=Value("scores"), **_options(mixing))
    helper, kinds = onnx.helper, onnx.TensorProto
    declared = [helper.make_tensor_value_info(each.name, kinds.FLOAT, [None, None, _WIDTH]) for each in inputs]
    declared.append(helper.make_tensor_value_info("mask", kinds.INT64, [None, None]))
    stored = [onnx.numpy_helper.from_array(array, name) for name, array in {**constants, **ops.constants}.items()]
    result = helper.make_tensor_value_info(found.name, kinds.FLOAT, [None, None, _WIDTH])
    graph = helper.make_graph(ops.nodes, "attention", declared, [result], stored)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", OPSET)])
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = {"query": _QUERY, "key": _KEY, "value": _VALUE, "mask": _MASK.astype(np.int64)}
    return session.run(None, given)[0]


@pytest.mark.parametrize("mixed", [False, True], ids=["heads", "mixed"])
@pytest.mark.parametrize("scores", _SCORES, ids=["each", "alike"])
@pytest.mark.parametrize("backend", [_numpy, _openvino, _torch, _keras, _onnx])
def test_scores_are_added_to_the_scaled_products(backend: Any, scores: Any, mixed: bool) -> None:
    found = backend(scores, _MIXING if mixed else None)
    np.testing.assert_allclose(found, _expected(scores, mixed=mixed), rtol=0, atol=1e-5)


def test_without_padding_each_text_has_its_own_scores() -> None:
    torch = pytest.importorskip("torch")
    from berthub.engines.torch.ops import TorchOps
    from berthub.engines.torch.ragged import Ragged

    places = Ragged.of_mask(torch.from_numpy(_MASK))
    ops = TorchOps(torch.float32, ragged=places)
    query, key, value = (torch.from_numpy(x).reshape(-1, _WIDTH)[places.places][None] for x in (_QUERY, _KEY, _VALUE))
    bias = ops.attention_bias(torch.from_numpy(_MASK))
    added = torch.from_numpy(_SCORES[1])

    def scores(queries: Any, keys: Any) -> Any:
        return added[:, :, : queries.shape[1], : keys.shape[1]]

    found = places.pad(ops.attention(query, key, value, bias, scores=scores, **_options(None))).numpy()
    expected = _expected(_SCORES[1], mixed=False) * _MASK[:, :, None]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
