"""The command line: `python -m benchmarks.scaling`.

A BERT of 2 layers of 128 shows everything around the model; MiniLM, of which some thousand texts suffice, the model.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks.models import minilm, random_bert
from benchmarks.record import RESULTS, Circumstances, save
from benchmarks.scaling.plot import draw
from benchmarks.scaling.points import WAYS, Point, exponents, tables
from benchmarks.scaling.worker import measure
from benchmarks.tables import show

_COUNTS = [1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000]


def main() -> None:
    options = _parser().parse_args()
    console = Console(width=150)
    about = Circumstances.now("benchmarks.scaling", options)
    path = options.results / f"{about.date}-{options.name}"
    small = minilm(options.minilm, None, options.cache)
    tiny = random_bert("BERT-tiny", options.cache, small.vocabulary, saved_model=False)
    points: list[Point] = []
    # Small counts first: what is there after half the time can be drawn.
    for count in sorted(options.counts):
        for model in (tiny, small) if count <= options.minilm_texts else (tiny,):
            for way in options.ways:
                point = measure(model, way, count, texts=options.texts, column=options.column)
                points.append(point)
                console.print(f"{model.name}, {way}: {count:,} texts, {point.tokens:,} tokens, {point.seconds:.2f} s")
        data = {"points": [asdict(point) for point in points], "exponents": exponents(points)}
        save(path, title="Scaling", about=about, tables=tables(points), data=data)
    show(tables(points), console)
    console.print(f"saved {path.name}.md, .json and {draw(points, path).suffix}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling",
        description="Measure berthub's time and memory as the texts grow in number.",
    )
    add = parser.add_argument
    add("--minilm", type=Path, help="all-MiniLM-L6-v2, as a Hugging Face folder; left out, berthub's default model")
    add("--cache", type=Path, required=True, help="where the small model with random weights is made and kept")
    add("--texts", type=Path, required=True, help="tab-separated file with a text a line (SST-2's train.tsv)")
    add("--column", default="text", help="the column of --texts that holds them")
    add("--counts", nargs="+", type=int, default=_COUNTS, help="of texts, drawn from those of the file")
    add("--minilm-texts", type=int, default=10_000, help="the most that MiniLM encodes; 0: none")
    add("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    add("--results", type=Path, default=RESULTS)
    add("--name", default="scaling", help="of the result files, after the date")
    return parser


if __name__ == "__main__":
    main()
