"""Each run lives in a process of its own, so that no library's threads, settings or seeds disturb another's.

`python -m benchmarks.finetuning.worker` answers a line of JSON with a line of JSON. It is a program, not a fork or a
spawn: the number of threads and Keras's backend are read from the environment when the libraries load.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
import traceback
from typing import Any, Self, TextIO

from benchmarks.finetuning.scores import scores
from benchmarks.finetuning.settings import Job, Settings
from benchmarks.finetuning.systems import SYSTEMS, System, UnavailableError
from benchmarks.finetuning.tasks import load_task


class Worker:
    """A process with a loaded system; a context manager. Raises `UnavailableError` where it cannot be loaded."""

    def __init__(self, job: Job) -> None:
        self.backend = ""
        loud = "BENCHMARKS_VERBOSE" in os.environ
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.finetuning.worker"],
            env={**os.environ, **_environment(job.settings.threads), **SYSTEMS[job.system].environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Libraries talk on stderr while they load; the table is what a reader wants to see.
            stderr=None if loud else subprocess.DEVNULL,
            text=True,
        )
        try:
            self.loaded = self._ask(
                do="load", task=job.task, system=job.system, seed=job.seed, settings=job.settings.to_json()
            )
        except UnavailableError:
            self.close()
            raise

    def fit(self, *, examples: int | None = None, epochs: int) -> list[float]:
        """Train on the first `examples` of the training set; the seconds of each epoch."""
        answer = self._ask(do="fit", examples=examples, epochs=epochs)
        self.backend = answer["backend"]
        return answer["epoch_seconds"]  # type: ignore[no-any-return]

    def scores(self) -> dict[str, float]:
        """Of the whole dev set."""
        return self._ask(do="score")  # type: ignore[no-any-return]

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


def _environment(threads: int) -> dict[str, str]:
    """What bounds the threads of PyTorch, NumPy, TensorFlow and JAX."""
    count = str(threads)
    limits = dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), count
    )
    if threads == 1:
        limits["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return {**limits, "TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}


class _Server:
    """The other side of the pipe."""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "load":
                return self._load(request)
            case "fit":
                examples = self._task.train.first(request["examples"])
                seconds = self._system.fit(examples, request["epochs"])
                return {"epoch_seconds": seconds, "backend": self._system.backend()}
            case "score":
                return scores(self._task, self._system.predict(self._task.dev.inputs))
        raise ValueError(f"unknown request {request['do']!r}")

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        settings = Settings.from_json(request["settings"])
        self._task = load_task(request["task"], settings.data, settings.limit)
        self._system: System = SYSTEMS[request["system"]]
        start = time.perf_counter()
        self._system.load(self._task, settings, request["seed"])
        return {"load_seconds": time.perf_counter() - start, "train": len(self._task.train), "dev": len(self._task.dev)}


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
