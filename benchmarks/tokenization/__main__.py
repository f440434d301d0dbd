"""The command line: `python -m benchmarks.tokenization`."""

import argparse
import importlib.metadata
from pathlib import Path

from rich.console import Console

from benchmarks import machine
from benchmarks.tokenization.measure import Plan, measure
from benchmarks.tokenization.report import Report
from benchmarks.tokenization.systems import SYSTEMS, Vocabularies
from benchmarks.tokenization.texts import KINDS, texts

_PATHS = ("data", "vocabulary", "sentencepiece")
_LIBRARIES = ("sentencepiece", "tensorflow-text", "tf-models-official")


def main() -> None:
    options = _parser().parse_args()
    console = Console(width=220)
    plan = Plan(
        systems=options.systems,
        vocabularies=Vocabularies(options.vocabulary, options.sentencepiece),
        texts={kind: texts(kind, options.data) for kind in options.kinds},
        rounds=options.rounds,
        seconds=options.seconds,
    )
    report = Report(machine.today(), _command(options), machine.machine(), _versions())
    name = f"{report.date}-{options.name}"
    for cores in options.cores:
        report.rows += measure(plan, cores=cores, say=console.print)
        # After each: a run that is cut short has not been for nothing.
        for path in report.save(options.results, name):
            console.print(f"saved {path.name}")
    report.show(console)


def _versions() -> dict[str, str]:
    found = machine.versions()
    for library in _LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tokenization",
        description="Measure berthub's tokenizer beside its peers, in one run.",
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="the folder with the folders sst2, mrpc and conll2003")
    add("--vocabulary", type=Path, required=True, help="a vocab.txt for lower-cased text")
    add("--sentencepiece", type=Path, help="an ALBERT .model; without it those rows are left out")
    add("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    add("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    add("--cores", nargs="+", type=int, default=[1, 2])
    add("--rounds", type=int, default=7)
    add("--seconds", type=float, default=0.5, help="of a call, where the texts suffice")
    add("--results", type=Path, default=Path(__file__).parent.parent / "results")
    add("--name", default="tokenization", help="of the result files, after the date")
    return parser


def _command(options: argparse.Namespace) -> str:
    """What was typed, with the names of this machine's folders left out."""
    words = ["python -m benchmarks.tokenization"]
    for name, value in vars(options).items():
        if value is None or name in ("results", "name") or (name == "systems" and value == list(SYSTEMS)):
            continue
        values = (
            [name.upper()]
            if name in _PATHS
            else [str(item) for item in value]
            if isinstance(value, list)
            else [str(value)]
        )
        words.append(f"--{name} {' '.join(values)}")
    return " ".join(words)


if __name__ == "__main__":
    main()
