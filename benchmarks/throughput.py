"""Tokens per second of all peers, round by round: what disturbs the machine disturbs all alike."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.agreement import Agreement, Expected, agreement
from benchmarks.batches import BATCH, Batcher
from benchmarks.flops import flops
from benchmarks.models import Model
from benchmarks.peers import Output
from benchmarks.processes import UnavailableError
from benchmarks.roof import Roof
from benchmarks.worker import Run, Worker

PROBE = 32
# Threads of the peer before may still spin for work: they get the time to fall asleep.
PAUSE = 0.3
_FEWEST, _MOST = 64, 2048
# Of texts of all lengths: sorted batches of few would have much padding, which those of many have not.
_FEWEST_MIXED = 512
# Of the token vectors of a call.
_MOST_BYTES = 1 << 28


@dataclass
class Row:
    """One peer's line: `texts` it encoded in each call, their real `tokens` and `flops`, the seconds of each round.

    Rows of one `group` were measured in the same rounds, and only they are compared with each other.
    """

    name: str
    precision: str
    group: int
    arithmetic: str = ""
    agreement: Agreement | None = None
    skipped: str | None = None
    texts: int = 0
    tokens: int = 0
    flops: float = 0.0
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


@dataclass
class RoofRow:
    """What the processor's matrix products reached in an arithmetic: operations per second in each round."""

    arithmetic: str
    by: str
    group: int
    rates: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Rounds:
    """The rows of some peers on texts of a `kind`, for one of the outputs."""

    model: str
    kind: str
    output: Output
    rows: list[Row]
    roofs: list[RoofRow]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is measured: `expected` has what the first texts should give, `seconds` are those of a call of a peer of
    middling speed."""

    model: Model
    kind: str
    texts: list[str]
    output: Output
    expected: Expected
    rounds: int
    seconds: float


@dataclass
class _Seat:
    """A peer that takes part in the rounds; `speed` in tokens per second, as the first texts told it."""

    row: Row
    worker: Worker
    output: Output
    speed: float = 0.0

    def run(self, texts: Sequence[str]) -> Run | None:
        """None: it failed, and the row says how."""
        try:
            return self.worker.run(texts, self.output)
        except UnavailableError as error:
            self.row.skipped = str(error)
            return None


def measure(setting: Setting, workers: Sequence[Worker], roof: Roof, *, group: int) -> Rounds:
    """Rounds of one call of each worker in turn, and of a matrix product in each arithmetic that they compute in."""
    lengths = Batcher(setting.model.vocabulary, in_order=True, dtype=int).lengths(setting.texts)
    seats = []
    for worker in workers:
        output = worker.peer.nearest(setting.output)
        if output is not None:
            row = Row(worker.peer.title(setting.output), worker.precision, group, worker.arithmetic)
            seats.append(_Seat(row, worker, output))
    rows = [seat.row for seat in seats]
    for seat in seats:
        _probe(setting, seat, lengths)
    _give_texts(setting, [seat for seat in seats if seat.row.skipped is None], lengths)
    for seat in seats:
        if seat.row.skipped is None:
            seat.run(setting.texts[: seat.row.texts])  # every shape once, before anything is timed
    arithmetics = {row.arithmetic for row in rows if row.skipped is None}
    roofs = [RoofRow(name, roof.found[name]["by"], group) for name in roof.found if name in arithmetics]
    for turn in range(setting.rounds):
        for known in roofs:
            time.sleep(PAUSE)
            known.rates.append(roof.rate(known.arithmetic))
        for place in range(len(seats)):
            # Another one begins each time: no peer always follows the same other.
            seat = seats[(turn + place) % len(seats)]
            if seat.row.skipped is not None:
                continue
            time.sleep(PAUSE)
            if run := seat.run(setting.texts[: seat.row.texts]):
                seat.row.seconds.append(run.seconds)
                seat.row.cpu_seconds.append(run.cpu_seconds)
    return Rounds(setting.model.name, setting.kind, setting.output, rows, roofs)


def _probe(setting: Setting, seat: _Seat, lengths: Sequence[int]) -> None:
    """Check the vectors of the first texts, and measure the speed."""
    if max(lengths) > seat.worker.peer.longest:
        seat.row.skipped = f"truncates texts at {seat.worker.peer.longest} tokens"
        return
    texts = setting.texts[:PROBE]
    try:
        vectors = seat.worker.vectors(texts, seat.output)
    except UnavailableError as error:
        seat.row.skipped = str(error)
        return
    reference = setting.expected.get((seat.worker.peer.form, setting.kind, seat.output))
    if vectors is not None and reference is not None:
        seat.row.agreement = agreement(vectors, reference)
    if run := seat.run(texts):
        seat.speed = sum(lengths[:PROBE]) / run.seconds


def _give_texts(setting: Setting, seats: Sequence[_Seat], lengths: Sequence[int]) -> None:
    """All get the same texts, but for one that would take far longer and that does not sort: it gets the first."""
    if not seats:
        return
    mean = sum(lengths[:PROBE]) / PROBE
    most = min(_MOST, len(lengths))
    if setting.output == "sequence":
        most = min(most, _MOST_BYTES // (4 * setting.model.config["hidden_size"] * max(lengths)))
    fewest = _FEWEST_MIXED if setting.kind == "mixed" else _FEWEST
    usual = _count(setting.seconds * statistics.median(seat.speed for seat in seats) / mean, fewest, most)
    for seat in seats:
        row = seat.row
        own = _count(setting.seconds * seat.speed / mean, _FEWEST, most)
        row.texts = min(usual, own) if seat.worker.peer.in_order else usual
        row.tokens = sum(lengths[: row.texts])
        row.flops = flops(setting.model.config, lengths[: row.texts])


def _count(wanted: float, fewest: int, most: int) -> int:
    """Whole batches."""
    return min(max(fewest, BATCH * round(wanted / BATCH)), most)
