"""ONNX models that PyTorch's exporters wrote, read as files: the weights of `hf_bert`, bit for bit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.errors import CheckpointError, CorruptFileError, ModelNotFoundError, UnsupportedModelError
from berthub.formats import read
from berthub.formats.onnx.graph import OnnxGraph
from berthub.formats.onnx.pooling import graph_embedding
from support.needs import needs

Edit = Callable[[Callable[[Any], None]], Path]


@pytest.mark.parametrize(("name", "pooler"), [("onnx_optimum", False), ("onnx_dynamo", True)])
def test_the_weights_are_those_that_were_exported(models: Path, name: str, pooler: bool) -> None:
    found, expected = read(models / name), read(models / "hf_bert")
    assert found.origin.format == "ONNX model"
    assert found.config.pooler == pooler
    assert found.origin.unused == ()
    for each in found.weights:
        np.testing.assert_array_equal(found.weights[each], expected.weights[each], err_msg=each)
    assert expected.weights.keys() - found.weights.keys() == (
        set() if pooler else {"bert/pooler/dense/kernel", "bert/pooler/dense/bias"}
    )
    assert found.vocabulary.pieces == expected.vocabulary.pieces


def test_the_folder_of_the_graph_alone(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "onnx_dynamo" / "onnx", tmp_path / "graph")
    with pytest.raises(ModelNotFoundError):
        read(tmp_path)
    for name in ("config.json", "vocab.txt"):
        shutil.copy(models / "onnx_dynamo" / name, tmp_path / "graph" / name)
    vocabulary = tmp_path / "graph" / "vocab.txt"
    given = vocabulary.rename(tmp_path / "vocab.txt")
    assert hub.load(tmp_path, engine="numpy", vocabulary=given).embed("a text").shape == (1, 32)
    (tmp_path / "graph" / "model.onnx.data").unlink()
    with pytest.raises(ModelNotFoundError, match=r"model\.onnx\.data, which is not beside it"):
        read(tmp_path, vocabulary=given)


@pytest.fixture
def edited(models: Path, tmp_path: Path) -> Edit:
    """Changes the graph of optimum's export with the onnx library, and gives the folder."""

    def make(edit: Callable[[Any], None]) -> Path:
        import onnx

        folder = tmp_path / "edited"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(models / "onnx_optimum", folder)
        model = onnx.load(folder / "model.onnx")
        edit(model)
        onnx.save(model, folder / "model.onnx")
        return folder

    return make


@needs("onnx")
def test_halves_are_read_as_they_are(models: Path, edited: Edit) -> None:
    from onnx import numpy_helper

    def halve(model: Any) -> None:
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor)
            if array.dtype == np.float32:
                tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float16), tensor.name))

    found, expected = read(edited(halve)), read(models / "hf_bert")
    for name, weight in found.weights.items():
        halved = expected.weights[name].astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(weight, halved, err_msg=name)


@needs("onnx")
def test_what_contradicts_the_configuration_is_named(models: Path, edited: Edit) -> None:
    folder = edited(lambda model: None)
    path = folder / "config.json"
    stored = json.loads(path.read_text())

    def refused(said: str, **changes: Any) -> None:
        path.write_text(json.dumps({**stored, **changes}))
        with pytest.raises(CheckpointError, match=said):
            read(folder)

    refused("layer_norm_eps is 1e-05 in the configuration, and 1e-12 in the graph", layer_norm_eps=1e-5)
    refused("activation is relu in the configuration, and gelu_erf in the graph", hidden_act="relu")
    refused("num_heads is 8 in the configuration, and 4 in the graph", num_attention_heads=8)
    refused("layer_1", num_hidden_layers=1)


@needs("onnx")
def test_the_scale_of_the_scores(edited: Edit) -> None:
    from onnx import helper, numpy_helper

    def scale(factor: float) -> Callable[[Any], None]:
        def edit(model: Any) -> None:
            model.graph.initializer.append(numpy_helper.from_array(np.float32(factor), "factor"))
            softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
            added = next(node for node in model.graph.node if softmax.input[0] in node.output)
            product = next(
                name
                for name in added.input
                if any(name in node.output and node.op_type == "MatMul" for node in model.graph.node)
            )
            model.graph.node.append(helper.make_node("Mul", [product, "factor"], ["scaled"]))
            added.input[list(added.input).index(product)] = "scaled"

        return edit

    assert read(edited(scale(8**-0.5))).weights
    with pytest.raises(CheckpointError, match=r"multiplied by 0\.353553, and by 0\.125 in the graph"):
        read(edited(scale(0.125)))


@needs("onnx")
def test_what_is_refused(models: Path, edited: Edit) -> None:
    from onnx import TensorProto, helper, numpy_helper

    def kernel(model: Any) -> Any:
        return next(tensor for tensor in model.graph.initializer if tensor.name.startswith("onnx::MatMul"))

    def quantized(model: Any) -> None:
        tensor = kernel(model)
        tensor.CopyFrom(numpy_helper.from_array(np.zeros(tensor.dims, np.int8), tensor.name))

    def outside(location: str) -> Callable[[Any], None]:
        def edit(model: Any) -> None:
            tensor = kernel(model)
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=location)

        return edit

    with pytest.raises(UnsupportedModelError, match=r"quantized model.*int8"):
        read(edited(quantized))
    with pytest.raises(UnsupportedModelError, match=r"quantized model.*DynamicQuantizeLinear"):
        read(edited(lambda model: model.graph.node.append(helper.make_node("DynamicQuantizeLinear", ["a"], ["b"]))))
    node = helper.make_node("Attention", ["a"], ["b"], domain="com.microsoft")
    with pytest.raises(UnsupportedModelError, match=r"optimized for one runtime.*Attention"):
        read(edited(lambda model: model.graph.node.append(node)))
    for location in ("../model.safetensors", "/etc/passwd", ""):
        with pytest.raises((CorruptFileError, ModelNotFoundError)):
            read(edited(outside(location)))
    with pytest.raises(CorruptFileError, match="has 4 bytes"):
        read(edited(lambda model: setattr(kernel(model), "raw_data", b"1234")))
    with pytest.raises(CheckpointError, match="is missing"):
        # A kernel that nothing leads to.
        read(edited(lambda model: setattr(kernel(model), "name", "elsewhere")))
    folder = edited(lambda model: [tensor.ClearField("name") for tensor in model.graph.initializer[:1]])
    shutil.copy(folder / "model.onnx", folder / "a.onnx")
    (folder / "model.onnx").rename(folder / "b.onnx")
    with pytest.raises(ModelNotFoundError, match=r"one called model\.onnx"):
        read(folder)


@needs("onnx")
def test_the_pooling_of_a_graph(edited: Edit, models: Path) -> None:
    from onnx import helper, numpy_helper

    def pooled(*nodes: Any) -> Any:
        def edit(model: Any) -> None:
            model.graph.node.extend(nodes)
            model.graph.initializer.append(numpy_helper.from_array(np.int64(0), "zero"))
            model.graph.output.append(helper.make_tensor_value_info("sentence_embedding", 1, ["batch", 32]))

        folder = edited(edit)
        graph = OnnxGraph(folder / "model.onnx")
        return graph_embedding(graph, above=folder)

    tokens, node = "last_hidden_state", helper.make_node
    mean = [
        node("ReduceSum", [tokens], ["sum"]),
        node("ReduceSum", ["mask"], ["count"]),
        node("Clip", ["count"], ["least"]),
    ]
    first = pooled(node("Gather", [tokens, "zero"], ["sentence_embedding"], axis=1))
    assert (first.poolings, first.normalize) == (("cls",), False)
    assert pooled(*mean, node("Div", ["sum", "least"], ["sentence_embedding"])).poolings == ("mean",)
    unit = [node("ReduceL2", ["vector"], ["norm"]), node("Div", ["vector", "norm"], ["sentence_embedding"])]
    scaled = pooled(*mean, node("Div", ["sum", "least"], ["vector"]), *unit)
    assert (scaled.poolings, scaled.normalize) == (("mean",), True)
    assert pooled(node("Tanh", [tokens], ["sentence_embedding"])).unsupported
