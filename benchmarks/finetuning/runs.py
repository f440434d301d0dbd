"""The runs for the scores: each job in a fresh process, some at once, and none that was done before."""

import concurrent.futures
import datetime as dt
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import machine
from benchmarks.finetuning.settings import Job
from benchmarks.finetuning.worker import Worker
from benchmarks.processes import UnavailableError


def run_all(
    jobs: Sequence[Job], *, parallel: int, keep: Callable[[dict[str, Any]], None], say: Callable[[str], None]
) -> list[str]:
    """Run `jobs`, `parallel` at a time, and give each result to `keep` when it is there; what failed, in words."""
    failed = []
    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        waiting = {pool.submit(run, job): job for job in jobs}
        for future in concurrent.futures.as_completed(waiting):
            job = waiting[future]
            name = f"{job.task}, {job.system}, seed {job.seed}"
            try:
                result = future.result()
            except UnavailableError as error:
                failed.append(f"{name}: {error}")
                say(f"failed: {failed[-1]}")
                continue
            keep(result)
            found = ", ".join(f"{measure} {value:.4f}" for measure, value in result["scores"].items())
            say(f"{name}: {found}; {result['examples_per_second']:.1f} examples/s, {result['seconds']:.0f} s in all")
    return failed


def run(job: Job) -> dict[str, Any]:
    """One job. Raises `UnavailableError`."""
    start = time.perf_counter()
    with Worker(job) as worker:
        epochs = worker.fit(epochs=job.settings.epochs)
        scores = worker.scores()
    first, *others = epochs
    # The first epoch may hold what is done once for every shape. It is told from the others where there are any.
    usual = statistics.mean(others) if others else first
    return {
        **job.key(),
        "backend": worker.backend,
        "scores": scores,
        "examples_per_second": worker.loaded["train"] / usual,
        "epoch_seconds": epochs,
        "warm_up_seconds": max(first - usual, 0.0),
        "load_seconds": worker.loaded["load_seconds"],
        "seconds": time.perf_counter() - start,
        "train": worker.loaded["train"],
        "dev": worker.loaded["dev"],
        "finished": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "versions": machine.versions(),
    }
