import shutil
from pathlib import Path

import pytest

from berthub.errors import ModelNotFoundError
from berthub.formats.layouts import find_model
from support.golden import READABLE

_NAMES = {"google": "Google checkpoint", "hf": "Hugging Face folder", "tf2": "TensorFlow SavedModel"}


@pytest.mark.parametrize("name", READABLE)
def test_layouts_are_told_apart(models: Path, name: str) -> None:
    layout, place = find_model(models / name)
    assert layout.name == _NAMES[name.split("_")[0]]
    assert place == models / name


def test_a_model_in_a_subfolder_is_found(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "hf_bert", tmp_path / "package" / "model")
    (tmp_path / "package" / ".hidden").mkdir()
    assert find_model(tmp_path)[1] == tmp_path / "package" / "model"


def test_two_models_are_an_error_that_names_them(models: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(models / "hf_bert", tmp_path / name)
    with pytest.raises(ModelNotFoundError, match=r"more than one model.*one.*two"):
        find_model(tmp_path)


def test_no_model_is_an_error_that_says_what_was_looked_for_and_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="Found nothing"):
        find_model(tmp_path)
    (tmp_path / "readme.md").touch()
    with pytest.raises(ModelNotFoundError, match=r"(?s)saved_model\.pb.*bert_config\.json.*Found readme\.md"):
        find_model(tmp_path)
