"""onnxruntime computes the reference's numbers from what is written, and berthub reads it back."""

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berthub.checkpoint import Checkpoint
from berthub.choices import Pooling
from berthub.errors import CorruptFileError, InputError, MissingDependencyError
from berthub.formats import read
from berthub.formats.onnx import writer as onnx_writer
from berthub.formats.onnx.reader import read_onnx
from berthub.formats.onnx.writer import write_onnx
from support.exports import assert_same, random_head, reference
from support.tiny import ARCHITECTURES, tiny_checkpoint, tiny_inputs

onnx = pytest.importorskip("onnx", reason="needs onnx")

_NAMES = {"input_word_ids": "input_ids", "input_mask": "attention_mask", "input_type_ids": "token_type_ids"}


def _run(folder: Path, inputs: dict[str, Any]) -> dict[str, Any]:
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    onnx.checker.check_model(str(folder / "model.onnx"), full_check=True)
    session = runtime.InferenceSession(folder / "model.onnx", options)
    names = [output.name for output in session.get_outputs()]
    feed = {_NAMES.get(name, name): np.asarray(value, np.int64) for name, value in inputs.items()}
    return dict(zip(names, session.run(names, feed), strict=True))


def _cut(inputs: dict[str, Any], rows: int, width: int) -> dict[str, Any]:
    return {
        name: value[:rows] if name == "masked_lm_positions" else value[:rows, :width] for name, value in inputs.items()
    }


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        *((architecture, {}) for architecture in ARCHITECTURES),
        ("bert", {"embedding_size": None, "activation": "gelu_erf", "layer_norm_eps": 1e-3}),
        ("bert", {"pooler": False, "activation": "relu", "mlm": False}),
        ("albert", {"embedding_size": 24, "num_groups": 1, "inner_layers": 1}),
        ("mobilebert", {"normalization": "layer_norm", "shared_bottleneck": False, "pooler": True}),
        ("mobilebert", {"bottleneck_attention": True, "activation": "gelu_tanh"}),
        ("roberta", {"first_position": 5}),
    ],
)
def test_onnxruntime_computes_the_same(tmp_path: Path, architecture: str, settings: dict[str, Any]) -> None:
    checkpoint = tiny_checkpoint(architecture, **settings)
    write_onnx(checkpoint, tmp_path / "out")
    whole = tiny_inputs(checkpoint)
    for inputs in (whole, _cut(whole, 1, 3), _cut(whole, 3, 5)):
        found, expected = _run(tmp_path / "out", inputs), reference(checkpoint, inputs)
        wanted = {name for name in ("sequence_output", "pooled_output", "mlm_logits") if name in expected}
        assert found.keys() == wanted
        for name in wanted:
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-5, err_msg=name)


def test_positions_of_masked_words_may_be_left_out(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint("bert")
    write_onnx(checkpoint, tmp_path / "out")
    inputs = tiny_inputs(checkpoint)
    del inputs["masked_lm_positions"]
    found = _run(tmp_path / "out", inputs)
    assert found["mlm_logits"].shape == (4, 0, 40)
    expected = reference(checkpoint, inputs)["pooled_output"]
    np.testing.assert_allclose(found["pooled_output"], expected, rtol=0, atol=1e-5)


def test_the_interface_has_names_and_open_sizes(tmp_path: Path) -> None:
    write_onnx(tiny_checkpoint("bert", mlm=False), tmp_path / "out")
    graph = onnx.load(tmp_path / "out" / "model.onnx").graph

    def described(values: Any) -> dict[str, list[Any]]:
        shapes = {value.name: value.type.tensor_type.shape.dim for value in values}
        return {name: [dim.dim_param or dim.dim_value for dim in shape] for name, shape in shapes.items()}

    assert described(graph.input) == {name: ["batch", "sequence"] for name in _NAMES.values()}
    assert described(graph.output) == {"sequence_output": ["batch", "sequence", 24], "pooled_output": ["batch", 24]}


@pytest.mark.parametrize("pooling", ["pooled", "cls", "mean", "max", None])
def test_a_head_gives_logits(tmp_path: Path, pooling: Pooling | None) -> None:
    checkpoint = tiny_checkpoint("bert", mlm=False)
    checkpoint = dataclasses.replace(checkpoint, head=random_head(checkpoint, pooling))
    assert checkpoint.head is not None
    write_onnx(checkpoint, tmp_path / "out")
    inputs = tiny_inputs(checkpoint)
    outputs, mask = reference(checkpoint, inputs), inputs["input_mask"][:, :, None]
    tokens = outputs["sequence_output"]
    features = {
        "pooled": outputs["pooled_output"],
        "cls": tokens[:, 0],
        "mean": (tokens * mask).sum(1) / mask.sum(1),
        "max": np.where(mask, tokens, -np.inf).max(1),
        None: tokens,
    }[pooling]
    expected = features @ checkpoint.head.kernel + checkpoint.head.bias
    np.testing.assert_allclose(_run(tmp_path / "out", inputs)["logits"], expected, rtol=0, atol=1e-5)
    again = read_onnx(tmp_path / "out").head
    assert again is not None
    assert (again.labels, again.task, again.pooling) == (("a", "b", "c"), checkpoint.head.task, pooling)
    np.testing.assert_array_equal(again.kernel, checkpoint.head.kernel)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_berthub_reads_it_back(tmp_path: Path, architecture: str) -> None:
    checkpoint = tiny_checkpoint(architecture)
    write_onnx(checkpoint, tmp_path / "out")
    again = read_onnx(tmp_path / "out")
    assert_same(again, checkpoint)
    assert again.weights["bert/embeddings/LayerNorm/gamma"].flags.writeable
    assert read_onnx(tmp_path / "out", {"lower_case": False}).config.lower_case is False


def test_large_models_have_a_file_for_their_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_writer, "_LARGEST", 10_000)
    checkpoint = tiny_checkpoint("albert")
    write_onnx(checkpoint, tmp_path / "out")
    assert (tmp_path / "out" / "model.onnx.data").stat().st_size == 4 * checkpoint.parameters
    assert_same(read_onnx(tmp_path / "out"), checkpoint)
    inputs = tiny_inputs(checkpoint)
    found, expected = _run(tmp_path / "out", inputs), reference(checkpoint, inputs)
    np.testing.assert_allclose(found["sequence_output"], expected["sequence_output"], rtol=0, atol=1e-5)


def test_transposed_weights_come_out_right(models: Path, tmp_path: Path) -> None:
    checkpoint = read(models / "hf_bert")
    write_onnx(checkpoint, tmp_path / "out")
    assert_same(read_onnx(tmp_path / "out"), checkpoint)


def _change(folder: Path, change: Any) -> None:
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    change(model.graph.initializer)
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def test_damage_is_an_error(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint("distilbert")
    write_onnx(checkpoint, tmp_path / "short")
    _change(tmp_path / "short", lambda tensors: tensors[0].ClearField("raw_data"))
    with pytest.raises(CorruptFileError, match="has 0 bytes"):
        read_onnx(tmp_path / "short")
    (tmp_path / "short" / "model.onnx").write_bytes(b"\xff\xff\xff")
    with pytest.raises(CorruptFileError, match="no valid OnnxModel"):
        read_onnx(tmp_path / "short")
    write_onnx(dataclasses.replace(checkpoint, head=random_head(checkpoint)), tmp_path / "head")
    path = tmp_path / "head" / "berthub.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"head": {"task": "classify"}}))
    with pytest.raises(CorruptFileError, match=r"does not fit model\.onnx"):
        read_onnx(tmp_path / "head")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("location", "../secret"),
        ("location", "vocab.txt"),
        ("offset", "-4"),
        ("offset", "9" * 5000),
        ("length", "9" * 14),
    ],
)
def test_no_other_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: str) -> None:
    monkeypatch.setattr(onnx_writer, "_LARGEST", 0)
    write_onnx(tiny_checkpoint("distilbert"), tmp_path / "out")

    def change(tensors: Any) -> None:
        for entry in tensors[0].external_data:
            entry.value = value if entry.key == key else entry.value

    _change(tmp_path / "out", change)
    with pytest.raises(CorruptFileError, match=r"bytes|only places in model\.onnx\.data are read"):
        read_onnx(tmp_path / "out")


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(InputError, match="not an empty folder"):
        write_onnx(tiny_checkpoint("bert"), tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'berthub\[onnx\]'"):
        write_onnx(tiny_checkpoint("bert"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_weight_is_an_initializer_under_its_name(tmp_path: Path) -> None:
    checkpoint: Checkpoint = tiny_checkpoint("talking_heads")
    write_onnx(checkpoint, tmp_path / "out")
    graph = onnx.load(tmp_path / "out" / "model.onnx").graph
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for name, weight in checkpoint.weights.items():
        np.testing.assert_array_equal(arrays[name], weight)
