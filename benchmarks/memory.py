"""The most memory that a new process takes which loads a model and encodes texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.models import Model
from benchmarks.peers import Peer
from benchmarks.processes import UnavailableError
from benchmarks.worker import Worker


@dataclass
class Memory:
    """`weights_mebibytes` are those of the model in float32: the least that it takes, unless they are made smaller."""

    name: str
    precision: str
    model: str
    weights_mebibytes: float
    texts: int = 0
    mebibytes: float = 0.0
    skipped: str | None = None


def measure(
    models: Sequence[Model],
    peers: Sequence[Peer],
    texts: Sequence[str],
    *,
    optimum: Path | None,
    say: Callable[[str], None],
) -> list[Memory]:
    """Measure the memory of pooled output, or of means where a peer has no pooler."""
    rows = []
    for model in models:
        for peer in peers:
            if peer.throughput_only:
                continue
            say(f"{model.name}: memory of {peer.name}, {peer.precision}")
            output = peer.nearest("pooled")
            row = Memory(peer.name, peer.precision, model.name, model.float32_mebibytes)
            rows.append(row)
            try:
                # What a peer converts the model to is made before, by another process.
                with Worker(peer, model, optimum=optimum) as worker:
                    worker.run(texts[:1], output)
                with Worker(peer, model, optimum=optimum) as worker:
                    worker.run(texts, output)
                    row.precision, row.texts = worker.precision, len(texts)
                    row.mebibytes = worker.peak_mebibytes()
            except UnavailableError as error:
                row.skipped = str(error)
    return rows
