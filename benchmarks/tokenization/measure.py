"""Rounds of one call of every system in turn, and whose ids are whose."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.processes import UnavailableError
from benchmarks.tokenization.systems import IDS_BASE, SYSTEMS, Vocabularies
from benchmarks.tokenization.worker import Worker

# The first call, of so many texts, is for what is done once; the second tells the speed.
_WARM_UP = 64
# Texts whose ids are compared.
_COMPARED = 2000


@dataclass
class Row:
    """A system on texts of a kind: `megabytes` of UTF-8 a call, the seconds of every round; or why there are none.

    `same_ids` is the share of the texts that it tokenizes as each base does.
    """

    system: str
    kind: str
    cores: int
    texts: int = 0
    megabytes: float = 0.0
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    same_ids: dict[str, float] = field(default_factory=dict)
    skipped: str | None = None

    @property
    def rates(self) -> list[float]:
        return [self.megabytes / seconds for seconds in self.seconds]

    @property
    def cpu_rates(self) -> list[float]:
        return [self.megabytes / seconds for seconds in self.cpu_seconds]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured: `seconds` of a call, as near as the texts suffice."""

    systems: Sequence[str]
    vocabularies: Vocabularies
    texts: Mapping[str, list[str]]
    rounds: int
    seconds: float


def measure(plan: Plan, *, cores: int, say: Callable[[str], None]) -> list[Row]:
    """A row for every system and kind of texts. What disturbs the machine disturbs all systems alike."""
    rows = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workers = []
        for system in plan.systems:
            try:
                workers.append(stack.enter_context(Worker(system, plan.vocabularies, cores=cores)))
            except UnavailableError as error:
                say(f"{system} is left out: {error}")
                rows += [Row(system, kind, cores, skipped=str(error)) for kind in plan.texts]
        for kind, texts in plan.texts.items():
            path = folder / f"{kind}.json"
            path.write_text(json.dumps(texts), encoding="utf-8")
            for worker in workers:
                worker.read(path)
            found = [_row(worker, kind, texts, cores=cores, seconds=plan.seconds) for worker in workers]
            _compare(found, workers, texts)
            for turn in range(plan.rounds):
                for place in range(len(workers)):
                    # Each round begins with another system.
                    index = (turn + place) % len(workers)
                    seconds, cpu_seconds = workers[index].run(found[index].texts)
                    found[index].seconds.append(seconds)
                    found[index].cpu_seconds.append(cpu_seconds)
                say(f"{kind}, {cores} cores, round {turn + 1}: " + ", ".join(map(_shown, found)))
            rows += found
    return rows


def _row(worker: Worker, kind: str, texts: Sequence[str], *, cores: int, seconds: float) -> Row:
    worker.run(_WARM_UP)
    count = min(len(texts), 4 * _WARM_UP)
    # Twice: the first may still make room.
    spent = min(worker.run(count)[0] for _ in range(2))
    count = min(len(texts), max(_WARM_UP, int(count * seconds / spent)))
    megabytes = sum(len(text.encode()) for text in texts[:count]) / 1e6
    return Row(worker.system, kind, cores, texts=count, megabytes=megabytes)


def _compare(rows: Sequence[Row], workers: Sequence[Worker], texts: Sequence[str]) -> None:
    count = min(_COMPARED, len(texts))
    sums = {worker.system: worker.sums(count) for worker in workers}
    for row in rows:
        for base in IDS_BASE[SYSTEMS[row.system].family]:
            if base in sums:
                pairs = zip(sums[row.system], sums[base], strict=True)
                row.same_ids[base] = sum(one == other for one, other in pairs) / count


def _shown(row: Row) -> str:
    return f"{row.system} {row.rates[-1]:.2f}"
