"""The command line: `python -m benchmarks`."""

import argparse
import platform
from pathlib import Path

from rich.console import Console

from benchmarks import machine, startup, throughput
from benchmarks.models import Model, bert_base
from benchmarks.peers import PEERS
from benchmarks.report import Report
from benchmarks.sizes import sizes
from benchmarks.texts import long_texts, short_texts

_PATHS = ("minilm", "minilm_saved_model", "cache", "texts", "results")


def main() -> None:
    options = _parser().parse_args()
    console = Console(width=150)
    report = Report(machine.today(), _command(options), machine.machine(), machine.versions())
    models = []
    if "minilm" in options.models:
        reason = "" if options.minilm_saved_model else "--minilm-saved-model was not given"
        models.append(Model("MiniLM-L6", options.minilm, options.minilm_saved_model, reason))
    if "bert-base" in options.models:
        console.print("BERT-base: making it, unless the cache has it")
        models.append(bert_base(options.cache, options.minilm / "vocab.txt"))
    peers = [peer for peer in PEERS if not options.peers or any(word in peer.name for word in options.peers)]
    kinds = {
        "short": short_texts(options.texts, options.column),
        "long": long_texts(options.texts, options.column),
    }
    # First: the machine's memory is still free, and nothing else of ours runs.
    if options.startup_runs:
        report.startup = startup.measure(models, runs=options.startup_runs, say=console.print)
        report.installed_mib = sizes()
    name = f"{report.date}-{options.name or platform.machine()}"
    for model in models:
        report.throughput[model.name] = throughput.measure(
            model, kinds, peers=peers, rounds=options.rounds, seconds=options.seconds, say=console.print
        )
        # After each model: a run that is cut short has not been for nothing.
        for path in report.save(options.results, name):
            console.print(f"saved {path.name}")
    report.show(console)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure berthub beside its peers, in one run."
    )
    add = parser.add_argument
    add("--minilm", type=Path, required=True, help="all-MiniLM-L6-v2, as a Hugging Face folder with vocab.txt")
    add("--minilm-saved-model", type=Path, help="the same weights as a SavedModel with TF Hub's interface")
    add("--cache", type=Path, required=True, help="where BERT-base with random weights is made and kept")
    add("--texts", type=Path, required=True, help="tab-separated file with a text a line (SST-2's train.tsv)")
    add("--column", default="text", help="the column of --texts that holds them")
    add("--models", nargs="+", choices=["minilm", "bert-base"], default=["minilm", "bert-base"])
    add("--peers", nargs="+", metavar="WORD", help="only systems whose name contains one of these")
    add("--rounds", type=int, default=5)
    add("--seconds", type=float, default=3.0, help="of one call of a system of middling speed")
    add("--startup-runs", type=int, default=5, help="0: no start-up, no installed sizes")
    add("--results", type=Path, default=Path(__file__).parent / "results")
    add("--name", help="of the result files, after the date")
    return parser


def _command(options: argparse.Namespace) -> str:
    """What was typed, with the names of this machine's folders left out."""
    words = ["python -m benchmarks"]
    for name, value in vars(options).items():
        if value is None or name == "results":
            continue
        values = [name.upper()] if name in _PATHS else value if isinstance(value, list) else [str(value)]
        words.append(f"--{name.replace('_', '-')} {' '.join(values)}")
    return " \\\n  ".join(words)


if __name__ == "__main__":
    main()
