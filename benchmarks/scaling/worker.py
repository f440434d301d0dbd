"""Every measurement is a program of its own, so that its peak memory is its own, too."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.models import Model
from benchmarks.processes import Program, peak_mebibytes, serve
from benchmarks.scaling.points import Point
from benchmarks.texts import load

# Before the clock starts: what is done once, for the model and for the commonest shapes.
_WARM_UP = 1000
# Short calls are repeated, until so many seconds are spent or so many calls made.
_SECONDS, _MOST_CALLS = 10, 5


def measure(model: Model, way: str, count: int, *, texts: Path, column: str) -> Point:
    """Encode `count` texts in a new process, made at random of the short ones of a file."""
    with Program("benchmarks.scaling.worker") as program:
        program.load(model=str(model.huggingface), texts=str(texts), column=column)
        return Point(model.name, way, count, **program.ask(do="run", way=way, count=count))


class _Server:
    """The other side of the pipe."""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "load":
                return self._load(request)
            case "run":
                return self._run(request["way"], request["count"])
        raise ValueError(f"unknown request {request['do']!r}")

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        import berthub as hub

        self._sentences = load("short", Path(request["texts"]), request["column"])
        self._encoder = hub.load(request["model"])
        self._encoder.encode(self._sentences[:_WARM_UP], outputs=["pooled_output"])
        return {}

    def _run(self, way: str, count: int) -> dict[str, Any]:
        calls = [self._call(way, count)]
        while len(calls) < _MOST_CALLS and sum(call["seconds"] for call in calls) < _SECONDS:
            calls.append(self._call(way, count))
        # What else runs on the machine only ever adds.
        best = {name: min(call[name] for call in calls) for name in ("tokens", "seconds", "cpu_seconds")}
        return {**best, "mebibytes": peak_mebibytes()}

    def _call(self, way: str, count: int) -> dict[str, Any]:
        outputs = ["pooled_output"]
        start, cpu_start = time.perf_counter(), time.process_time()
        if way == "encode":
            tokens = int(self._encoder.encode(self._texts(count), outputs=outputs).ragged_tokens.row_splits[-1])
        else:
            stream = self._encoder.stream(self._texts(count), outputs=outputs)
            tokens = sum(int(encodings.ragged_tokens.row_splits[-1]) for encodings in stream)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
        return {"tokens": tokens, "seconds": seconds, "cpu_seconds": cpu_seconds}

    def _texts(self, count: int) -> Iterator[str]:
        """One after the other, as from a file that does not fit in memory: the beginning of a sentence and the end of
        another, so that hardly two are equal, which would be computed once.
        """
        chance = random.Random(0)
        for _ in range(count):
            first, second = (chance.choice(self._sentences).split(" ") for _ in range(2))
            yield " ".join([*first[: len(first) // 2], *second[len(second) // 2 :]])


if __name__ == "__main__":
    serve(_Server().answer)
