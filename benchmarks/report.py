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

from benchmarks.startup import Start
from benchmarks.throughput import Row

# What every other row is compared with, where it was measured.
_OURS = "berthub"


@dataclass
class Report:
    date: str
    command: str
    machine: dict[str, Any]
    versions: dict[str, str]
    throughput: dict[str, dict[str, list[Row]]] = field(default_factory=dict)
    startup: list[Start] = field(default_factory=list)
    installed_mib: dict[str, float] = field(default_factory=dict)

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
        flags = ", ".join(machine["flags"]) or "none of note"
        yield f"# {self.date}, {machine['processor']}, {machine['cores']} cores"
        yield ""
        yield f"Matrix instructions: {flags}. Load average at the start: {machine['load_at_start']}."
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
        for model, kinds in self.throughput.items():
            for kind, rows in kinds.items():
                texts = max((row.texts for row in rows), default=0)
                turns = max((len(row.seconds) for row in rows), default=0)
                title = f"{model}, {kind} texts: medians of {turns} rounds, {texts} texts a call"
                header = ["system", "precision", "tokens/s", "rounds from-to", "berthub is faster by"]
                yield title, [*header, "by CPU time", "smallest cosine"], [_line(row, _ours(rows)) for row in rows]
        if self.startup:
            header = ["from process start", "model", "seconds", "runs from-to", "peak MiB"]
            yield "Start-up: a new process to its first vector", header, [_start(s) for s in self.startup]
        if self.installed_mib:
            lines = [[name, f"{size:,.0f}"] for name, size in self.installed_mib.items()]
            yield "Installed size", ["system", "MiB"], lines


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> str:
    """How many times `theirs` goes into `ours`: the median over rounds, each against the same round."""
    return f"{statistics.median(ours / theirs for theirs, ours in zip(theirs, ours, strict=True)):.2f}x"


def _ours(rows: list[Row]) -> Row | None:
    return next((row for row in rows if row.name == _OURS and row.precision.startswith("auto") and row.seconds), None)


def _line(row: Row, ours: Row | None) -> list[str]:
    if row.skipped is not None:
        return [row.name, row.precision, "-", "-", row.skipped, "-", "-"]
    span = f"{min(row.rates):,.0f}-{max(row.rates):,.0f}"
    times = ratio(row.rates, ours.rates) if ours else "-"
    cpu_times = ratio(row.cpu_rates, ours.cpu_rates) if ours else "-"
    cosine = f"{row.agreement.cosine:.7f}" if row.agreement else "-"
    return [row.name, row.precision, f"{row.rate:,.0f}", span, times, cpu_times, cosine]


def _start(start: Start) -> list[str]:
    if start.skipped is not None:
        return [start.name, start.model, "-", start.skipped, "-"]
    span = f"{min(start.seconds):.2f}-{max(start.seconds):.2f}"
    peak = statistics.median(start.mebibytes)
    return [start.name, start.model, f"{start.median:.3f}", span, f"{peak:,.0f}"]
