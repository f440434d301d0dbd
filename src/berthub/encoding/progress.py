"""How many texts are done, shown on stderr while a call lasts: a bar, or lines where stderr is no terminal."""

import contextlib
import sys
import time
from collections.abc import Callable, Generator, Iterator

from berthub.engines.engine import Result
from berthub.errors import InputError

__all__ = ["Advance", "counted", "shown_progress", "unseen", "wanted_progress"]

Advance = Callable[[float], None]
"""A callback that takes the share of a call that is done, from 0 to 1."""

# The least number of seconds between two lines, where there is no bar.
_PAUSE = 10.0


def wanted_progress(progress: bool, show_progress_bar: bool | None) -> bool:
    """The value of `progress`, which has a second name in sentence-transformers; `InputError` if it is no bool."""
    chosen = progress if show_progress_bar is None else show_progress_bar
    if not isinstance(chosen, bool):
        raise InputError(f"progress is True or False, not {chosen!r}")
    return chosen


def unseen(share: float) -> None:
    """Show nothing."""


def counted(results: Generator[Result], rows: int, advance: Advance) -> Generator[Result]:
    """Pass on results, and call `advance` after each with the share of `rows` that are done."""
    done = 0
    with contextlib.closing(results):
        for result in results:
            yield result
            done += len(result.batch.rows)
            advance(done / rows)


@contextlib.contextmanager
def shown_progress(total: int | None, shown: bool) -> Iterator[Callable[[int], None]]:
    """A callback that shows how many of `total` texts are done; None where the total is unknown."""
    if not shown:
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        with _lines(total) as report:
            yield report
        return
    with Progress(
        TextColumn("texts"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


@contextlib.contextmanager
def _lines(total: int | None) -> Iterator[Callable[[int], None]]:
    of = "" if total is None else f" of {total:,}"
    begin = last = time.monotonic()
    counted = 0

    def report(done: int) -> None:
        nonlocal last, counted
        counted = done
        if time.monotonic() - last >= _PAUSE:
            last = time.monotonic()
            print(f"{done:,}{of} texts, {last - begin:.0f} s", file=sys.stderr, flush=True)

    yield report
    print(f"{counted:,}{of} texts in {time.monotonic() - begin:.1f} s", file=sys.stderr, flush=True)
