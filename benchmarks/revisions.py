"""Two revisions of berthub in turn, in two processes that stay: `python -m benchmarks.revisions OLD NEW`.

What a machine gives changes by the minute, by more than the few percent that are looked for. So each step is taken by
both, one right after the other, and what counts is the median of the ratios of such pairs.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

KINDS = ("short", "long", "single")
WORK = "--work"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path, help="a checkout of berthub")
    parser.add_argument("new", type=Path, help="another one")
    parser.add_argument("--texts", type=Path, required=True, help="a text a line; the last field of those with tabs")
    parser.add_argument("--model", default="", help="a handle; left out, the default model")
    parser.add_argument("--count", type=int, default=256, help="how many short texts; the rest follows from it")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    workers = [_Worker(path, options) for path in (options.old, options.new)]
    for kind in KINDS:
        ratios = []
        for number in range(options.rounds):
            # Whoever is first may find the machine warmer.
            order = workers if number % 2 else workers[::-1]
            seconds = {worker: worker.step(kind) for worker in order}
            ratios.append(seconds[workers[1]] / seconds[workers[0]])
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f"{kind:7} the new takes {middle:.3f} times the old one's time (quartiles {low:.3f} to {high:.3f})",
            flush=True,
        )


class _Worker:
    """A process that uses the package of one checkout."""

    def __init__(self, checkout: Path, options: argparse.Namespace) -> None:
        command = [sys.executable, __file__, WORK, str(options.texts), options.model, str(options.count)]
        environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        home = self._line()
        assert Path(home).is_relative_to(checkout.resolve()), f"{home} is not of {checkout}"

    def step(self, kind: str) -> float:
        """The seconds that one step took."""
        assert self._process.stdin is not None
        print(kind, file=self._process.stdin, flush=True)
        return float(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def _work(texts: Path, model: str, count: int) -> None:
    import berthub as hub

    lines = [line.rpartition("\t")[2] for line in texts.read_text(encoding="utf-8").splitlines()[1:]]
    bert = hub.load(model or None, precision="float32")
    long = [" ".join(lines[start : start + 7]) for start in range(0, count, 12)]
    single = lines[count : count + max(3, count // 12)]
    steps: dict[str, Callable[[], Any]] = {
        "short": lambda: bert.encode(lines[:count]),
        "long": lambda: bert.embed(long),
        "single": lambda: [bert.embed(text) for text in single],
    }
    for step in steps.values():
        step()
        step()
    print(Path(hub.__file__).resolve(), flush=True)
    for line in sys.stdin:
        begin = time.perf_counter()
        steps[line.strip()]()
        print(time.perf_counter() - begin, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == [WORK]:
        _work(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        main()
