"""Loaded models and their files: what happens to the one when the others change."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.choices import EngineName
from berthub.encoding.load import load_encoder
from berthub.engines.openvino.pages import _map
from berthub.errors import InputError, UnsupportedModelError
from berthub.formats import read
from support.golden import READABLE
from support.heads import with_head
from support.tiny import tiny_checkpoint

TEXTS = ["the quick fox", "it was not"]


def _arrays(encoder: hub.Encoder) -> list[Any]:
    checkpoint = encoder.checkpoint
    head = [] if checkpoint.head is None else [checkpoint.head.kernel, checkpoint.head.bias]
    quantized = [layer.smoothing for layer in (checkpoint.quantization or {}).values()]
    return [*checkpoint.weights.values(), *head, *quantized]


@pytest.mark.parametrize("name", READABLE)
def test_nothing_is_mapped_without_mmap(models: Path, name: str) -> None:
    mapped = hub.load(models / name, engine="numpy")
    copied = hub.load(models / name, engine="numpy", mmap=False)
    assert not any(_map(array) for array in _arrays(copied))
    for key, weight in mapped.checkpoint.weights.items():
        np.testing.assert_array_equal(copied.checkpoint.weights[key], weight)


@pytest.mark.parametrize("engine", ["numpy", "openvino"])
def test_a_file_that_is_overwritten_in_place_changes_nothing_in_memory(
    models: Path, tmp_path: Path, engine: EngineName
) -> None:
    folder = with_head(models / "tf2_v4", tmp_path / "model", "classify")
    encoder = hub.load(folder, engine=engine, mmap=False, precision="float32")
    expected, labels = encoder.encode(TEXTS)["sequence_output"].copy(), encoder.predict_proba(TEXTS)
    fresh = hub.load(folder, engine=engine, mmap=False, precision="float32")
    weights = folder / "model.safetensors"
    # In place, and shorter: a mapped file would end the process here.
    weights.write_bytes(weights.read_bytes()[:100])
    for each in (encoder, fresh):
        np.testing.assert_allclose(each.encode(TEXTS)["sequence_output"], expected, rtol=0, atol=1e-6)
        np.testing.assert_allclose(each.predict_proba(TEXTS), labels, rtol=0, atol=1e-6)


def test_a_model_saved_over_a_loaded_one_leaves_it_alone(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    hub.load(models / "tf2_v4", engine="numpy").save(folder)
    first = hub.load(folder, engine="numpy")
    assert any(_map(array) for array in _arrays(first))
    expected = first.encode(TEXTS)["sequence_output"].copy()
    other = tiny_checkpoint("bert")
    shutil.rmtree(folder)
    hub.export(other, folder, to="native")
    np.testing.assert_array_equal(first.encode(TEXTS)["sequence_output"], expected)
    assert read(folder).config == other.config


def test_arrays_that_are_one_stay_one() -> None:
    checkpoint = tiny_checkpoint("bert")
    shared = np.zeros_like(next(iter(checkpoint.weights.values())))
    weights = {name: shared if weight.shape == shared.shape else weight for name, weight in checkpoint.weights.items()}
    copied = type(checkpoint)(
        config=checkpoint.config, weights=weights, vocabulary=checkpoint.vocabulary, origin=checkpoint.origin
    ).in_memory()
    ours = {id(weight) for weight in copied.weights.values() if weight.shape == shared.shape}
    assert len(ours) == 1
    assert id(shared) not in ours


def test_mmap_is_not_for_foreign_graphs(models: Path) -> None:
    with pytest.raises(InputError, match="mmap do not apply"):
        hub.load(models / "tf2_v4", engine="tensorflow", mmap=False)  # type: ignore[call-overload]


def test_a_preprocessing_model_gives_a_preprocessor(models: Path) -> None:
    loaded: object = hub.load(models / "preprocess")
    assert isinstance(loaded, hub.Preprocessor)
    assert loaded.bert_pack_inputs([loaded.tokenize(["a"])])["input_mask"].sum() == 3


def test_where_an_encoder_is_needed_a_preprocessing_model_is_told_what_reads_it(models: Path) -> None:
    for load in (
        lambda: hub.load(models / "preprocess", precision="float32"),
        lambda: load_encoder(models / "preprocess"),
    ):
        with pytest.raises(UnsupportedModelError, match=r"berthub\.Preprocessor\(handle\)") as caught:
            load()
        assert "tensorflow" not in str(caught.value).replace(str(models), "")


@pytest.mark.parametrize("name", ["signatures", "trainable_variables", "bert_pack_inputs", "mlm", "resolved_object"])
def test_attributes_of_tensorflow_hubs_objects_say_what_to_write(models: Path, name: str) -> None:
    encoder = hub.load(models / "tf2_v4", engine="numpy")
    with pytest.raises(AttributeError, match=f"{name}', which tensorflow_hub's load returned: "):
        getattr(encoder, name)
    assert not hasattr(encoder, "nothing_of_the_kind")
