"""What notebooks show of a training."""

import math
import re
from pathlib import Path
from typing import Any

import pytest

import berthub as hub
from berthub.training.html import training_html
from berthub.training.run import Run


def _shown(history: list[dict[str, float]], best_epoch: int = 1) -> str:
    return training_html("Run", history=history, best_epoch=best_epoch, facts=[("model", "<mine>")])


def test_losses_and_scores_have_a_panel_each() -> None:
    history: list[dict[str, float]] = [
        {"epoch": epoch, "loss": 1 / epoch, "dev_loss": 2 / epoch, "accuracy": 0.8, "seconds": 9.0}
        for epoch in (1, 2, 3)
    ]
    shown = _shown(history, best_epoch=2)
    assert shown.count("<svg") == 2
    assert shown.count("<polyline") == 3
    assert "the best epoch" in shown
    assert "seconds" not in shown
    assert "&lt;mine&gt;" in shown


@pytest.mark.parametrize(
    ("history", "panels"),
    [
        ([], 0),
        ([{"epoch": 1, "loss": 1.0}], 1),
        ([{"epoch": 1, "loss": math.nan}], 0),
        ([{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": math.inf}], 1),
    ],
)
def test_a_short_or_broken_history_is_shown(history: list[dict[str, float]], panels: int) -> None:
    shown = _shown(history)
    assert shown.count("<svg") == panels
    assert not re.search("nan|inf", shown.lower())


def test_the_size_is_bounded() -> None:
    history: list[dict[str, Any]] = [{"epoch": e, **{f"s{i}": e / 9 for i in range(50)}} for e in range(1, 5001)]
    assert len(_shown(history)) < 60_000


def test_a_run_and_a_model_in_training_show_themselves(models: Path) -> None:
    classifier = hub.TextClassifier(models / "tf2_v4", labels=["no", "<b>"])
    assert "&lt;b&gt;" in classifier._repr_html_()
    run = Run(
        checkpoint=classifier._checkpoint,
        model="mine",
        data=None,
        examples=1000,
        dev_examples=10,
        hyperparameters={},
        history=[{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}],
        best_epoch=2,
        scores={"accuracy": 0.75},
        truth=[],
        predicted=[],
    )
    shown = run._repr_html_()
    assert "1,000 examples" in shown
    assert "0.7500" in shown
    assert "<polyline" in shown
