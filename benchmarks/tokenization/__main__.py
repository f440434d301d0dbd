"""The command line: `python -m benchmarks.tokenization`."""

import argparse
import dataclasses
from pathlib import Path

from rich.console import Console

from benchmarks.record import RESULTS, Circumstances, save
from benchmarks.tables import show
from benchmarks.tokenization.measure import Plan, Row, measure
from benchmarks.tokenization.report import tables
from benchmarks.tokenization.systems import SYSTEMS, Vocabularies
from benchmarks.tokenization.texts import KINDS, texts


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
    about = Circumstances.now("benchmarks.tokenization", options)
    path = options.results / f"{about.date}-{options.name}"
    rows: list[Row] = []
    for cores in options.cores:
        rows += measure(plan, cores=cores, say=console.print)
        # After each, so that an interrupted run is not lost.
        data = {"rows": [dataclasses.asdict(row) for row in rows]}
        for saved in save(path, title="Tokenization", about=about, tables=tables(rows), data=data):
            console.print(f"saved {saved.name}")
    show(tables(rows), console)


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
    add("--results", type=Path, default=RESULTS)
    add("--name", default="tokenization", help="of the result files, after the date")
    return parser


if __name__ == "__main__":
    main()
