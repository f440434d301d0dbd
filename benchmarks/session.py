"""All peers on one model: loaded together as far as memory allows, and measured while they are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import latency, throughput
from benchmarks.agreement import expected
from benchmarks.latency import Latency
from benchmarks.machine import available_mebibytes
from benchmarks.models import Model
from benchmarks.peers import OUTPUTS, Output, Peer
from benchmarks.processes import UnavailableError
from benchmarks.roof import Roof
from benchmarks.throughput import PROBE, Rounds, Row, Setting
from benchmarks.worker import Worker

# What every other row is compared with, where it is measured.
OURS = ("berthub", "auto")
# How many times its float32 weights a peer takes, with what it converts them to; and the share of memory to take.
_TIMES, _SHARE = 2.5, 0.7


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`singles` is the number of texts that are encoded one at a time, `together` how many peers are loaded at once
    (None: as many as fit), `optimum` the python of the environment that holds optimum."""

    peers: Sequence[Peer]
    texts: Mapping[str, list[str]]
    outputs: Sequence[Output]
    rounds: int
    seconds: float
    singles: Sequence[str]
    together: int | None
    optimum: Path | None


@dataclass(frozen=True)
class Session:
    """What was measured of a model."""

    rounds: list[Rounds]
    latencies: list[Latency]


def measure(model: Model, plan: Plan, roof: Roof, *, say: Callable[[str], None]) -> Iterator[Session]:
    """Where not all peers fit in memory, a group of them is loaded after the other, and berthub is in each. What there
    is so far comes after each group.
    """
    probes = {kind: texts[:PROBE] for kind, texts in plan.texts.items()}
    right = expected(model, probes, OUTPUTS if plan.outputs != ["pooled"] else ["pooled", "mean"])
    merged: dict[tuple[str, Output], Rounds] = {}
    latencies: list[Latency] = []
    for group, peers in enumerate(_groups(plan, model)):
        with ExitStack() as stack:
            workers, skipped = [], []
            for peer in peers:
                say(f"{model.name}: loading {peer.name}, {peer.precision}")
                try:
                    workers.append(stack.enter_context(Worker(peer, model, optimum=plan.optimum)))
                except UnavailableError as error:
                    skipped.append((peer, str(error)))
            for output in plan.outputs:
                for kind, texts in plan.texts.items():
                    say(f"{model.name}, {kind} texts, {output}")
                    setting = Setting(
                        model=model,
                        kind=kind,
                        texts=texts,
                        output=output,
                        expected=right,
                        rounds=plan.rounds,
                        seconds=plan.seconds,
                    )
                    found = throughput.measure(setting, workers, roof, group=group)
                    found.rows.extend(
                        Row(peer.title(output), peer.precision, group, skipped=reason)
                        for peer, reason in skipped
                        if peer.nearest(output)
                    )
                    into = merged.setdefault((kind, output), Rounds(model.name, kind, output, [], []))
                    into.rows.extend(found.rows)
                    into.roofs.extend(found.roofs)
            if plan.singles:
                output = plan.outputs[0]
                say(f"{model.name}, one text at a time, {output}")
                latencies += latency.measure(model.name, plan.singles, workers, output=output, group=group)
                latencies += [
                    Latency(model.name, peer.title(output), peer.precision, group, skipped=reason)
                    for peer, reason in skipped
                    if peer.nearest(output) and not peer.throughput_only
                ]
        yield Session(list(merged.values()), list(latencies))


def is_ours(row: Row | Latency) -> bool:
    return row.skipped is None and (row.name, row.precision.partition(" ")[0]) == OURS


def _groups(plan: Plan, model: Model) -> list[list[Peer]]:
    size = plan.together or max(2, int(_SHARE * available_mebibytes() / (_TIMES * model.float32_mebibytes)))
    ours = [peer for peer in plan.peers if (peer.name, peer.precision) == OURS]
    others = [peer for peer in plan.peers if peer not in ours]
    if len(plan.peers) <= size:
        return [list(plan.peers)]
    step = max(1, size - len(ours))
    # The last ones, which are of one kind, stay together: what is left over is the first group.
    starts = range(len(others) % step - step if len(others) % step else 0, len(others), step)
    return [ours + others[max(0, start) : start + step] for start in starts]
