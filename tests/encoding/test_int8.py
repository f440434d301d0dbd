import dataclasses
from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.containers.safetensors import read_safetensors, write_safetensors
from berthub.encoding.calibration import calibrated
from berthub.engines.create import create_engine
from berthub.engines.openvino import multiplies_bytes_exactly
from berthub.errors import CheckpointError, CorruptFileError, InputError
from berthub.formats import read

_TEXTS = ["Hello world, this is a test.", "One", "Another, rather longer sentence with several words in it!"]
# One for each network, and one with layers that share their weights.
_MODELS = [
    "tf2_v4",
    "albert_v3",
    "electra",
    "mobilebert",
    "talking_heads",
    "keras_hub_distil_bert",
    "keras_hub_roberta",
]
computes_in_bytes = pytest.mark.skipif(
    not multiplies_bytes_exactly(), reason="int8 is refused here: this processor has no exact sums of bytes (VNNI)"
)


def _calibrated(folder: Path, texts: list[str] | None = None) -> hub.Encoder:
    """With a quantization, on the engine that every processor has."""
    checkpoint = read(folder)
    tokenizer = hub.Tokenizer.from_checkpoint(checkpoint)
    checkpoint = calibrated(checkpoint, tokenizer, texts)
    return hub.Encoder(checkpoint, tokenizer, create_engine(checkpoint, engine="numpy"))


def _cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return (ours * theirs).sum(-1) / np.linalg.norm(ours, axis=-1) / np.linalg.norm(theirs, axis=-1)


@computes_in_bytes
@pytest.mark.filterwarnings("ignore::berthub.errors.TruncationWarning")
@pytest.mark.parametrize("name", _MODELS)
def test_every_architecture_in_bytes_is_near_float32_and_does_not_depend_on_company(models: Path, name: str) -> None:
    exact, encoder = hub.load(models / name, precision="float32"), hub.load(models / name, precision="int8")
    assert encoder.precision == "int8"
    together = encoder.embed(_TEXTS)
    assert _cosines(together, exact.embed(_TEXTS)).min() > 0.99
    np.testing.assert_allclose(np.concatenate([encoder.embed(text) for text in _TEXTS]), together, rtol=0, atol=1e-5)
    tokens = encoder.encode(_TEXTS, outputs=["sequence_output"]).ragged()
    assert min(_cosines(vectors.mean(0), vector) for vectors, vector in zip(tokens, together, strict=True)) > 0.99999


def test_what_calibration_found_is_saved_with_the_model(models: Path, tmp_path: Path) -> None:
    texts = [f"{text} {number}" for text in _TEXTS for number in range(5)]
    encoder = _calibrated(models / "tf2_v4", texts)
    encoder.save(tmp_path / "saved")
    found, saved = encoder.checkpoint.quantization, read(tmp_path / "saved").quantization
    assert found
    assert saved
    assert saved.keys() == found.keys()
    for name, layer in found.items():
        for field in dataclasses.fields(layer):
            np.testing.assert_array_equal(getattr(saved[name], field.name), getattr(layer, field.name))
    # It is a choice: nothing changes for those who do not make it.
    exact = hub.load(tmp_path / "saved", precision="float32")
    np.testing.assert_array_equal(exact.embed(_TEXTS), hub.load(models / "tf2_v4", precision="float32").embed(_TEXTS))


@computes_in_bytes
def test_a_saved_calibration_is_used_again(models: Path, tmp_path: Path) -> None:
    texts = [f"{text} {number}" for text in _TEXTS for number in range(5)]
    encoder = hub.load(models / "tf2_v4", precision="int8", calibration=texts)
    encoder.save(tmp_path / "saved")
    again = hub.load(tmp_path / "saved", precision="int8")
    np.testing.assert_array_equal(again.embed(_TEXTS), encoder.embed(_TEXTS))
    assert not np.array_equal(hub.load(models / "tf2_v4", precision="int8").embed(_TEXTS), encoder.embed(_TEXTS))


def test_padding_of_the_sample_does_not_count(models: Path) -> None:
    encoder = _calibrated(models / "tf2_v4", ["a b c d e f g h i j k", "a"])
    alone = _calibrated(models / "tf2_v4", ["a", "a b c d e f g h i j k"])
    for name, layer in encoder.checkpoint.quantization.items():
        np.testing.assert_allclose(layer.shift, alone.checkpoint.quantization[name].shift, rtol=0, atol=1e-6)


@computes_in_bytes
def test_components_that_reach_far_are_multiplied_exactly(models: Path) -> None:
    checkpoint = read(models / "tf2_v4")
    name, bias = "bert/encoder/layer_0/intermediate/dense/kernel", "bert/encoder/layer_0/intermediate/dense/bias"
    weights = {**checkpoint.weights, name: checkpoint.weights[name].copy(), bias: checkpoint.weights[bias].copy()}
    # One of the inner activations becomes many times as large as all others for some tokens, as in trained models.
    weights[name][:, 3] *= 200
    checkpoint = dataclasses.replace(checkpoint, weights=weights)
    tokenizer = hub.Tokenizer.from_checkpoint(checkpoint)
    checkpoint = calibrated(checkpoint, tokenizer, None)
    assert checkpoint.quantization["bert/encoder/layer_0/output/dense/kernel"].exact[3]
    exact, encoder, rounded = (
        hub.Encoder(model, tokenizer, create_engine(model, precision=precision)).embed(_TEXTS)
        for model, precision in (
            (checkpoint, "float32"),
            (checkpoint, "int8"),
            (_without_exact(checkpoint), "int8"),
        )
    )
    assert _cosines(encoder, exact).min() > 0.99
    assert np.abs(encoder - exact).max() < np.abs(rounded - exact).max() / 2


def _without_exact(checkpoint: Checkpoint) -> Checkpoint:
    """The same, with a scale that takes in the farthest components, too."""
    layers = {
        name: dataclasses.replace(layer, exact=np.zeros_like(layer.exact), scale=layer.scale * 50)
        if layer.exact.any()
        else layer
        for name, layer in checkpoint.quantization.items()
    }
    return dataclasses.replace(checkpoint, quantization=layers)


@computes_in_bytes
def test_the_head_of_a_fine_tuned_model_is_exact(models: Path) -> None:
    exact, encoder = (hub.load(models / "keras2_classifier", precision=kind) for kind in ("float32", "int8"))
    np.testing.assert_allclose(encoder.predict_proba(_TEXTS), exact.predict_proba(_TEXTS), rtol=0, atol=0.02)


def test_wrong_calls(models: Path) -> None:
    with pytest.raises(InputError, match='calibration is for precision="int8"'):
        hub.load(models / "tf2_v4", calibration=_TEXTS)
    with pytest.raises(InputError, match=r"numpy.*float32 only"):
        # Before anything is read.
        hub.load(models / "none", precision="int8", engine="numpy")


@computes_in_bytes
def test_wrong_texts_for_calibration(models: Path) -> None:
    with pytest.raises(InputError, match="calibration has no texts"):
        hub.load(models / "tf2_v4", precision="int8", calibration=[])
    with pytest.raises(InputError, match="text 1 is"):
        hub.load(models / "tf2_v4", precision="int8", calibration=["a", 3])


def test_a_processor_without_exact_sums_of_bytes_is_told_so_before_anything_is_read(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("berthub.engines.openvino.multiplies_bytes_exactly", lambda: False)
    with pytest.raises(InputError, match=r'"int8" is not offered on this processor.*use precision="auto"'):
        hub.load(models / "none", precision="int8")
    with pytest.raises(InputError, match="not offered on this processor"):
        create_engine(_calibrated(models / "tf2_v4").checkpoint, precision="int8")


def test_calibration_says_that_it_runs(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="berthub"):
        _calibrated(models / "tf2_v4", _TEXTS)
    assert [record.getMessage() for record in caplog.records if "calibrating" in record.getMessage()] == [
        "calibrating for 8-bit integers on 3 texts: this takes seconds to minutes; `save` keeps what is found"
    ]


def test_a_quantization_of_another_model_is_refused(models: Path) -> None:
    quantization = _calibrated(models / "electra").checkpoint.quantization
    with pytest.raises(CheckpointError, match="the quantization has a layer bert/embeddings_project/kernel"):
        dataclasses.replace(read(models / "tf2_v4"), quantization=quantization)


def test_damaged_files(models: Path, tmp_path: Path) -> None:
    _calibrated(models / "tf2_v4").save(tmp_path / "saved")
    path = tmp_path / "saved" / "quantization.safetensors"
    arrays = {name: array.copy() for name, array in read_safetensors(path).items()}
    first = next(name for name in arrays if name.endswith("/scale"))
    write_safetensors(path, {name: array for name, array in arrays.items() if name != first}, {})
    with pytest.raises(
        CorruptFileError, match=r"should hold shift, smoothing, exact, scale, correction of bert/encoder"
    ):
        hub.load(tmp_path / "saved")
    write_safetensors(path, {**arrays, first: -arrays[first]}, {})
    with pytest.raises(CheckpointError, match="not a positive number"):
        hub.load(tmp_path / "saved")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorruptFileError, match="damaged"):
        hub.load(tmp_path / "saved")
