"""Measure the accuracy of each precision: `python -m benchmarks.accuracy`.

The cosines of vectors to those of float32, on SST-2's dev texts, and the scores of fine-tuned models on the dev sets of
their tasks. It trains nothing: `berthub finetune` makes the models (README.md).
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import berthub as hub
from benchmarks.agreement import cosines
from benchmarks.models import default_folder
from benchmarks.record import RESULTS, Circumstances, save
from benchmarks.tables import Table, show
from berthub import BerthubError
from berthub.evaluation.scores import main_score, scores
from berthub.tables.labelled import read_labelled

_POOLINGS = ("pooled", "mean")
_DEV = {"sst2": "sst2/dev.tsv", "mrpc": "mrpc/dev.tsv", "conll2003": "conll2003/dev.txt"}
_TRAIN = {task: dev.replace("dev", "train") for task, dev in _DEV.items()}
# int8, calibrated on so many of the task's own training texts in place of the packaged sample.
_OWN, _OWN_TEXTS = "int8-own", 200


@dataclass
class Likeness:
    """The likeness of a model in a precision: the cosine of each text's vector to that of float32, by pooling."""

    model: str
    precision: str
    cosines: dict[str, list[float]] = field(default_factory=dict)
    skipped: str | None = None


@dataclass
class Scores:
    """Scores of a fine-tuned model in a precision on `rows` dev examples, the main one first; `changed` is the share
    of predictions that are not those of float32."""

    task: str
    precision: str
    rows: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    changed: float = 0.0
    skipped: str | None = None


def main() -> None:
    options = _parser().parse_args()
    console = Console(width=150)
    about = Circumstances.now("benchmarks.accuracy", options)
    path = options.results / f"{about.date}-{options.name}"
    likenesses: list[Likeness] = []
    scored: list[Scores] = []
    texts = _labelled(options.data / _DEV["sst2"], "classify").texts[: options.limit]
    for name, folder in options.encoders or [("MiniLM-L6", default_folder())]:
        console.print(f"vectors of {name}")
        own = _own_texts(options.data, "sst2", "classify")
        likenesses += _likenesses(name, folder, texts, options.precisions, own=own)
    for task, folder in options.models:
        console.print(f"scores on {task}")
        scored += _scores(task, folder, options)
    tables = list(_tables(likenesses, scored))
    data = {"likenesses": [asdict(row) for row in likenesses], "scores": [asdict(row) for row in scored]}
    for saved in save(path, title="Accuracy", about=about, tables=tables, data=data):
        console.print(f"saved {saved.name}")
    show(tables, console)


def _likenesses(
    name: str, folder: Path, texts: Sequence[str], precisions: Sequence[str], *, own: Sequence[Any]
) -> list[Likeness]:
    def vectors(precision: str) -> dict[str, Any]:
        encoder = _loaded(folder, precision, own)
        return {pooling: encoder.embed(texts, pooling=pooling) for pooling in _POOLINGS}

    right, rows = vectors("float32"), []
    for precision in precisions:
        row = Likeness(name, precision)
        rows.append(row)
        try:
            found = vectors(precision)
        except BerthubError as error:
            row.skipped = str(error)
            continue
        row.cosines = {pooling: cosines(right[pooling], found[pooling]).tolist() for pooling in _POOLINGS}
    return rows


def _scores(task: str, folder: Path, options: argparse.Namespace) -> list[Scores]:
    head = _loaded(folder, "float32", ()).head
    own = _own_texts(options.data, task, head.task)
    dev = _labelled(options.data / _DEV[task], head.task)
    texts, labels = dev.texts[: options.limit], dev.labels[: options.limit]
    right, rows = None, []
    for precision in ("float32", *options.precisions):
        row = Scores(task, precision)
        rows.append(row)
        try:
            predicted = list(_loaded(folder, precision, own).predict(texts))
        except BerthubError as error:
            row.skipped = str(error)
            continue
        right = right or predicted
        found = scores(head.task, labels=head.labels, truth=labels, predicted=predicted)
        main = main_score(head.task, found)
        row.scores = {main: found.pop(main), **found}
        row.rows = len(texts)
        row.changed = sum(one != other for one, other in zip(right, predicted, strict=True)) / len(texts)
    return rows


def _loaded(folder: Path, precision: str, own: Sequence[Any]) -> Any:
    if precision == _OWN:
        return hub.load(folder, precision="int8", calibration=own)
    return hub.load(folder, precision=precision)  # type: ignore[call-overload]


def _own_texts(data: Path, task: str, kind: Any) -> list[Any]:
    """Some training texts, or sentences of words as texts."""
    texts = list(_labelled(data / _TRAIN[task], kind).texts)
    random.Random(0).shuffle(texts)
    return [" ".join(text) if kind == "tag" else text for text in texts[:_OWN_TEXTS]]


def _labelled(path: Path, task: Any) -> Any:
    return read_labelled(path, task=task)


def _tables(likenesses: Sequence[Likeness], scored: Sequence[Scores]) -> Iterator[Table]:
    lines = [
        _likeness(row, pooling)
        for row in likenesses
        for pooling in _POOLINGS
        if row.skipped is None or pooling == "mean"
    ]
    header = ["model", "precision", "vectors", "texts", "smallest cosine", "1 in 100 below", "mean cosine"]
    yield "Vectors beside those of float32, SST-2 dev", header, lines
    for task in dict.fromkeys(row.task for row in scored):
        own = [row for row in scored if row.task == task]
        names = next(list(row.scores) for row in own if row.skipped is None)
        rows = max(row.rows for row in own)
        header = ["arithmetic", *(name.replace("_", " ") for name in names), "predictions changed"]
        yield f"{task}: {rows:,} dev examples", header, [_score(row, names) for row in own]


def _likeness(row: Likeness, pooling: str) -> list[str]:
    if row.skipped is not None:
        return [row.model, row.precision, "-", "-", f"skipped: {row.skipped}", "-", "-"]
    values = row.cosines[pooling]
    shown = [f"{value:.6f}" for value in (min(values), float(np.quantile(values, 0.01)), float(np.mean(values)))]
    return [row.model, row.precision, pooling, f"{len(values):,}", *shown]


def _score(row: Scores, names: Sequence[str]) -> list[str]:
    if row.skipped is not None:
        return [row.precision, f"skipped: {row.skipped}", *["-"] * len(names)]
    return [row.precision, *(f"{100 * row.scores[name]:.2f}" for name in names), f"{row.changed:.2%}"]


def _named(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition("=")
    if not folder:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIR")
    return name, Path(folder)


def _fine_tuned(text: str) -> tuple[str, Path]:
    task, folder = _named(text)
    if task not in _DEV:
        raise argparse.ArgumentTypeError(f"{task!r} is none of the tasks {', '.join(_DEV)}")
    return task, folder


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description="Measure what lower precisions cost in accuracy."
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="the folder with the folders sst2, mrpc and conll2003")
    add("--encoders", nargs="+", type=_named, metavar="NAME=DIR", help="whose vectors; left out, the default model's")
    add("--models", nargs="+", type=_fine_tuned, metavar="TASK=DIR", default=[], help="what berthub finetune saved")
    add("--precisions", nargs="+", default=["bfloat16", "int8", _OWN], help="beside float32")
    add("--limit", type=int, help="only so many examples: to try things out")
    add("--results", type=Path, default=RESULTS)
    add("--name", default="accuracy", help="of the result files, after the date")
    return parser


if __name__ == "__main__":
    main()
