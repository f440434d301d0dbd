"""Each system lives in a process of its own, with as many threads as it may have.

`python -m benchmarks.tokenization.worker` answers a line of JSON with a line of JSON. It is a program, not a fork or a
spawn: libraries read the number of threads from the environment when they load.
"""

import contextlib
import gc
import json
import os
import subprocess
import sys
import time
import traceback
import zlib
from pathlib import Path
from typing import Any, Self, TextIO

from benchmarks.tokenization.systems import SYSTEMS, System, UnavailableError, Vocabularies


class Worker:
    """A process with a loaded system; a context manager. Raises `UnavailableError` where it cannot be loaded."""

    def __init__(self, system: str, vocabularies: Vocabularies, *, cores: int) -> None:
        self.system = system
        loud = "BENCHMARKS_VERBOSE" in os.environ
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.tokenization.worker"],
            env={**os.environ, **_environment(cores)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if loud else subprocess.DEVNULL,
            text=True,
        )
        pieces = vocabularies.sentencepiece
        paths = {"wordpiece": str(vocabularies.wordpiece), "sentencepiece": None if pieces is None else str(pieces)}
        try:
            self._ask(do="load", system=system, vocabularies=paths)
        except UnavailableError:
            self.close()
            raise

    def read(self, path: Path) -> None:
        """Take the texts of a JSON file for the calls to come."""
        self._ask(do="read", path=str(path))

    def run(self, count: int) -> tuple[float, float]:
        """Cut the first `count` texts: seconds by the clock, and of the processor."""
        answer = self._ask(do="run", count=count)
        return answer["seconds"], answer["cpu_seconds"]

    def sums(self, count: int) -> list[int]:
        """A checksum of the ids of each of the first `count` texts."""
        return self._ask(do="sums", count=count)["sums"]  # type: ignore[no-any-return]

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, **request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # A process that ended is noticed below.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise UnavailableError(f"the process ended with code {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise UnavailableError(answer["error"])
        return answer


def _environment(cores: int) -> dict[str, str]:
    """What bounds the threads of the tokenizers library, TensorFlow and sentencepiece (which systems.py tells it)."""
    count = str(cores)
    return {
        "RAYON_NUM_THREADS": count,
        "TOKENIZERS_PARALLELISM": "true" if cores > 1 else "false",
        "OMP_NUM_THREADS": count,
        "TF_NUM_INTRAOP_THREADS": count,
        "TF_NUM_INTEROP_THREADS": count,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }


class _Server:
    """The other side of the pipe."""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "load":
                paths = {name: path and Path(path) for name, path in request["vocabularies"].items()}
                self._system: System = SYSTEMS[request["system"]]
                self._system.load(Vocabularies(**paths))
                return {}
            case "read":
                self._texts: list[str] = json.loads(Path(request["path"]).read_text(encoding="utf-8"))
                return {}
            case "run":
                return self._timed(self._texts[: request["count"]])
            case "sums":
                found = self._system.ids(self._texts[: request["count"]])
                return {"sums": [zlib.crc32(" ".join(map(str, ids)).encode()) for ids in found]}
        raise ValueError(f"unknown request {request['do']!r}")

    def _timed(self, texts: list[str]) -> dict[str, float]:
        gc.collect()
        start, cpu_start = time.perf_counter(), time.process_time()
        # Not kept: results are freed within the time, for all systems alike, as in a stream of calls.
        self._system.run(texts)
        return {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Whatever a library prints goes where its messages go.
    os.dup2(2, 1)
    _serve(sys.stdin, answers)


def _serve(requests: TextIO, answers: TextIO) -> None:
    server = _Server()
    for line in requests:
        try:
            answer = server.answer(json.loads(line))
        except Exception as error:
            traceback.print_exc()
            message = str(error).strip().splitlines() or ["no message"]
            answer = {"error": f"{type(error).__name__}: {message[0]}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
