"""Tokens per second of all peers, round by round: what disturbs the machine disturbs all alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.agreement import Agreement, Reference
from benchmarks.batches import BATCH, Batcher
from benchmarks.models import Model
from benchmarks.peers import PEERS, Peer, UnavailableError
from benchmarks.worker import Worker

# Threads of the peer before may still spin for work: they get the time to fall asleep.
_PAUSE = 0.3
_FEWEST, _MOST, _PROBE = 64, 2048, 32


@dataclass
class Row:
    """One peer's line: `texts` it encoded in each call, their real `tokens`, and the seconds of each round."""

    name: str
    precision: str
    agreement: Agreement | None = None
    skipped: str | None = None
    texts: int = 0
    tokens: int = 0
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        """Real tokens per second, of each round."""
        return [self.tokens / seconds for seconds in self.seconds]

    @property
    def cpu_rates(self) -> list[float]:
        """Real tokens per second that a processor worked for it: other people's load disturbs it less."""
        return [self.tokens / seconds for seconds in self.cpu_seconds]

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


def measure(
    model: Model,
    kinds: Mapping[str, list[str]],
    *,
    peers: Sequence[Peer] = PEERS,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> dict[str, list[Row]]:
    """For each kind of texts the rows of all peers; one call of a peer of middling speed takes about `seconds`."""
    reference = Reference(model)
    lengths = Batcher(model.vocabulary, in_order=True, dtype=int).lengths
    workers: list[Worker] = []
    skipped: list[Row] = []
    try:
        for peer in peers:
            say(f"{model.name}: loading {peer.name}, {peer.precision}")
            try:
                workers.append(Worker(peer, model))
            except UnavailableError as error:
                skipped.append(Row(peer.name, peer.precision, skipped=str(error)))
        tables = {}
        for kind, texts in kinds.items():
            say(f"{model.name}, {kind} texts")
            able = [worker for worker in workers if max(lengths(texts)) <= worker.peer.longest]
            rows = _rounds(able, texts, lengths, reference, rounds=rounds, seconds=seconds)
            unable = [
                Row(worker.peer.name, worker.precision, skipped=f"cuts texts at {worker.peer.longest} tokens")
                for worker in workers
                if worker not in able
            ]
            tables[kind] = rows + unable + skipped
        return tables
    finally:
        for worker in workers:
            worker.close()


def _rounds(
    workers: Sequence[Worker],
    texts: list[str],
    lengths: Callable[[list[str]], list[int]],
    reference: Reference,
    *,
    rounds: int,
    seconds: float,
) -> list[Row]:
    rows, speeds = [], []
    probe = texts[:_PROBE]
    probe_tokens = sum(lengths(probe))
    for worker in workers:
        vectors = worker.run(probe, vectors=True).vectors
        assert vectors is not None
        agreement = reference.agreement(worker.peer, probe, vectors)
        rows.append(Row(worker.peer.name, worker.precision, agreement=agreement))
        speeds.append(probe_tokens / worker.run(probe).seconds)
    mean = probe_tokens / len(probe)
    usual = _count(seconds * statistics.median(speeds) / mean, texts)
    for row, worker, speed in zip(rows, workers, speeds, strict=True):
        # All get the same texts, but for one that would take far longer and that does not sort: it gets the first.
        row.texts = min(usual, _count(seconds * speed / mean, texts)) if worker.peer.in_order else usual
        row.tokens = sum(lengths(texts[: row.texts]))
        worker.run(texts[: row.texts])  # every shape once, before anything is timed
    for turn in range(rounds):
        # Another one begins each time: no peer always follows the same other.
        places = [(turn + place) % len(workers) for place in range(len(workers))]
        for place in places:
            time.sleep(_PAUSE)
            run = workers[place].run(texts[: rows[place].texts])
            rows[place].seconds.append(run.seconds)
            rows[place].cpu_seconds.append(run.cpu_seconds)
    return rows


def _count(wanted: float, texts: list[str]) -> int:
    """Whole batches."""
    return min(max(_FEWEST, BATCH * round(wanted / BATCH)), _MOST, len(texts))
