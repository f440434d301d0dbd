"""Run `berthub predict`, once its options are read."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table

from berthub.choices import PredictionFormat
from berthub.cli.console import OutputConsole, literal
from berthub.cli.job_options import JobGroup, is_folder
from berthub.cli.model import ModelOptions, calibration_shown
from berthub.cli.model_options import Computing
from berthub.cli.output_options import PredictionsOutput
from berthub.cli.preview import PREVIEW_ROWS, shortened
from berthub.cli.progress import progress, summary
from berthub.cli.text_options import ColumnOptions
from berthub.encoding.prediction import Logits
from berthub.errors import InputError
from berthub.jobs.computation import write_blocks
from berthub.jobs.predict import PredictComputation
from berthub.jobs.tasks import PredictTask
from berthub.tables.block import Block
from berthub.tables.destination import PREDICTIONS, find_destination
from berthub.tables.reading import TextColumns, reading
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.source import find_source
from berthub.tables.writing import create_writer

__all__ = ["PredictOptions", "run_predict"]


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """The options of `berthub predict`."""

    inputs: tuple[str, ...]
    output: PredictionsOutput
    reading: ReadingOptions
    columns: ColumnOptions
    label_separator: str
    max_length: int | None
    truncation: bool
    model: ModelOptions
    computing: Computing
    job: JobGroup
    quiet: bool


def run_predict(options: PredictOptions) -> None:
    """Predict, or raise before anything is written; the file appears under its name when it is complete."""
    output = options.output
    if output.output_file is not None and is_folder(output.output_file):
        from berthub.cli import job_run

        job_run.run(
            options.inputs,
            options.reading,
            TextColumns(options.columns.text_column, options.columns.text_pair_column),
            task=_task(options, output.to or "parquet"),
            output_folder=output.output_file,
            options=options.job,
            overwrite=output.overwrite,
            quiet=options.quiet,
        )
        return
    options.job.refuse_for_one_file()
    source = find_source(options.inputs, options.reading)
    destination = find_destination(output.output_file, output.to, PREDICTIONS, overwrite=output.overwrite)
    if destination is None and source.files:
        raise InputError(
            f"it is not said where the predictions for {source.name} go: add -o FILE (.parquet, .jsonl, .csv, .tsv or "
            ".conll), or -o - for JSON lines on standard output"
        )
    if destination is not None:
        for path in (*(file.path for file in source.files), None):
            destination.check(path)
    task = _task(options, "jsonl" if destination is None else destination.format)
    task.check(options.reading)
    with calibration_shown():
        computation = task.load()
    encoder, words = computation.encoder, computation.words
    if words and options.columns.text_pair_column is not None:
        raise InputError("a model that tags words takes no pairs of texts: leave out --text-pair-column")
    wanted = TextColumns(options.columns.text_column, options.columns.text_pair_column, words=words)
    with reading(source, wanted) as rows:
        first = next(rows.blocks, None)
        if first is None:
            raise InputError(f"{source.name} has no texts: nothing was predicted{rows.tally.ending}")
        blocks = itertools.chain([first], rows.blocks)
        if destination is None:
            _preview(computation, first, more=len(first.texts) > PREVIEW_ROWS or next(rows.blocks, None) is not None)
            return
        with destination.opened() as file:
            writer = create_writer(
                computation.to,
                file,
                carries=computation.carried,
                source=source.format,
                metadata=computation.metadata,
            )
            with progress(rows.total, quiet=options.quiet) as counts:
                write_blocks(blocks, computation, writer=writer, on_step=counts.add)
                writer.close()
    if not options.quiet:
        summary(counts, precision=encoder.precision, max_length=encoder.max_length, missing=rows.tally.described)


def _task(options: PredictOptions, to: PredictionFormat) -> PredictTask:
    output = options.output
    return PredictTask(
        model=options.model.for_task(options.computing, max_length=options.max_length),
        truncation=options.truncation,
        carried=not output.drop_columns,
        to=to,
        column=output.prediction_column,
        probabilities=output.probabilities,
        separator=options.label_separator,
    )


def _preview(computation: PredictComputation, block: Block, *, more: bool) -> None:
    shown = block.chosen(range(min(len(block.texts), PREVIEW_ROWS)))
    texts, logits, encoder = shown.texts, computation.logits(shown), computation.encoder
    console = OutputConsole()
    console.print(_word_table(texts, logits) if logits.head.task == "tag" else _text_table(texts, logits))
    lines = [f"{logits.head.task}, computed in {encoder.precision}."]
    truncated = int(logits.truncated.sum())
    if truncated:
        lines.append(f"{truncated} of these texts truncated to {encoder.max_length} tokens.")
    if more:
        lines.append(f"Only the first {len(texts)} texts are shown.")
    lines.append("-o FILE.csv (or .tsv, .jsonl, .parquet) writes the predictions.")
    console.print(literal(" ".join(lines), "dim"))


def _text_table(texts: Sequence[Any], logits: Logits) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("text", ratio=1)
    table.add_column("prediction", justify="right" if logits.head.task == "regress" else "left")
    if logits.head.task == "regress":
        for text, value in zip(texts, logits.predictions(), strict=True):
            table.add_row(literal(shortened(text)), f"{value:.4f}")
        return table
    table.add_column("probability", justify="right", no_wrap=True)
    for text, prediction, row in zip(texts, logits.predictions(), logits.probabilities(), strict=True):
        chosen = [prediction] if isinstance(prediction, str) else prediction
        shares = [f"{row[logits.head.labels.index(label)]:.3f}" for label in chosen]
        table.add_row(literal(shortened(text)), literal(", ".join(chosen)), ", ".join(shares))
    return table


def _word_table(sentences: Sequence[Sequence[str]], logits: Logits) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("word")
    table.add_column("prediction")
    table.add_column("probability", justify="right", no_wrap=True)
    for words, tags, shares in zip(sentences, logits.predictions(), logits.probabilities(), strict=True):
        for word, tag, row in zip(words, tags, shares, strict=True):
            table.add_row(literal(word), literal(tag), f"{row.max():.3f}", style="dim" if tag == "O" else "")
        table.add_section()
    return table
