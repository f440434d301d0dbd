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


@pytest.mark.parametrize(("terminal", "shown"), [(False, True), (True, False)])
def test_elsewhere_nothing_is_shown(monkeypatch: pytest.MonkeyPatch, terminal: bool, shown: bool) -> None:
    assert _shown(monkeypatch, terminal=terminal, shown=shown) == ""
