"""Show the progress of training on the terminal."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from berthub.training.trainer import Watcher

__all__ = ["TrainingProgress"]


# Between two lines in a file.
_SECONDS = 30.0


class TrainingProgress(Watcher):
    """A bar for the epoch that is running, and a line for each that is done, on stderr.

    Where that is no terminal but a file or a pipe, there are lines instead of the bar, one every `_SECONDS`.
    """

    def __init__(self, *, epochs: int, shown: bool) -> None:
        self._console = Console(stderr=True)
        self._shown, self._epochs, self._last = shown, epochs, time.monotonic()
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not (shown and self._console.is_terminal),
        )
        self._task = self._bar.add_task("", total=None, epoch=1, loss=0.0)
        self._shown_loss = 0.0
        self._epoch = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(self, *, epoch: int, step: int, steps: int, loss: float) -> None:
        """Move the bar; the loss shown is a running mean."""
        if epoch != self._epoch:
            self._epoch, self._shown_loss = epoch, loss
            # Or the time that remains would stay 0 from the end of the first epoch on.
            self._bar.reset(self._task, total=steps, completed=step - 1, epoch=epoch, loss=loss)
        self._shown_loss = 0.95 * self._shown_loss + 0.05 * loss
        self._bar.update(self._task, completed=step, epoch=epoch, loss=self._shown_loss)
        if self._shown and self._bar.disable and time.monotonic() - self._last >= _SECONDS:
            self._say(f"epoch {epoch}/{self._epochs}, step {step:,}/{steps:,}, loss {self._shown_loss:.4f}")

    def epoch(self, entry: Mapping[str, float]) -> None:
        """Print what the history has of the epoch."""
        if self._shown:
            shown = ", ".join(
                f"{name} {value:,.0f}" if name in ("epoch", "seconds", "examples_per_second") else f"{name} {value:.4f}"
                for name, value in entry.items()
            )
            self._say(shown)

    def begin(self, what: str) -> None:
        """Say with what training begins."""
        if self._shown:
            self._say(what)

    def _say(self, line: str) -> None:
        self._last = time.monotonic()
        # A file gets each line whole, and at once.
        self._console.print(line, highlight=False, soft_wrap=True)
        self._console.file.flush()
