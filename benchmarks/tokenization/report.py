"""The result of a run as tables on the screen, as Markdown and as JSON."""

import dataclasses
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.report import ratio
from benchmarks.tokenization.measure import Row
from benchmarks.tokenization.systems import IDS_BASE, SPEED_BASE, SYSTEMS, Family

_FAMILIES: dict[Family, str] = {"wordpiece": "WordPiece", "sentencepiece": "SentencePiece (ALBERT)"}


@dataclass
class Report:
    date: str
    command: str
    machine: dict[str, Any]
    versions: dict[str, str]
    rows: list[Row] = field(default_factory=list)

    def show(self, console: Console) -> None:
        for title, header, lines in self._tables():
            table = Table(title=title)
            for place, name in enumerate(header):
                table.add_column(name, justify="left" if place == 0 else "right")
            for line in lines:
                table.add_row(*line)
            console.print(table)

    def save(self, folder: Path, name: str) -> tuple[Path, Path]:
        folder.mkdir(parents=True, exist_ok=True)
        markdown, data = folder / f"{name}.md", folder / f"{name}.json"
        markdown.write_text("\n".join(self._markdown()) + "\n", encoding="utf-8")
        data.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n", encoding="utf-8")
        return markdown, data

    def _markdown(self) -> Iterator[str]:
        machine = self.machine
        yield f"# Tokenization, {self.date}, {machine['processor']}, {machine['cores']} cores"
        yield ""
        yield f"Load average at the start: {machine['load_at_start']}."
        yield ""
        yield ", ".join(f"{name} {version}" for name, version in self.versions.items()) + "."
        yield ""
        yield f"```\n{self.command}\n```"
        for title, header, lines in self._tables():
            yield f"\n## {title}\n"
            yield f"| {' | '.join(header)} |"
            yield f"|{' --- |' * len(header)}"
            for line in lines:
                yield f"| {' | '.join(line)} |"

    def _tables(self) -> Iterator[tuple[str, list[str], list[list[str]]]]:
        for cores, kind, family in dict.fromkeys(
            (row.cores, row.kind, SYSTEMS[row.system].family) for row in self.rows
        ):
            rows = [
                row for row in self.rows if (row.cores, row.kind, SYSTEMS[row.system].family) == (cores, kind, family)
            ]
            rows.sort(key=lambda row: [*SYSTEMS].index(row.system))
            rounds = max(len(row.seconds) for row in rows)
            if rounds:
                title = f"{_FAMILIES[family]}, {kind}, {_cores(cores)}: medians of {rounds} rounds"
                yield title, _header(family), [_line(row, rows, family) for row in rows]


def _cores(count: int) -> str:
    return "one core" if count == 1 else f"{count} cores"


def _header(family: Family) -> list[str]:
    header = ["system", "MB/s", "rounds from-to", "MB/CPU s"]
    for base in SPEED_BASE[family]:
        title = SYSTEMS[base].title
        header += [f"times {title}", "by CPU time"]
    return header + [f"texts cut as by {SYSTEMS[base].title}" for base in IDS_BASE[family]]


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
