"""One text at a time: the milliseconds of a call, in slices of texts of each peer in turn."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.peers import Output
from benchmarks.processes import UnavailableError
from benchmarks.throughput import PAUSE
from benchmarks.worker import Worker

_SLICE = 10


@dataclass
class Latency:
    """One peer's line: the milliseconds of each text, the same texts for all of a `group`."""

    model: str
    name: str
    precision: str
    group: int
    milliseconds: list[float] = field(default_factory=list)
    skipped: str | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.milliseconds)

    @property
    def p99(self) -> float:
        """99 of 100 calls took no longer."""
        return statistics.quantiles(self.milliseconds, n=100, method="inclusive")[-1]


def measure(
    model: str, texts: Sequence[str], workers: Sequence[Worker], *, output: Output, group: int
) -> list[Latency]:
    rows = []
    able: list[tuple[Latency, Worker, Output]] = []
    for worker in workers:
        own = worker.peer.nearest(output)
        if own is None or worker.peer.throughput_only:
            continue
        row = Latency(model, worker.peer.title(output), worker.precision, group)
        rows.append(row)
        try:
            # Every text once, so that every shape is known: a service has seen them all after a while.
            worker.singles(texts, own)
        except UnavailableError as error:
            row.skipped = str(error)
            continue
        able.append((row, worker, own))
    for turn, start in enumerate(range(0, len(texts), _SLICE)):
        for place in range(len(able)):
            row, worker, own = able[(turn + place) % len(able)]
            time.sleep(PAUSE)
            seconds = worker.singles(texts[start : start + _SLICE], own)
            row.milliseconds += [1000 * one for one in seconds]
    return rows
