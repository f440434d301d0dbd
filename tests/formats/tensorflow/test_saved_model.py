import shutil
from pathlib import Path

import numpy as np
import pytest

from berthub.errors import (
    CheckpointError,
    CorruptFileError,
    InputError,
    ModelError,
    ModelNotFoundError,
    UnsupportedModelError,
)
from berthub.formats import read
from support.golden import READABLE

_SAVED_MODELS = [name for name in READABLE if name.startswith("tf2")]


@pytest.fixture
def copy(models: Path, tmp_path: Path):
    def make(name: str) -> Path:
        return Path(shutil.copytree(models / name, tmp_path / name))

    return make


@pytest.mark.parametrize("name", _SAVED_MODELS)
def test_the_configuration_is_read(models: Path, name: str) -> None:
    checkpoint = read(models / name)
    config = checkpoint.config
    assert (config.vocab_size, config.hidden_size, config.intermediate_size) == (1126, 32, 96)
    assert (config.num_layers, config.num_heads, config.max_positions, config.type_vocab_size) == (2, 4, 64, 2)
    assert (config.activation, config.layer_norm_eps, config.lower_case) == ("gelu_tanh", 1e-12, True)
    assert (config.hidden_dropout, config.attention_dropout, config.initializer_range) == (0.1, 0.1, 0.02)
    assert checkpoint.origin.settings["activation"] == "Keras's metadata"
    assert checkpoint.origin.settings["lower_case"] == "the variable do_lower_case"
    assert len(checkpoint.vocabulary) == 1126


def test_all_packagings_of_the_same_weights_agree(models: Path) -> None:
    reference = read(models / "google_checkpoint")
    encoder = {key for key in reference.weights if not key.startswith("cls/")}
    for name in _SAVED_MODELS:
        weights = {key: weight for key, weight in read(models / name).weights.items() if not key.startswith("cls/")}
        assert weights.keys() == encoder
        for key, weight in weights.items():
            np.testing.assert_array_equal(weight, reference.weights[key])


@pytest.mark.parametrize("name", ["tf2_v4", "tf2_v4_mlm", "tf2_v4_encoder_v2"])
def test_without_metadata_the_graph_tells(copy, name: str) -> None:
    folder = copy(name)
    expected = read(folder).config
    (folder / "keras_metadata.pb").unlink()
    checkpoint = read(folder)
    assert checkpoint.config == expected
    assert checkpoint.origin.settings["activation"] == "the operations and constants of the graph"
    assert checkpoint.origin.settings["layer_norm_eps"] == "the operations and constants of the graph"


def test_kernels_are_views(models: Path) -> None:
    weights = read(models / "tf2_v4").weights
    assert not any(weight.flags.owndata for weight in weights.values())


def test_the_caller_can_overrule(models: Path) -> None:
    checkpoint = read(models / "tf2_v4", settings={"lower_case": False})
    assert checkpoint.config.lower_case is False
    assert checkpoint.origin.settings["lower_case"] == "given by the caller"
    with pytest.raises(InputError, match=r"unknown key lower_cased; known: .*lower_case"):
        read(models / "tf2_v4", settings={"lower_cased": False})
    with pytest.raises(CheckpointError, match="activation must be one of"):
        read(models / "tf2_v4", settings={"activation": "swish"})


def test_a_preprocessing_model_is_no_encoder(models: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="preprocessing models have no weights"):
        read(models / "preprocess")


@pytest.mark.parametrize("size", [0, 100, -1])
def test_a_truncated_protobuf_is_an_error(copy, size: int) -> None:
    folder = copy("tf2_v4")
    path = folder / "saved_model.pb"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ModelError, match=r"saved_model\.pb"):
        read(folder)


def test_damaged_metadata_is_an_error(copy) -> None:
    folder = copy("tf2_v4")
    path = folder / "keras_metadata.pb"
    path.write_bytes(path.read_bytes().replace(b'{"name": "model"', b'{"name"; "model"'))
    with pytest.raises(CorruptFileError, match=r"keras_metadata\.pb is no valid JSON"):
        read(folder)


def test_metadata_that_contradicts_the_variables_is_an_error(copy) -> None:
    folder = copy("tf2_v4")
    path = folder / "keras_metadata.pb"
    path.write_bytes(path.read_bytes().replace(b'"num_attention_heads": 4', b'"num_attention_heads": 8'))
    with pytest.raises(CheckpointError, match="num_attention_heads to 8, but its variables are shaped for 4"):
        read(folder)


def test_a_missing_vocabulary_is_an_error(copy) -> None:
    folder = copy("tf2_v4")
    (folder / "assets" / "vocab.txt").unlink()
    with pytest.raises(ModelNotFoundError, match=r"vocab\.txt"):
        read(folder)


def test_a_vocabulary_of_another_size_is_an_error(copy) -> None:
    folder = copy("tf2_v4")
    with (folder / "assets" / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write("extra\n")
    with pytest.raises(CheckpointError, match="1,127 pieces, and the embedding table 1,126 rows"):
        read(folder)


def test_a_vocabulary_that_is_no_text_is_an_error(copy) -> None:
    folder = copy("tf2_v4")
    (folder / "assets" / "vocab.txt").write_bytes(b"[PAD]\n\xff\xfe\n")
    with pytest.raises(CorruptFileError, match=r"no UTF-8 text.*byte 6"):
        read(folder)


def test_missing_variables_are_an_error(copy) -> None:
    folder = copy("tf2_v4")
    shutil.rmtree(folder / "variables")
    with pytest.raises(ModelError, match=r"variables\.index cannot be read"):
        read(folder)
