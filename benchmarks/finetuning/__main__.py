"""The command line: `python -m benchmarks.finetuning`."""

import argparse
import itertools
import sys
from pathlib import Path

from rich.console import Console

from benchmarks import machine
from benchmarks.finetuning import speed
from benchmarks.finetuning.results import Results
from benchmarks.finetuning.runs import run_all
from benchmarks.finetuning.settings import Job, Settings
from benchmarks.finetuning.systems import SYSTEMS
from benchmarks.finetuning.tasks import TASKS
from benchmarks.models import default_folder
from benchmarks.record import RESULTS
from benchmarks.tables import show


def main() -> None:
    options = _parser().parse_args()
    console = Console(width=170)
    settings = _settings(options)
    results = Results(options.out)
    failed: list[str] = []
    if options.speed:
        jobs = [
            Job(task=options.tasks[0], system=system, seed=options.seeds[0], settings=settings)
            for system in options.systems
        ]
        rows = speed.measure(jobs, steps=options.steps, rounds=options.rounds, say=console.print)
        results.add_speed(rows)
    else:
        # A seed of every system first: what is there after half the time can be compared.
        jobs = [
            Job(task=task, system=system, seed=seed, settings=settings)
            for seed, task, system in itertools.product(options.seeds, options.tasks, options.systems)
        ]
        left = [job for job in jobs if job not in results]
        console.print(f"{len(left)} of {len(jobs)} runs are left")
        failed = run_all(left, parallel=options.parallel, keep=results.add, say=console.print)
    show(results.tables(), console)
    if failed:
        sys.exit("failed:\n  " + "\n  ".join(failed))


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        data=options.data,
        model=options.model or default_folder(),
        saved_model=options.saved_model,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        max_length=options.max_length,
        threads=options.threads,
        limit=options.limit,
        learn_from=options.learn_from,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.finetuning", description="Fine-tune with berthub and its peers: scores and speed."
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="the folder with the folders sst2, mrpc and conll2003")
    add("--model", type=Path, help="a Hugging Face folder with vocab.txt; left out, berthub's default model")
    add("--saved-model", type=Path, help="the same weights as a SavedModel with TF Hub's interface, for tf-hub")
    add("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    add("--systems", nargs="+", choices=list(SYSTEMS), default=["transformers", "berthub"])
    add("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add("--epochs", type=int, default=3)
    add("--batch-size", type=int, default=32)
    add("--learning-rate", type=float, default=5e-5)
    add("--max-length", type=int, default=128, help="in tokens; systems of one shape are narrower (README.md)")
    add("--limit", type=int, help="only so many examples to learn from, and to be tested on: to try things out")
    add("--learn-from", type=int, help="only so many, chosen at random; the others join those that are tested on")
    add("--threads", type=int, default=1, help="of each process")
    add("--parallel", type=int, default=1, help="processes at once")
    add("--speed", action="store_true", help="no scores: the speed of all systems on the first task, in turn")
    add("--steps", type=int, default=20, help="of one round of --speed")
    add("--rounds", type=int, default=5, help="of --speed")
    name = f"{machine.today()}-finetuning.json"
    add("--out", type=Path, default=RESULTS / name, help="runs that it holds are not run again")
    return parser


if __name__ == "__main__":
    main()
