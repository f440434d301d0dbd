import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from berthub.formats import read
from berthub.formats.native import write_native
from berthub.head import Head


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
    assert report["vocabulary"]["pieces"] == len(checkpoint.vocabulary)
    assert report["unused_weights"] == list(checkpoint.origin.unused) != []
    assert report["settings"]["lower_case"] == {"value": False, "from": "given by the caller"}
    assert {name: setting["value"] for name, setting in report["settings"].items()} == {
        name: value for name, value in checkpoint.config.to_dict().items() if name != "architecture"
    } | {"lower_case": False}
    assert all(setting["from"] for setting in report["settings"].values())


def test_a_long_list_of_unused_weights_is_cut(cli: Any, models: Path) -> None:
    assert ", ..." in cli("inspect", models / "hf_bert_pretraining").stdout


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
