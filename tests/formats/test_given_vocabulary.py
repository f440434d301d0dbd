"""A vocabulary that the caller gives, for models that lie without one: a file, or a folder with a tokenizer."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.errors import CheckpointError, InputError, ModelNotFoundError
from berthub.formats import read
from berthub.formats.huggingface.writer import write_huggingface
from berthub.formats.native import write_native
from support.command_line import Cli, cli

__all__ = ["cli"]

TEXTS = ["The music was great.", "Not so good, they said, as the first one!"]
# Where each keeps its vocabulary.
MODELS = {
    "hf_bert": "vocab.txt",
    "google_checkpoint": "vocab.txt",
    "model_garden": "vocab.txt",
    "tf2_v4": "assets/vocab.txt",
    "tf1_hub_module": "assets/vocab.txt",
    "keras_hub_bert": "assets/tokenizer/vocabulary.txt",
    "albert_v3": "assets/30k-clean.model",
}


@pytest.fixture
def bare(models: Path, tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    """The model without its vocabulary, and the vocabulary."""

    def make(name: str) -> tuple[Path, Path]:
        folder = Path(shutil.copytree(models / name, tmp_path / name))
        place = folder / MODELS[name]
        moved = tmp_path / place.name
        shutil.move(place, moved)
        return folder, moved

    return make


@pytest.mark.parametrize("name", MODELS)
def test_every_format_takes_one(bare: Callable[[str], tuple[Path, Path]], models: Path, name: str) -> None:
    folder, vocabulary = bare(name)
    with pytest.raises(ModelNotFoundError):
        read(folder)
    found, expected = read(folder, vocabulary=vocabulary), read(models / name)
    assert found.vocabulary.pieces == expected.vocabulary.pieces
    assert found.vocabulary.model == expected.vocabulary.model
    assert found.config == expected.config
    assert all(np.array_equal(found.weights[each], expected.weights[each]) for each in expected.weights)


def test_it_goes_wherever_a_model_goes(
    bare: Callable[[str], tuple[Path, Path]], models: Path, tmp_path: Path, cli: Cli
) -> None:
    folder, vocabulary = bare("hf_bert")
    expected = hub.load(models / "hf_bert", engine="numpy").embed(TEXTS)
    bert = hub.load(folder, engine="numpy", vocabulary=str(vocabulary))
    np.testing.assert_array_equal(bert.embed(TEXTS), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(bert)).embed(TEXTS), expected)
    bert.save(tmp_path / "saved")
    np.testing.assert_array_equal(hub.load(tmp_path / "saved", engine="numpy").embed(TEXTS), expected)
    hub.export(folder, tmp_path / "exported", to="native", vocabulary=vocabulary)
    np.testing.assert_array_equal(hub.load(tmp_path / "exported", engine="numpy").embed(TEXTS), expected)
    ids = hub.Tokenizer.from_pretrained(models / "hf_bert").tokens(TEXTS).ids
    np.testing.assert_array_equal(hub.Tokenizer.from_pretrained(folder, vocabulary=vocabulary).tokens(TEXTS).ids, ids)
    inputs = hub.Preprocessor(folder, vocabulary=vocabulary)(TEXTS)
    np.testing.assert_array_equal(inputs["input_word_ids"][inputs["input_mask"] == 1], ids)

    said = cli("tokenize", "--model", folder, "--vocabulary", vocabulary, TEXTS[0])
    assert said.exit_code == 0
    assert said.stdout == cli("tokenize", "--model", models / "hf_bert", TEXTS[0]).stdout
    encoded = cli("encode", "--model", folder, "--vocabulary", vocabulary, "--engine", "numpy", *TEXTS)
    assert encoded.exit_code == 0
    assert encoded.stdout == cli("encode", "--model", models / "hf_bert", "--engine", "numpy", *TEXTS).stdout
    assert cli("inspect", folder, "--vocabulary", vocabulary).exit_code == 0
    assert cli("export", folder, "--vocabulary", vocabulary, "--to", "native", "-o", tmp_path / "again").exit_code == 0


def test_a_tokenizer_brings_its_settings(
    bare: Callable[[str], tuple[Path, Path]], models: Path, tmp_path: Path
) -> None:
    folder, _ = bare("google_checkpoint")
    own = read(models / "google_checkpoint")
    assert own.config.lower_case
    cased = read(models / "google_checkpoint", settings={"lower_case": False})
    write_huggingface(cased, tmp_path / "tokenizer")
    write_native(cased, tmp_path / "native")
    assert not read(folder, vocabulary=tmp_path / "tokenizer").config.lower_case
    assert read(folder, vocabulary=tmp_path / "tokenizer").config.tokenization == "transformers"
    assert not read(folder, vocabulary=tmp_path / "native").config.lower_case
    # What the caller says stands above all.
    assert read(folder, vocabulary=tmp_path / "native", settings={"lower_case": True}).config.lower_case


def test_it_stands_above_the_models_own(models: Path, tmp_path: Path) -> None:
    lines = (models / "tf2_v4" / "assets" / "vocab.txt").read_text().splitlines()
    lines[-1] = "another"
    (tmp_path / "vocab.txt").write_text("\n".join(lines))
    assert read(models / "tf2_v4", vocabulary=tmp_path / "vocab.txt").vocabulary.pieces[-1] == "another"
    (tmp_path / "vocab.txt").write_text("\n".join([*lines, "one", "more"]))
    with pytest.raises(CheckpointError, match="they belong to different models"):
        read(models / "tf2_v4", vocabulary=tmp_path / "vocab.txt")


def test_what_is_no_vocabulary(models: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file or folder"):
        read(models / "tf2_v4", vocabulary=tmp_path / "nowhere")
    with pytest.raises(InputError, match="has no vocabulary"):
        read(models / "tf2_v4", vocabulary=tmp_path)
    with pytest.raises(InputError, match="should be the path"):
        read(models / "tf2_v4", vocabulary=3)  # type: ignore[arg-type]
