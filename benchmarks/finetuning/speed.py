"""Training speed side by side: rounds of some steps of every system in turn."""

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks import machine
from benchmarks.finetuning.settings import Job
from benchmarks.finetuning.systems import SYSTEMS
from benchmarks.finetuning.worker import Worker
from benchmarks.processes import UnavailableError


def measure(jobs: Sequence[Job], *, steps: int, rounds: int, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """A result for each job that could be loaded: examples per second of each round.

    Every system trains on the same first `steps` batches in each round. One round before them is for what is done
    once, and its seconds beyond a usual round's are the warm-up; a system that compiles in every call of `fit` runs two
    epochs a round, and the second one counts. What disturbs the machine disturbs all alike.
    """
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        warm_ups: dict[str, float] = {}
        for job in jobs:
            examples = steps * job.settings.batch_size
            try:
                worker = stack.enter_context(Worker(job))
                warm_ups[job.system] = sum(worker.fit(examples=examples, epochs=1))
                workers[job.system] = worker
                say(f"{job.system} is ready after {warm_ups[job.system]:.0f} s")
            except UnavailableError as error:
                say(f"{job.system} is left out: {error}")
        seconds: dict[str, list[float]] = {name: [] for name in workers}
        for turn in range(rounds):
            names = list(workers)
            # Each round begins with another system.
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                epochs = 2 if SYSTEMS[name].compiles_anew else 1
                seconds[name].append(workers[name].fit(examples=examples, epochs=epochs)[-1])
            say(", ".join(f"{name} {examples / spent[-1]:.1f}" for name, spent in seconds.items()))
    return [
        {
            **job.key(),
            "backend": workers[job.system].backend,
            "steps": steps,
            "rates": [examples / spent for spent in seconds[job.system]],
            "warm_up_seconds": max(warm_ups[job.system] - statistics.median(seconds[job.system]), 0.0),
            "versions": machine.versions(),
        }
        for job in jobs
        if job.system in workers
    ]
