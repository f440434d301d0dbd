"""The result of a run as tables: one for each number of cores, kind of texts and family of systems."""

import statistics
from collections.abc import Iterator, Sequence

from benchmarks.tables import Table, ratio
from benchmarks.tokenization.measure import Row
from benchmarks.tokenization.systems import IDS_BASE, SPEED_BASE, SYSTEMS, Family

_FAMILIES: dict[Family, str] = {"wordpiece": "WordPiece", "sentencepiece": "SentencePiece (ALBERT)"}


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    order = list(SYSTEMS)
    for cores, kind, family in dict.fromkeys(map(_table, rows)):
        own = sorted(
            (row for row in rows if _table(row) == (cores, kind, family)), key=lambda row: order.index(row.system)
        )
        rounds = max(len(row.seconds) for row in own)
        if rounds:
            title = f"{_FAMILIES[family]}, {kind}, {_cores(cores)}: medians of {rounds} rounds"
            yield title, _header(family), [_line(row, own, family) for row in own]


def _table(row: Row) -> tuple[int, str, Family]:
    return row.cores, row.kind, SYSTEMS[row.system].family


def _cores(count: int) -> str:
    return "one core" if count == 1 else f"{count} cores"


def _header(family: Family) -> list[str]:
    header = ["system", "MB/s", "rounds from-to", "MB/CPU s"]
    for base in SPEED_BASE[family]:
        title = SYSTEMS[base].title
        header += [f"times {title}", "by CPU time"]
    return header + [f"texts tokenized as by {SYSTEMS[base].title}" for base in IDS_BASE[family]]


def _line(row: Row, rows: Sequence[Row], family: Family) -> list[str]:
    title = SYSTEMS[row.system].title
    if row.skipped is not None:
        return [title, f"left out: {row.skipped}", *["-"] * (len(_header(family)) - 2)]
    speeds = f"{min(row.rates):.2f}-{max(row.rates):.2f}"
    line = [title, f"{statistics.median(row.rates):.2f}", speeds, f"{statistics.median(row.cpu_rates):.2f}"]
    for name in SPEED_BASE[family]:
        base = next((other for other in rows if other.system == name and other.seconds), None)
        line += ["-", "-"] if base is None else [ratio(base.rates, row.rates), ratio(base.cpu_rates, row.cpu_rates)]
    return line + [f"{row.same_ids[base]:.2%}" if base in row.same_ids else "-" for base in IDS_BASE[family]]
