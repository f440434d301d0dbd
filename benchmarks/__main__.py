"""The command line: `python -m benchmarks`."""

import argparse
import platform
from pathlib import Path

from rich.console import Console

from benchmarks import machine, memory, session, startup
from benchmarks.models import Model, minilm, random_bert
from benchmarks.peers import OUTPUTS, PEERS
from benchmarks.record import RESULTS, Circumstances, save
from benchmarks.report import Report
from benchmarks.roof import Roof
from benchmarks.sizes import sizes
from benchmarks.tables import show
from benchmarks.texts import KINDS, load

_RANDOM = {"bert-base": "BERT-base", "bert-large": "BERT-large"}


def main() -> None:
    options = _parser().parse_args()
    console = Console(width=170)
    optimum = options.optimum_python
    others = {f"{name} (optimum)": one for name, one in machine.libraries_of(optimum).items()} if optimum else {}
    about = Circumstances.now("benchmarks", options, others=others)
    path = options.results / f"{about.date}-{options.name or platform.machine()}"
    models = _models(options, console)
    peers = [peer for peer in PEERS if not options.peers or any(word in peer.name for word in options.peers)]
    short = load("short", options.texts, options.column)
    plan = session.Plan(
        peers=peers,
        texts={kind: load(kind, options.texts, options.column) for kind in options.kinds},
        outputs=options.outputs,
        rounds=options.rounds,
        seconds=options.seconds,
        singles=short[: options.singles],
        together=options.together,
        optimum=optimum,
    )
    report = Report()

    def keep() -> None:
        """Save after each part, so that an interrupted run is not lost."""
        for saved in save(path, title="Throughput", about=about, tables=report.tables(), data=report.data()):
            console.print(f"saved {saved.name}")

    # First: the machine's memory is still free, and nothing else of ours runs.
    if options.startup_runs:
        report.startup = startup.measure(models, runs=options.startup_runs, optimum=optimum, say=console.print)
        report.installed_mib = sizes(optimum)
        keep()
    if options.memory_texts:
        report.memory = memory.measure(models, peers, short[: options.memory_texts], optimum=optimum, say=console.print)
        keep()
    if plan.texts or plan.singles:
        with Roof() as roof:
            report.roof = roof.found
            for model in models:
                rounds, latencies = report.throughput, report.latency
                for measured in session.measure(model, plan, roof, say=console.print):
                    report.throughput = rounds + measured.rounds
                    report.latency = latencies + measured.latencies
                    keep()
    show(report.tables(), console)


def _models(options: argparse.Namespace, console: Console) -> list[Model]:
    small = minilm(options.minilm, options.minilm_saved_model, options.cache)
    models = []
    for name in options.models:
        if name == "minilm":
            models.append(small)
            continue
        console.print(f"{_RANDOM[name]}: making it, unless the cache has it")
        wanted = name in options.saved_models
        models.append(random_bert(_RANDOM[name], options.cache, small.vocabulary, saved_model=wanted))
    return models


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure berthub beside its peers, in one run."
    )
    add = parser.add_argument
    add("--minilm", type=Path, help="all-MiniLM-L6-v2, as a Hugging Face folder; left out, berthub's default model")
    add("--minilm-saved-model", type=Path, help="the same weights as a SavedModel with TF Hub's interface")
    add("--cache", type=Path, required=True, help="where random models, and what peers convert models to, are kept")
    add("--texts", type=Path, required=True, help="tab-separated file with a text a line (SST-2's train.tsv)")
    add("--column", default="text", help="the column of --texts that holds them")
    add("--models", nargs="+", choices=["minilm", *_RANDOM], default=["minilm", "bert-base"])
    add("--saved-models", nargs="*", choices=_RANDOM, default=["bert-base"], help="random models to be written as such")
    add("--kinds", nargs="*", choices=KINDS, default=list(KINDS), help="of texts; none: no throughput")
    add("--outputs", nargs="+", choices=OUTPUTS, default=["pooled"])
    add("--peers", nargs="+", metavar="WORD", help="only systems whose name contains one of these")
    add("--optimum-python", type=Path, help="the python of an environment with sentence-transformers[onnx,openvino]")
    add("--rounds", type=int, default=5)
    add("--seconds", type=float, default=3.0, help="of one call of a system of middling speed")
    add("--singles", type=int, default=200, help="texts that are encoded one at a time; 0: none")
    add("--together", type=int, help="systems that are loaded at once; left out, as many as fit in memory")
    add("--startup-runs", type=int, default=5, help="0: no start-up, no installed sizes")
    add("--memory-texts", type=int, default=1000, help="texts that a new process encodes for its memory; 0: none")
    add("--results", type=Path, default=RESULTS)
    add("--name", help="of the result files, after the date")
    return parser


if __name__ == "__main__":
    main()
