"""The file of results: every run that was ever added to it, as JSON, and the tables made of them, as Markdown."""

import json
import statistics
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.finetuning.scores import SHOWN
from benchmarks.finetuning.settings import Job
from benchmarks.finetuning.systems import SYSTEMS
from benchmarks.tables import Table, markdown, ratio

_MEASURES = {"accuracy": "accuracy, %", "f1": "F1, %", "loss": "loss x 100"}
# Which systems have the same batches and the same first head for a seed.
_PAIRS = (
    ("transformers-paired", "berthub"),
    ("transformers-paired", "berthub-float32"),
    ("transformers-bf16-paired", "berthub"),
)
# The first system whose name begins so is what the others' speed is compared with.
_OURS = "berthub"


class Results:
    """What `path` holds, and what is added; it is saved after each addition, so that a run that is interrupted has not
    been for nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self._date: str = stored.get("date", machine.today())
        self._machine: dict[str, Any] = stored.get("machine", machine.machine())
        self._runs: list[dict[str, Any]] = stored.get("runs", [])
        self._speed: list[dict[str, Any]] = stored.get("speed", [])

    def __contains__(self, job: Job) -> bool:
        key = job.key()
        return any(all(run.get(name) == value for name, value in key.items()) for run in self._runs)

    def add(self, run: dict[str, Any]) -> None:
        with self._lock:
            self._runs.append(run)
            self._save()

    def add_speed(self, rows: list[dict[str, Any]]) -> None:
        with self._lock:
            self._speed.append({"load": machine.machine()["load_at_start"], "rows": rows})
            self._save()

    def tables(self) -> Iterator[Table]:
        for task in SHOWN:
            runs = [run for run in self._runs if run["task"] == task]
            if runs:
                yield _scores(task, runs)
                yield from _pairs(task, runs)
        for measured in self._speed:
            if measured["rows"]:
                yield _speeds(measured["rows"])

    def _save(self) -> None:
        stored = {"date": self._date, "machine": self._machine, "runs": self._runs, "speed": self._speed}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
        self._path.with_suffix(".md").write_text("\n".join(self._markdown()) + "\n", encoding="utf-8")

    def _markdown(self) -> Iterator[str]:
        flags = ", ".join(self._machine["flags"]) or "none of note"
        yield f"# Fine-tuning, {self._date}, {self._machine['processor']}, {self._machine['cores']} cores"
        yield ""
        yield f"Matrix instructions: {flags}. Load average at the start: {self._machine['load_at_start']}."
        yield ""
        yield ", ".join(f"{name} {version}" for name, version in self._versions().items()) + "."
        yield from markdown(self.tables())

    def _versions(self) -> dict[str, str]:
        """Each library's versions: more than one where the file grew over time."""
        rows = [*self._runs, *(row for measured in self._speed for row in measured["rows"])]
        found: dict[str, set[str]] = {}
        for row in rows:
            for name, version in row["versions"].items():
                found.setdefault(name, set()).add(version)
        return {name: " / ".join(sorted(found[name])) for name in sorted(found)}


def _scores(task: str, runs: Sequence[dict[str, Any]]) -> Table:
    order = list(SYSTEMS)
    groups: dict[tuple[int, str, str], list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault((order.index(run["system"]), _title(run), _settings(run)), []).append(run)
    lines = []
    for (_, title, settings), group in sorted(groups.items()):
        cells = [
            _spread([100 * run["scores"][measure] for run in group if measure in run["scores"]])
            for measure in SHOWN[task]
        ]
        rate = statistics.median(run["examples_per_second"] for run in group)
        warm_up = statistics.median(run["warm_up_seconds"] for run in group)
        total = statistics.median(run["seconds"] for run in group)
        lines.append([title, settings, str(len(group)), *cells, f"{rate:,.1f}", f"{warm_up:.0f}", f"{total:,.0f}"])
    header = ["system", "epochs x batch, learning rate, threads", "seeds", *(_MEASURES[name] for name in SHOWN[task])]
    most = max(runs, key=lambda run: run["train"])
    title = f"{task}: {most['train']:,} examples to learn from, {most['dev']:,} to be tested on"
    return title, [*header, "examples/s", "warm-up s", "whole run s"], lines


def _pairs(task: str, runs: Sequence[dict[str, Any]]) -> Iterator[Table]:
    """berthub less each paired system, seed by seed: the mean difference and its standard error."""
    lines = []
    for theirs, ours in _PAIRS:
        for settings in sorted({_settings(run) for run in runs}):
            group = [run for run in runs if _settings(run) == settings]
            first, second = (
                {run["seed"]: run["scores"] for run in group if run["system"] == name} for name in (ours, theirs)
            )
            seeds = sorted(first.keys() & second.keys())
            if len(seeds) < 2:
                continue
            cells = []
            for measure in SHOWN[task]:
                found = [100 * (first[seed][measure] - second[seed][measure]) for seed in seeds]
                cells.append(f"{statistics.mean(found):+.2f} ± {statistics.stdev(found) / len(found) ** 0.5:.2f}")
            lines.append([f"{ours} less {theirs}", settings, str(len(seeds)), *cells])
    if lines:
        header = [
            "difference",
            "epochs x batch, learning rate, threads",
            "seeds",
            *(_MEASURES[name] for name in SHOWN[task]),
        ]
        yield (
            f"{task}: the same batches and first head for each seed, mean difference ± its standard error",
            header,
            lines,
        )


def _speeds(rows: Sequence[dict[str, Any]]) -> Table:
    ours = next((row for row in rows if row["system"].startswith(_OURS)), rows[-1])
    lines = []
    for row in rows:
        rates = row["rates"]
        cells = [
            f"{statistics.median(rates):,.1f}",
            f"{min(rates):,.1f}-{max(rates):,.1f}",
            ratio(rates, ours["rates"]),
        ]
        lines.append([_title(row), *cells, f"{row['warm_up_seconds']:.1f}"])
    one = rows[0]
    shape = f"{one['steps']} batches of {one['batch_size']}, threads: {one['threads']}"
    title = f"Speed on {one['task']}: medians of {len(one['rates'])} rounds of {shape}"
    header = ["system", "examples/s", "rounds from-to", f"{_title(ours)} is faster by", "warm-up s"]
    return title, header, lines


def _title(run: dict[str, Any]) -> str:
    title = SYSTEMS[run["system"]].title
    # Where it is in the name already, it was chosen by the caller; here by berthub or the environment.
    chosen = run["backend"] and run["backend"] not in run["system"]
    return f"{title} ({run['backend']})" if chosen else title


def _settings(run: dict[str, Any]) -> str:
    text = f"{run['epochs']} x {run['batch_size']}, {run['learning_rate']:g}, {run['threads']}"
    text += f", the first {run['limit']}" if run["limit"] else ""
    # Runs of before there was this option do not have it.
    return text + (f", learn from {run['learn_from']}" if run.get("learn_from") else "")


def _spread(values: Sequence[float]) -> str:
    """The mean, and the standard deviation of the sample where there is one."""
    if not values:
        return ""
    mean = f"{statistics.mean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean
