"""The catalogue as a table for people, and as records for programs."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table

from berthub.cli.catalogue_query import Listed
from berthub.cli.console import OutputConsole, literal
from berthub.cli.estimates import BYTES, parameters_by_part
from berthub.cli.published import config_of
from berthub.sources import catalogue

__all__ = ["as_records", "show"]

# A longer name is broken into two lines where the terminal is too narrow.
_NAME_WIDTH = 46
_SHOWN_LANGUAGES = 3
# What a pipe takes: wider than any table.
_UNLIMITED = 1000


@dataclass(frozen=True)
class _Column:
    """A column; where the terminal is too narrow for all, those of the highest `rank` are left out."""

    heading: str
    rank: int
    cell: Callable[[Listed], str]
    numbers: bool = False


def as_records(found: Sequence[Listed]) -> list[dict[str, Any]]:
    """All that is known of each model, as plain JSON values; the keys are always the same."""
    newest = {model.tfhub for model in catalogue.newest()}
    return [_record(each, newest=each.model.tfhub in newest) for each in found]


def show(found: Sequence[Listed], *, every_version: bool) -> None:
    """Print a table: on a terminal the columns that fit its width, elsewhere all of them."""
    console = OutputConsole()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _UNLIMITED
    cells = {column: [column.cell(each) for each in found] for column in _COLUMNS}
    cells = {column: texts for column, texts in cells.items() if any(texts)}
    columns = _fitting({column: [column.heading, *texts] for column, texts in cells.items()}, console.width)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(
            column.heading,
            justify="right" if column.numbers else "left",
            no_wrap=column is not _COLUMNS[0],
            overflow="fold",
        )
    for row in zip(*(cells[column] for column in columns), strict=True):
        table.add_row(*map(literal, row))
    console.print(table)
    versions = "every version" if every_version else "newest versions; --all lists every one"
    note = (
        f"{_count(len(found), 'model')} ({versions}), {sum(each.cached is not None for each in found):,} in the cache."
    )
    note += " Size: layers x width; MB: the encoder's weights in float32."
    left_out = [column.heading for column in cells if column not in columns]
    if left_out:
        note += f" A wider terminal shows {', '.join(left_out)}, too; --json has everything."
    console.print(literal(note, "dim"))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _fitting(texts: dict[_Column, list[str]], width: int) -> list[_Column]:
    """The columns of lowest rank that fit the width together, in the order of the table."""
    taken: list[_Column] = []
    for column in sorted(texts, key=lambda column: column.rank):
        longest = max(map(len, texts[column]))
        needed = (min(longest, _NAME_WIDTH) if column is _COLUMNS[0] else longest) + _GAP
        if taken and needed > width:
            break
        taken.append(column)
        width -= needed
    return [column for column in _COLUMNS if column in taken]


def _record(listed: Listed, *, newest: bool) -> dict[str, Any]:
    model, parameters = listed.model, _parameters(listed)
    return {
        "handle": model.tfhub,
        "url": f"https://tfhub.dev/{model.tfhub}",
        "kaggle": model.kaggle,
        "evidence": model.evidence,
        "version": model.version,
        "newest": newest,
        "family": model.family,
        "languages": list(model.languages),
        "cased": model.cased,
        "layers": model.layers,
        "hidden": model.hidden,
        "heads": model.heads,
        "parameters": parameters,
        "bytes": None if parameters is None else BYTES * parameters,
        "vocabulary": model.vocab,
        "vocabulary_size": model.vocab_size,
        "format": model.format,
        "api": model.api,
        "runs": model.runs,
        "huggingface": model.huggingface,
        "preprocess": model.preprocess,
        "cached": None
        if listed.cached is None
        else {"folder": str(listed.cached.folder), "bytes": listed.cached.nbytes},
        "notes": model.notes,
    }


def _parameters(listed: Listed) -> int | None:
    config = config_of(listed.model)
    return None if config is None else sum(parameters_by_part(config).values())


def _languages(listed: Listed) -> str:
    languages = listed.model.languages
    more = len(languages) - _SHOWN_LANGUAGES
    return ",".join(languages[:_SHOWN_LANGUAGES]) + (f" +{more}" if more > 0 else "")


def _size(listed: Listed) -> str:
    layers, hidden = listed.model.layers, listed.model.hidden
    return "" if layers is None else f"{layers}x{'?' if hidden is None else hidden}"


def _millions(number: int | None) -> str:
    return "" if number is None else f"{number / 1e6:.{0 if number >= 99.5e6 else 1}f}M"


def _megabytes(number: int | None) -> str:
    return "" if number is None else f"{number / 1e6:,.0f}"


def _weights_size(listed: Listed) -> str:
    parameters = _parameters(listed)
    return _megabytes(None if parameters is None else BYTES * parameters)


def _cached(listed: Listed) -> str:
    return "" if listed.cached is None else f"{max(1, round(listed.cached.nbytes / 1e6)):,} MB"


_COLUMNS = (
    _Column("model", 0, lambda each: each.model.tfhub),
    _Column("family", 7, lambda each: each.model.family),
    _Column("language", 6, _languages),
    _Column("case", 8, lambda each: {True: "cased", False: "uncased", None: ""}[each.model.cased]),
    _Column("size", 1, _size, numbers=True),
    _Column("params", 4, lambda each: _millions(_parameters(each)), numbers=True),
    _Column("MB", 5, _weights_size, numbers=True),
    _Column("runs", 2, lambda each: each.model.runs),
    _Column("cached", 3, _cached, numbers=True),
    _Column("Kaggle", 9, lambda each: each.model.kaggle or ""),
)
# Between columns.
_GAP = 2
