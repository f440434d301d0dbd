import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.errors import InputError, TrainingDivergedError
from berthub.training.steps import TrainingStep
from berthub.training.tasks import fine_tuner
from support.finetuning import FIT, data, tuner

FILES = ["README.md", "berthub.json", "learning_curves.png", "metrics.json", "model.safetensors", "vocab.txt"]


@pytest.mark.parametrize(
    ("kind", "picture"),
    [
        ("two", "confusion_matrix.png"),
        ("regress", "predictions.png"),
        ("tag", "confusion_matrix.png"),
        ("multi_label", None),
    ],
)
def test_a_run_folder_has_all_about_the_model(
    start: Checkpoint, tmp_path: Path, kind: str, picture: str | None
) -> None:
    run, dev = tmp_path / "my run", data(kind, count=20, seed=1)
    model = tuner(kind, start).fit(*data(kind), dev=dev, run=run, data="Words | that tell", **FIT, epochs=2)
    pictures = ["learning_curves.png", *([picture] if picture else [])]
    assert sorted(path.name for path in run.iterdir()) == sorted({*FILES, *pictures})
    for name in pictures:
        assert (run / name).read_bytes().startswith(b"\x89PNG\r\n")

    metrics = json.loads((run / "metrics.json").read_text(), parse_constant=pytest.fail)
    again = tuner(kind, run)
    assert metrics["scores"] == again.evaluate(*dev) == model.evaluate(*dev)
    assert metrics["labels"] == list(model.labels) == list(again.labels)
    assert metrics["history"] == model.history
    assert metrics["best_epoch"] == model.best_epoch
    assert (metrics["examples"], metrics["dev_examples"]) == (len(data(kind)[0]), len(dev[0]))
    assert {**metrics["hyperparameters"], **FIT, "epochs": 2}.items() >= {"seed": 0, "batch_size": 8}.items()
    assert metrics["versions"]["berthub"] == hub.__version__

    card = (run / "README.md").read_text()
    assert card.startswith("# my run\n\n")
    for part in (
        "hub.load('my run')",
        f"Words | that tell. {len(data(kind)[0])} examples for training, {len(dev[0])} for choosing the epoch",
        "BERT with 1 layers of 32, lower-cased, texts of up to 64 tokens",
        *[f"({name})" for name in pictures],
        *[f"| {name} | {value:.4f} |" for name, value in metrics["scores"].items()],
        "| learning_rate | 0.005 |",
        "| lora_rank | None |",
        f"Of epoch {model.best_epoch}",
    ):
        assert part in card
    # The predictions are those of the object that was trained.
    assert [*hub.load(run).predict(dev[0])] == [*model.predict(dev[0])]
    with pytest.raises(InputError, match="holds a finished model"):
        tuner(kind, run).fit(*data(kind), run=run)


def test_without_dev_data_there_are_no_scores(start: Checkpoint, tmp_path: Path) -> None:
    model = tuner("two", start).fit(*data("two"), run=tmp_path / "run", **FIT, epochs=2)
    assert model.best_epoch == 2
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(FILES)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["scores"] is None
    card = (tmp_path / "run" / "README.md").read_text()
    assert "Not described. 48 examples for training.\n" in card
    assert "None: there were no dev data." in card


def test_what_json_has_no_number_for_is_null(start: Checkpoint, tmp_path: Path) -> None:
    # A head that was not trained says the same of all texts, and a correlation with that is undefined.
    texts, labels = data("regress", count=8)
    tuner("regress", start, freeze_layers=1).fit(
        texts,
        labels,
        dev=(["the war"] * 2, [1.0, 2.0]),
        run=tmp_path / "run",
        **{**FIT, "clip_norm": float("inf")},
        epochs=1,
    )
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert metrics["scores"]["pearson"] is None
    assert metrics["history"][0]["dev_spearman"] is None
    assert metrics["hyperparameters"]["clip_norm"] is None


class Poisoned:
    """Steps whose loss is no number from the given one on."""

    def __init__(self, step: TrainingStep, at: int) -> None:
        self._step, self._at, self.few_shapes = step, at, step.few_shapes

    def run(self, *args: Any) -> float:
        self._at -= 1
        loss = self._step.run(*args)
        return loss if self._at >= 0 else float("nan")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)


def test_a_training_that_diverges_keeps_the_best_epoch(
    start: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = fine_tuner.create_step
    monkeypatch.setattr(fine_tuner, "create_step", lambda *args, **options: Poisoned(create(*args, **options), 15))
    model, run, dev = tuner("two", start), tmp_path / "run", data("two", seed=1)
    with pytest.raises(TrainingDivergedError) as caught:
        model.fit(*data("two"), dev=dev, run=run, **FIT, epochs=4, checkpoint_steps=2)
    for part in (
        "in step 4 of epoch 3, at learning rate",
        f"epoch {model.best_epoch} is kept",
        "smaller learning_rate",
    ):
        assert part in str(caught.value)
    assert len(model.history) == 2
    assert sorted(path.name for path in run.iterdir()) == sorted([*FILES, "confusion_matrix.png"])
    assert model.evaluate(*dev) == tuner("two", run).evaluate(*dev)


def test_one_that_diverges_at_once_leaves_nothing(start: Checkpoint, tmp_path: Path) -> None:
    name = "bert/encoder/layer_0/output/dense/kernel"
    kernel = start.weights[name].copy()
    kernel[0, 0] = np.inf
    model = tuner("two", dataclasses.replace(start, weights={**start.weights, name: kernel}))
    with pytest.raises(TrainingDivergedError, match=r"in step 1 of epoch 1, .*; no epoch had been completed"):
        model.fit(*data("two"), run=tmp_path / "run", **FIT, epochs=1)
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="has learned nothing yet"):
        model.predict(["a"])
