import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berthub.formats import read
from berthub.formats.native import write_native
from berthub.head import Head
from support.tiny import ARCHITECTURES, tiny_checkpoint


def test_report(cli: Any, models: Path) -> None:
    result = cli("inspect", models / "tf2_v4")
    assert result.exit_code == 0, result.output
    told = " ".join(result.stdout.split())
    assert "TensorFlow 2 SavedModel" in told
    assert "60,512 (0.2 MB)" in told
    assert "1,126 pieces" in told
    assert "hidden_size 32 the shapes of the variables" in told


def test_json(cli: Any, models: Path) -> None:
    checkpoint = read(models / "hf_bert_pretraining")
    report = json.loads(cli("inspect", models / "hf_bert_pretraining", "--json", "--cased").stdout)
    assert report["architecture"] == "bert"
    assert report["parameters"] == checkpoint.parameters
    assert report["weight_bytes"] == 4 * checkpoint.parameters
    assert report["parameters"] == sum(report["parameters_by_part"].values())
    assert report["vocabulary"]["pieces"] == len(checkpoint.vocabulary)
    assert report["vocabulary"]["algorithm"] == "wordpiece"
    assert report["unused_weights"] == list(checkpoint.origin.unused) != []
    assert report["settings"]["lower_case"] == {"value": False, "from": "given by the caller", "own": False}
    assert report["lower_case"] is False
    assert {name: setting["value"] for name, setting in report["settings"].items()} == {
        name: value for name, value in checkpoint.config.to_dict().items() if name != "architecture"
    } | {"lower_case": False}
    assert all(setting["from"] for setting in report["settings"].values())


def test_a_long_list_of_unused_weights_is_cut(cli: Any, models: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "model"
    shutil.copytree(models / "hf_bert", folder)
    extra = {f"classifier.{number}.weight": np.zeros(2, np.float32) for number in range(7)}
    save_file(load_file(folder / "model.safetensors") | extra, folder / "model.safetensors", metadata={"format": "pt"})
    told = " ".join(cli("inspect", folder).stdout.split())
    assert "unused weights 7: classifier.0.weight, " in told
    assert "classifier.4.weight, ..." in told
    assert "classifier.5" not in told


def test_a_fine_tuned_model_tells_its_task(cli: Any, models: Path, tmp_path: Path) -> None:
    labels = tuple(f"label{number}" for number in range(7))
    head = Head(
        task="classify",
        labels=labels,
        pooling="mean",
        max_length=20,
        kernel=np.zeros((32, 7), np.float32),
        bias=np.zeros(7, np.float32),
    )
    write_native(dataclasses.replace(read(models / "tf2_v4"), head=head), tmp_path / "model")
    told = " ".join(cli("inspect", tmp_path / "model").stdout.split())
    assert "fine-tuned classify, on the mean vector, texts of up to 20 tokens" in told
    assert "labels 7: label0, label1, label2, label3, label4, ..." in told
    report = json.loads(cli("inspect", tmp_path / "model", "--json").stdout)
    assert report["head"] == {"task": "classify", "labels": list(labels), "pooling": "mean", "max_length": 20}
    assert json.loads(cli("inspect", models / "tf2_v4", "--json").stdout)["head"] is None
    assert "fine-tuned" not in cli("inspect", models / "tf2_v4").stdout


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture(cli: Any, tmp_path: Path, architecture: str) -> None:
    checkpoint = tiny_checkpoint(architecture)
    config = checkpoint.config
    write_native(checkpoint, tmp_path / "model")
    told = " ".join(cli("inspect", tmp_path / "model").stdout.split())
    assert ("RoBERTa, 3 layers of 24, 3 heads" in told) == (architecture == "roberta")
    assert (", embeddings of 12" in told) == (architecture in ("albert", "bert"))
    assert ("mlm_logits float32 [batch, positions, 40]" in told) == config.mlm
    assert ("pooled_output" in told) == config.has_pooled_output
    report = json.loads(cli("inspect", tmp_path / "model", "--json").stdout)
    assert report["kind"] == "encoder"
    assert report["architecture"] == architecture
    assert report["parameters"] == checkpoint.parameters
    assert report["mlm_head"] == config.mlm
    own = {name: setting["value"] for name, setting in report["settings"].items() if setting["own"]}
    assert own.keys() == {field.name for field in dataclasses.fields(config)} - {
        field.name for field in dataclasses.fields(config.__class__.__mro__[1])
    }
    assert all(getattr(config, name) == value for name, value in own.items())
    outputs = {output["name"]: output for output in report["outputs"]}
    assert outputs["encoder_outputs"] == {
        "count": config.num_states,
        "name": "encoder_outputs",
        "type": "float32",
        "shape": ["batch", "seq", 24],
    }


def test_inputs_and_outputs_are_those_of_a_call(cli: Any, tmp_path: Path) -> None:
    import berthub

    write_native(tiny_checkpoint("distilbert"), tmp_path / "model")
    report = json.loads(cli("inspect", tmp_path / "model", "--json").stdout)
    sizes = {"batch": 2, "seq": 7, "positions": 3}

    def shape(tensor: dict[str, Any]) -> tuple[int, ...]:
        return tuple(sizes.get(size, size) for size in tensor["shape"])

    inputs = {
        tensor["name"]: np.full(shape(tensor), min(tensor["largest"], 6), tensor["type"]) for tensor in report["inputs"]
    }
    called = berthub.load(tmp_path / "model", engine="numpy")(inputs)
    assert set(called) == {tensor["name"] for tensor in report["outputs"]}
    for tensor in report["outputs"]:
        came = called[tensor["name"]]
        arrays = came if isinstance(came, list) else [came]
        assert len(arrays) == tensor["count"]
        assert {(array.shape, str(array.dtype)) for array in arrays} == {(shape(tensor), tensor["type"])}


def test_files_have_their_sha256(cli: Any, models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(models / "hf_bert", folder)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("not of the model")
    (folder / "notes").mkdir()
    (folder / "notes" / "read me.txt").write_text("[bold]")
    files = json.loads(cli("inspect", folder, "--json").stdout)["files"]
    expected = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }
    assert {file["name"]: file["sha256"] for file in files} == expected
    # Each is a line, however narrow the terminal: to be copied, and to be checked by sha256sum.
    lines = cli("inspect", folder).stdout.splitlines()
    assert {f"{sha256}  {name}" for name, sha256 in expected.items()} <= set(lines)
    pin = f"model.safetensors={expected['model.safetensors']}"
    assert cli("inspect", folder, "--sha256", pin).exit_code == 0


def test_nothing_but_files_is_wider_than_the_terminal(cli: Any, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = cli("inspect", models / "hf_bert_pretraining").stdout
    assert max(map(len, told.partition("SHA-256")[0].splitlines())) <= 80


def test_a_preprocessing_model_says_what_it_is(cli: Any, models: Path) -> None:
    told = " ".join(cli("inspect", models / "preprocess").stdout.split())
    assert "preprocessing SavedModel: makes inputs from texts, and has no weights" in told
    assert "1,126 pieces, WordPiece, texts are lower-cased" in told
    report = json.loads(cli("inspect", models / "preprocess", "--json").stdout)
    assert report["kind"] == "preprocessor"
    assert report["seq_length"] == 128
    assert report["lower_case"] is True
    assert [output["name"] for output in report["outputs"]] == ["input_word_ids", "input_mask", "input_type_ids"]
    assert {file["name"] for file in report["files"]} >= {"assets/vocab.txt", "saved_model.pb"}


def test_what_is_neither_is_an_error(cli: Any, models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "google_checkpoint", tmp_path / "model")
    (tmp_path / "model" / "vocab.txt").unlink()
    result = cli("inspect", tmp_path / "model")
    assert result.exit_code == 4
    assert "vocab" in result.stderr
