"""Tables on the screen and in Markdown, and the ratios in them."""

import statistics
from collections.abc import Iterable, Iterator, Sequence

from rich import table
from rich.console import Console

Table = tuple[str, list[str], list[list[str]]]
"""A title, a header, and lines."""


def show(tables: Iterable[Table], console: Console) -> None:
    for title, header, lines in tables:
        shown = table.Table(title=title)
        for place, name in enumerate(header):
            shown.add_column(name, justify="left" if place == 0 else "right")
        for line in lines:
            shown.add_row(*line)
        console.print(shown)


def markdown(tables: Iterable[Table]) -> Iterator[str]:
    for title, header, lines in tables:
        yield f"\n## {title}\n"
        yield f"| {' | '.join(header)} |"
        yield f"|{' --- |' * len(header)}"
        for line in lines:
            yield f"| {' | '.join(line)} |"


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> str:
    """How many times `theirs` goes into `ours`: the median over rounds, each against the same round."""
    return f"{statistics.median(ours / theirs for theirs, ours in zip(theirs, ours, strict=True)):.2f}x"
