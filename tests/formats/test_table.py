import json
import shutil
from pathlib import Path

import pytest

from berthub.errors import InputError, ModelNotFoundError
from berthub.formats import read
from berthub.formats.table import find_model

_NAMES = {
    "albert_tf1_hub": "TF1 hub module",
    "albert_v3": "TensorFlow SavedModel",
    "google_checkpoint": "Google checkpoint",
    "hf_bert": "Hugging Face folder",
    "hf_bert_pretraining": "Hugging Face folder",
    "mobilebert": "TensorFlow SavedModel",
    "model_garden": "Model Garden checkpoint",
    "model_garden_old": "Model Garden checkpoint",
    "preprocess": "TensorFlow SavedModel",
    "tf1_hub_module": "TF1 hub module",
    "tf2_v2": "TensorFlow SavedModel",
    "tf2_v4": "TensorFlow SavedModel",
}


@pytest.mark.parametrize("name", _NAMES)
def test_formats_are_told_apart(models: Path, name: str) -> None:
    format, place = find_model(models / name)
    assert format.name == _NAMES[name]
    assert place == models / name


@pytest.mark.parametrize("kept", ["vocab.txt", "bert_config.json"])
def test_a_checkpoint_may_lack_its_configuration_or_vocabulary(models: Path, tmp_path: Path, kept: str) -> None:
    for path in (models / "google_checkpoint").glob("bert_model.ckpt.*"):
        shutil.copy(path, tmp_path)
    with pytest.raises(ModelNotFoundError, match="holds no model"):
        find_model(tmp_path)
    shutil.copy(models / "google_checkpoint" / kept, tmp_path)
    assert find_model(tmp_path)[0].name == "Google checkpoint"


def test_transformers_own_files_stand_above_a_checkpoint_beside_them(models: Path, tmp_path: Path) -> None:
    for name in ("google_checkpoint", "hf_bert"):
        shutil.copytree(models / name, tmp_path, dirs_exist_ok=True)
    assert find_model(tmp_path)[0].name == "Hugging Face folder"


def test_a_model_in_a_subfolder_is_found(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "hf_bert", tmp_path / "package" / "model")
    (tmp_path / "package" / ".hidden").mkdir()
    assert find_model(tmp_path)[1] == tmp_path / "package" / "model"


@pytest.mark.parametrize("encoder", ["0_Transformer", "models/encoder"])
def test_the_encoder_is_told_from_modules_with_weights(models: Path, tmp_path: Path, encoder: str) -> None:
    shutil.copytree(models / "hf_bert", tmp_path / encoder)
    for other in ("2_Dense", "models/other"):
        (tmp_path / other).mkdir(parents=True)
        (tmp_path / other / "config.json").write_text("{}")
        (tmp_path / other / "model.safetensors").touch()
    entries = [{"path": path, "type": f"sentence_transformers.models.{kind}"}
               for path, kind in ((encoder, "Transformer"), ("2_Dense", "Dense"))]  # fmt: skip
    (tmp_path / "modules.json").write_text(json.dumps(entries))
    assert find_model(tmp_path)[1] == tmp_path / encoder


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


def test_settings_are_a_dict(models: Path) -> None:
    with pytest.raises(InputError, match="settings should be a dict"):
        read(models / "tf2_v4", settings="lower_case")  # type: ignore[arg-type]
