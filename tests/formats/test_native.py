import json
from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.errors import CheckpointError, CorruptFileError, InputError, UnsupportedModelError
from berthub.formats import read
from support.golden import READABLE


@pytest.mark.parametrize("name", READABLE)
def test_a_saved_model_is_the_same_bit_for_bit(models: Path, tmp_path: Path, name: str) -> None:
    original = hub.load(models / name, precision="float32")
    original.save(tmp_path / "model")
    ours, theirs = read(tmp_path / "model"), read(models / name)
    assert ours.config == theirs.config
    assert ours.vocabulary == theirs.vocabulary
    for key, weight in theirs.weights.items():
        assert ours.weights[key].tobytes() == np.ascontiguousarray(weight).tobytes()
    text = ["The quick brown fox."]
    saved = hub.load(tmp_path / "model", precision="float32")
    np.testing.assert_allclose(
        saved.encode(text)["pooled_output"], original.encode(text)["pooled_output"], rtol=0, atol=1e-6
    )


def test_a_folder_in_use_is_refused(models: Path, tmp_path: Path) -> None:
    bert = hub.load(models / "tf2_v4", engine="numpy")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        bert.save(tmp_path)
    with pytest.raises(InputError, match="not an empty folder"):
        bert.save(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"format_version": 99}, UnsupportedModelError, "format version 99"),
        ({"config": None}, CorruptFileError, "objects config and special_pieces"),
        ({"special_pieces": {}}, CorruptFileError, "should name unknown"),
        ({"config": {"architecture": "bert"}}, CheckpointError, "vocab_size is missing; hidden_size is missing"),
        ({"config": {"architecture": "gpt"}}, CheckpointError, "architecture 'gpt'"),
    ],
)
def test_a_damaged_description_is_an_error(
    models: Path, tmp_path: Path, change: dict, error: type[Exception], message: str
) -> None:
    hub.load(models / "tf2_v4", engine="numpy").save(tmp_path / "model")
    path = tmp_path / "model" / "berthub.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(error, match=message):
        read(tmp_path / "model")


def test_the_caller_can_overrule(models: Path, tmp_path: Path) -> None:
    hub.load(models / "tf2_v4", engine="numpy").save(tmp_path / "model")
    assert read(tmp_path / "model", settings={"lower_case": False}).config.lower_case is False
    with pytest.raises(CheckpointError, match="colour is no setting"):
        read(tmp_path / "model", settings={"colour": "red"})
