"""Each run lives in a program of its own, so that no library's threads, settings or seeds disturb another's."""

import time
from typing import Any, Self

from benchmarks.finetuning.scores import log_loss, scores
from benchmarks.finetuning.settings import Job, Settings
from benchmarks.finetuning.systems import SYSTEMS, System
from benchmarks.finetuning.tasks import load_task
from benchmarks.processes import Program, serve


class Worker:
    """A program with a loaded system; a context manager. Raises `UnavailableError` where it cannot be loaded."""

    def __init__(self, job: Job) -> None:
        self.backend = ""
        environment = {**_environment(job.settings.threads), **SYSTEMS[job.system].environment}
        self._program = Program("benchmarks.finetuning.worker", environment)
        self.loaded = self._program.load(
            task=job.task, system=job.system, seed=job.seed, settings=job.settings.to_json()
        )

    def fit(self, *, examples: int | None = None, epochs: int) -> list[float]:
        """Train on the first `examples` of the training set; the seconds of each epoch."""
        answer = self._program.ask(do="fit", examples=examples, epochs=epochs)
        self.backend = answer["backend"]
        return answer["epoch_seconds"]  # type: ignore[no-any-return]

    def scores(self) -> dict[str, float]:
        """The scores on the whole dev set."""
        return self._program.ask(do="score")  # type: ignore[no-any-return]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._program.close()


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
                inputs = self._task.dev.inputs
                found = scores(self._task, self._system.predict(inputs))
                probabilities = self._system.probabilities(inputs)
                return found if probabilities is None else {**found, "loss": log_loss(self._task, probabilities)}
        raise ValueError(f"unknown request {request['do']!r}")

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        settings = Settings.from_json(request["settings"])
        self._task = load_task(request["task"], settings.data, settings.limit, settings.learn_from)
        self._system: System = SYSTEMS[request["system"]]
        start = time.perf_counter()
        self._system.load(self._task, settings, request["seed"])
        return {"load_seconds": time.perf_counter() - start, "train": len(self._task.train), "dev": len(self._task.dev)}


if __name__ == "__main__":
    serve(_Server().answer)
