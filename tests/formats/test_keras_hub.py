"""KerasHub presets, as keras-hub saved them (`support/make_keras_hub.py`), give its numbers and its tokens."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from berthub.engines.engine import PaddedBatch
from berthub.engines.numpy import NumpyEngine
from berthub.errors import (
    CheckpointError,
    CorruptFileError,
    MissingDependencyError,
    ModelError,
    ModelNotFoundError,
    UnsupportedModelError,
)
from berthub.formats import read
from berthub.networks.outputs import Output
from berthub.tokenization.tokenizer import Tokenizer

h5py = pytest.importorskip("h5py", reason="KerasHub's weights are HDF5: pip install h5py")

PRESETS = ("albert", "bert", "distil_bert", "electra", "roberta")


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(models / "keras_hub_bert", tmp_path / "preset"))


def _change(path: Path, **values: object) -> None:
    stored = json.loads(path.read_text())
    stored["config"] |= values
    path.write_text(json.dumps(stored))


@pytest.mark.parametrize("name", PRESETS)
def test_the_outputs_are_those_of_keras_hub(models: Path, name: str) -> None:
    folder = models / f"keras_hub_{name}"
    checkpoint = read(folder)
    with np.load(folder / "golden.npz") as arrays:
        golden = dict(arrays)
    outputs = {"sequence_output": Output()}
    if "a.pooled_output" in golden:
        outputs["pooled_output"] = Output(pooling="pooled")
    assert checkpoint.config.has_pooled_output == ("pooled_output" in outputs)
    inputs = [golden[f"a.{key}"] for key in ("input_word_ids", "input_mask", "input_type_ids")]
    engine = NumpyEngine(checkpoint)
    batch = PaddedBatch(*inputs, rows=np.arange(len(inputs[0])))
    (result,) = engine.run([batch], [output.resolved(checkpoint.config) for output in outputs.values()])
    for key, found in zip(outputs, result.outputs, strict=True):
        np.testing.assert_allclose(found, golden[f"a.{key}"], rtol=0, atol=1e-5)
    assert not checkpoint.origin.unused


@pytest.mark.parametrize("name", PRESETS)
def test_the_tokens_are_those_of_keras_hub(models: Path, name: str) -> None:
    folder = models / f"keras_hub_{name}"
    tokenizer = Tokenizer.from_checkpoint(read(folder))
    texts = json.loads((folder / "golden.json").read_text())["texts"]
    with np.load(folder / "golden.npz") as golden:
        for row, text in enumerate(texts):
            assert tokenizer(text)["input_ids"][1:-1] == golden[f"tokens.{row}"].tolist()


def test_settings_say_where_they_are_from(models: Path) -> None:
    checkpoint = read(models / "keras_hub_distil_bert")
    assert (checkpoint.config.lower_case, checkpoint.config.strip_accents) == (False, False)
    assert checkpoint.origin.settings["lower_case"] == "tokenizer.json"
    assert checkpoint.origin.settings["activation"] == "KerasHub's DistilBertBackbone"
    assert checkpoint.origin.settings["num_layers"] == "config.json"
    weights = checkpoint.weights
    assert not weights["bert/encoder/layer_0/intermediate/dense/kernel"].flags.owndata


def test_names_of_earlier_releases_are_read(folder: Path) -> None:
    expected = read(folder).weights
    path = folder / "model.weights.h5"
    with h5py.File(path, "r+") as file:
        for layer in ("transformer_encoder", "transformer_encoder_1"):
            attention = file[f"layers/{layer}/_self_attention_layer"]
            for name in ("query_dense", "key_dense", "value_dense", "output_dense"):
                attention.move(name, f"_{name}")
    _rename(folder / "config.json", "keras_nlp>BertBackbone")
    for name, weight in read(folder).weights.items():
        np.testing.assert_array_equal(weight, expected[name])


def test_half_precision_becomes_float32(folder: Path) -> None:
    path = folder / "model.weights.h5"
    with h5py.File(path, "r+") as file:
        for name, dtype in (("layers/reversible_embedding/vars", "<f2"), ("layers/embedding/vars", "V2")):
            values = file[f"{name}/0"][()]
            del file[f"{name}/0"]
            if dtype == "V2":
                file[f"{name}/0"] = (values.view(np.uint32) >> 16).astype(np.uint16).view("V2")
                file[f"{name}/0"].attrs["dtype"] = "bfloat16"
                types = values
            else:
                file[f"{name}/0"] = values.astype(dtype)
                words = values
    weights = read(folder).weights
    np.testing.assert_array_equal(weights["bert/embeddings/word_embeddings"], words.astype("<f2").astype("<f4"))
    found = weights["bert/embeddings/token_type_embeddings"]
    np.testing.assert_allclose(found, types, rtol=2**-7)
    assert not (found.view(np.uint32) & 0xFFFF).any()


def test_other_models_are_refused(folder: Path) -> None:
    _rename(folder / "config.json", "keras_hub>GPT2Backbone")
    with pytest.raises(UnsupportedModelError, match="GPT2Backbone'; what is supported: AlbertBackbone"):
        read(folder)
    (folder / "config.json").write_text("{}")
    with pytest.raises(CorruptFileError, match="should describe a KerasHub backbone"):
        read(folder)


def test_settings_that_do_not_fit_are_named(folder: Path) -> None:
    path = folder / "config.json"
    _change(path, num_heads=8)
    with pytest.raises(CheckpointError, match=r"num_heads is 8 \(config\.json\), but .* is shaped for 4"):
        read(folder)
    _change(path, num_heads=4, num_layers=3)
    with pytest.raises(CheckpointError, match=r"layer_2/.* is missing"):
        read(folder)
    _change(path, num_layers=1)
    with pytest.raises(CheckpointError, match=r"layer_1/.* has no place"):
        read(folder)
    _change(folder / "tokenizer.json", split=False)
    with pytest.raises(UnsupportedModelError, match="split to False"):
        read(folder)


def test_a_preset_without_tokenizer_asks_for_it(folder: Path) -> None:
    shutil.rmtree(folder / "assets")
    with pytest.raises(ModelNotFoundError, match="save_to_preset"):
        read(folder)


@pytest.mark.parametrize("size", [0, 100, 5000, -2000])
def test_a_truncated_file_is_an_error(folder: Path, size: int) -> None:
    path = folder / "model.weights.h5"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ModelError, match=r"model\.weights\.h5"):
        read(folder)


def test_nothing_outside_the_file_is_read_and_nothing_unpacked(folder: Path, tmp_path: Path) -> None:
    name, path = "layers/embedding/vars/0", folder / "model.weights.h5"
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(256))
    with h5py.File(path, "r+") as file:
        del file[name]
        file.create_dataset(name, (2, 32), "<f4", external=[(str(secret), 0, 256)])
    with pytest.raises(UnsupportedModelError, match="outside of the file"):
        read(folder)
    with h5py.File(path, "r+") as file:
        del file[name]
        file.create_dataset(name, (1 << 20, 1 << 20), "<f4", chunks=(1024, 1024), compression="gzip")
    with pytest.raises(UnsupportedModelError, match="in chunks"):
        read(folder)
    with h5py.File(path, "r+") as file:
        del file[name]
        file.create_dataset(name, (1 << 20, 1 << 20), "<f4")  # never written: it takes no room in the file
    with pytest.raises(CorruptFileError, match="is truncated"):
        read(folder)
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = h5py.ExternalLink(str(models_file := folder / "other.h5"), "w")
    with h5py.File(models_file, "w") as file:
        file["w"] = np.zeros((2, 32), np.float32)
    with pytest.raises(UnsupportedModelError, match="is a link to another name or file"):
        read(folder)


def test_without_h5py_the_error_says_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match="pip install h5py"):
        read(folder)


def _rename(path: Path, name: str) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "registered_name": name}))
