"""The progress of a job: a bar on the terminal while it runs, one line when it is done."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from berthub.jobs.step import Step

__all__ = ["Counts", "counted", "progress", "progress_bar", "summary"]


class Counts:
    """Counts what a job has done; calls `changed` with itself and how much of the input that was."""

    def __init__(self, changed: Callable[["Counts", int], None]) -> None:
        self.rows = 0
        self.tokens = 0
        self.truncated = 0
        self._changed = changed
        self._begin = time.perf_counter()
        # What was counted first, and when: the engine was made ready until then.
        self._ready: tuple[int, int, float] | None = None

    def add(self, step: Step) -> None:
        """Count a step that a job has done."""
        self.rows += step.rows
        self.tokens += step.tokens
        self.truncated += step.truncated
        if self._ready is None:
            self._ready = self.rows, self.tokens, time.perf_counter()
        self._changed(self, step.done)

    @property
    def seconds(self) -> float:
        """The time since the start."""
        return time.perf_counter() - self._begin

    @property
    def speed(self) -> str:
        """Tokens per second as text, or rows per second where tokens are not counted.

        The first step is left out, with its time, since it waited for the model. Empty while there was no other step.
        """
        if self._ready is None or self._ready[0] == self.rows:
            return ""
        rows, tokens, since = self._ready
        counted, unit = (self.tokens - tokens, "tokens") if self.tokens else (self.rows - rows, "rows")
        return f"{counted / max(time.perf_counter() - since, 1e-9):,.0f} {unit}/s"


@contextlib.contextmanager
def progress(total: int | None, *, quiet: bool) -> Iterator[Counts]:
    """Counts that are shown in a progress bar where stderr is a terminal; `total` is in the unit of `Step.done`."""
    with progress_bar(quiet=quiet) as bar:
        task = bar.add_task("", total=total, counted="")

        def changed(counts: Counts, done: int) -> None:
            bar.update(task, completed=done, counted=_joined(counted(counts.rows, "row"), counts.speed))

        yield Counts(changed)


def progress_bar(*, quiet: bool) -> Progress:
    """A bar whose tasks say in a field `counted` what is done; it is shown where stderr is a terminal."""
    console = Console(stderr=True)
    return Progress(
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[counted]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )


def summary(counts: Counts, *, precision: str, max_length: int, missing: str = "") -> None:
    """Print one line on stderr that says what was done; `missing` says how many rows had no text."""
    many = counted(counts.truncated, "text")
    truncated = f"; {many} truncated to {max_length} tokens" if counts.truncated else "; no text truncated"
    tokens = f", {counted(counts.tokens, 'token')}" if counts.tokens else ""
    speed = _joined(counts.speed, precision)
    print(
        f"{counted(counts.rows, 'row')}{tokens} in {counts.seconds:.1f} s ({speed}){truncated}"
        + (f"; {missing}" if missing else ""),
        file=sys.stderr,
    )


def counted(number: int, what: str) -> str:
    """A number with its noun, whose plural ends in s: 1 row, 2 rows."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))
