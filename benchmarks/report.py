"""The result of `python -m benchmarks` as tables."""

import dataclasses
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from benchmarks.latency import Latency
from benchmarks.memory import Memory
from benchmarks.session import is_ours
from benchmarks.startup import Start
from benchmarks.tables import Table, ratio
from benchmarks.throughput import RoofRow, Rounds, Row

_OUTPUTS = {"pooled": "pooled output", "mean": "means over tokens", "sequence": "all token vectors"}
_ENGINE = "berthub's engine alone"

T = TypeVar("T", Row, Latency)


@dataclass
class Report:
    roof: dict[str, dict[str, Any]] = field(default_factory=dict)
    throughput: list[Rounds] = field(default_factory=list)
    latency: list[Latency] = field(default_factory=list)
    startup: list[Start] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    installed_mib: dict[str, float] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        """What the JSON file holds."""
        return dataclasses.asdict(self)

    def _best(self, arithmetic: str) -> float:
        """The best of all matrix products that were timed."""
        roofs = (roof for rounds in self.throughput for roof in rounds.roofs if roof.arithmetic == arithmetic)
        return max([self.roof[arithmetic]["rate"], *(rate for roof in roofs for rate in roof.rates)])

    def tables(self) -> Iterator[Table]:
        for rounds in self.throughput:
            yield _speeds(rounds)
        if self.latency:
            for model in dict.fromkeys(row.model for row in self.latency):
                yield _latencies(model, [row for row in self.latency if row.model == model])
        shares = [line for rounds in self.throughput for line in _shares(rounds)]
        if shares:
            header = ["model, texts, output", "precision", "encode tokens/s", "engine tokens/s", "share", "by CPU time"]
            yield "What encode reaches of its engine's own steady state", header, shares
        if self.roof:
            lines = [[name, f"{self._best(name) / 1e9:,.0f}", found["by"]] for name, found in self.roof.items()]
            yield "The roof: matrix products on all cores", ["arithmetic", "GFLOP/s (int8: GOP/s)", "by"], lines
        if self.startup:
            header = ["from process start", "model", "seconds", "runs from-to", "peak MiB"]
            yield "Start-up: a new process to its first vector", header, [_start(start) for start in self.startup]
        if self.memory:
            header = ["system", "precision", "model", "texts", "peak MiB", "times the float32 weights"]
            yield "Memory: a new process that loads and encodes", header, [_memory(row) for row in self.memory]
        if self.installed_mib:
            lines = [[name, f"{size:,.0f}"] for name, size in self.installed_mib.items()]
            yield "Installed size", ["system", "MiB"], lines


def _speeds(rounds: Rounds) -> Table:
    rows = _once(rounds.rows)
    turns = max((len(row.seconds) for row in rows), default=0)
    most = max((row.texts for row in rows), default=0)
    title = f"{rounds.model}, {rounds.kind} texts, {_OUTPUTS[rounds.output]}: medians of {turns} rounds, "
    header = ["system", "precision", "tokens/s", "rounds from-to", "berthub is faster by", "by CPU time"]
    lines = [_speed(row, rounds) for row in sorted(rows, key=lambda row: row.skipped is not None)]
    return f"{title}up to {most} texts a call", [*header, "of the roof", "smallest cosine"], lines


def _speed(row: Row, rounds: Rounds) -> list[str]:
    if row.skipped is not None:
        return [row.name, row.precision, "-", "-", f"skipped: {row.skipped}", "-", "-", "-"]
    ours = _ours(rounds.rows, row.group)
    return [
        row.name,
        row.precision,
        f"{row.rate:,.0f}",
        f"{min(row.rates):,.0f}-{max(row.rates):,.0f}",
        ratio(row.rates, ours.rates) if ours else "-",
        ratio(row.cpu_rates, ours.cpu_rates) if ours else "-",
        _of_the_roof(row, rounds.roofs),
        f"{row.agreement.cosine:.7f}" if row.agreement else "-",
    ]


def _of_the_roof(row: Row, roofs: Sequence[RoofRow]) -> str:
    """The median over rounds, each against the same round's matrix product."""
    found = next((roof for roof in roofs if (roof.group, roof.arithmetic) == (row.group, row.arithmetic)), None)
    if found is None:
        return "-"
    pairs = zip(row.seconds, found.rates, strict=True)
    return f"{statistics.median(row.flops / seconds / rate for seconds, rate in pairs):.0%}"


def _shares(rounds: Rounds) -> Iterator[list[str]]:
    for engine in rounds.rows:
        if engine.name != _ENGINE or engine.skipped is not None:
            continue
        asked = engine.precision.partition(" ")[0]
        own = (row for row in rounds.rows if row.name == "berthub" and row.group == engine.group)
        encode = next((row for row in own if row.precision.startswith(asked) and row.skipped is None), None)
        if encode is not None:
            what = f"{rounds.model}, {rounds.kind}, {rounds.output}"
            shares = _share(engine.rates, encode.rates), _share(engine.cpu_rates, encode.cpu_rates)
            yield [what, engine.precision, f"{encode.rate:,.0f}", f"{engine.rate:,.0f}", *shares]


def _share(whole: Sequence[float], part: Sequence[float]) -> str:
    return f"{statistics.median(part / whole for part, whole in zip(part, whole, strict=True)):.1%}"


def _latencies(model: str, rows: Sequence[Latency]) -> Table:
    lines = []
    for row in sorted(_once(rows), key=lambda row: row.skipped is not None):
        if row.skipped is not None:
            lines.append([row.name, row.precision, "-", "-", f"skipped: {row.skipped}"])
            continue
        ours = _ours(rows, row.group)
        # How long it takes is the inverse of how fast it is.
        times = ratio(ours.milliseconds, row.milliseconds) if ours else "-"
        lines.append([row.name, row.precision, f"{row.median:.2f}", f"{row.p99:.2f}", times])
    count = max((len(row.milliseconds) for row in rows), default=0)
    header = ["system", "precision", "p50 ms", "p99 ms", "berthub is faster by"]
    return f"{model}, one short text at a time, {count} of them", header, lines


def _ours(rows: Sequence[T], group: int) -> T | None:
    return next((row for row in rows if row.group == group and is_ours(row)), None)


def _once(rows: Sequence[T]) -> list[T]:
    """berthub is in every group; the table has it once."""
    first = min((row.group for row in rows if is_ours(row)), default=0)
    return [row for row in rows if not is_ours(row) or row.group == first]


def _start(start: Start) -> list[str]:
    if start.skipped is not None:
        return [start.name, start.model, "-", f"skipped: {start.skipped}", "-"]
    span = f"{min(start.seconds):.2f}-{max(start.seconds):.2f}"
    peak = statistics.median(start.mebibytes)
    return [start.name, start.model, f"{start.median:.3f}", span, f"{peak:,.0f}"]


def _memory(row: Memory) -> list[str]:
    if row.skipped is not None:
        return [row.name, row.precision, row.model, "-", "-", f"skipped: {row.skipped}"]
    peak = f"{row.mebibytes:,.0f}"
    return [row.name, row.precision, row.model, str(row.texts), peak, f"{row.mebibytes / row.weights_mebibytes:.2f}x"]
