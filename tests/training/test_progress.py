import io
from typing import Any

import pytest
from rich.console import Console

from berthub.training import progress
from berthub.training.progress import TrainingProgress


def _shown(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, shown: bool) -> str:
    written = io.StringIO()

    def console(**_: Any) -> Console:
        return Console(file=written, force_terminal=terminal, width=100)

    monkeypatch.setattr(progress, "Console", console)
    with TrainingProgress(epochs=2, shown=shown) as watcher:
        for epoch in (1, 2):
            for step in range(1, 4):
                watcher.step(epoch=epoch, step=step, steps=3, loss=0.5)
            watcher.epoch({"epoch": epoch, "loss": 0.5, "seconds": 2.4, "examples_per_second": 1234.5})
    return written.getvalue()


def test_a_terminal_shows_the_bar_and_a_line_for_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _shown(monkeypatch, terminal=True, shown=True)
    assert "epoch 1, loss 0.5000, seconds 2, examples_per_second 1,234" in shown
    assert "epoch 2, loss 0.5000" in shown
    assert "epoch 2/2" in shown
    assert "3/3" in shown


def test_a_file_gets_a_line_for_each_epoch_and_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = _shown(monkeypatch, terminal=False, shown=True).splitlines()
    epoch = ", loss 0.5000, seconds 2, examples_per_second 1,234"
    assert lines == [f"epoch 1{epoch}", f"epoch 2{epoch}"]
    monkeypatch.setattr(progress, "_SECONDS", 0.0)
    lines = _shown(monkeypatch, terminal=False, shown=True).splitlines()
    steps = [[f"epoch {number}/2, step {step}/3, loss 0.5000" for step in (1, 2, 3)] for number in (1, 2)]
    assert lines == [*steps[0], f"epoch 1{epoch}", *steps[1], f"epoch 2{epoch}"]


@pytest.mark.parametrize("terminal", [False, True])
def test_on_request_nothing_is_shown(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    monkeypatch.setattr(progress, "_SECONDS", 0.0)
    assert _shown(monkeypatch, terminal=terminal, shown=False) == ""
