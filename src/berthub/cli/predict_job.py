"""What `berthub predict` does, once its options are read."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table

import berthub
from berthub.choices import EngineName, Precision, PredictionFormat
from berthub.cli.console import OutputConsole, literal
from berthub.cli.model import ModelOptions, load_encoder
from berthub.cli.preview import PREVIEW_ROWS, shortened
from berthub.cli.progress import Counts, progress, summary
from berthub.cli.tables.block import Block
from berthub.cli.tables.destination import find_prediction_destination
from berthub.cli.tables.predictions import PredictionColumns, PredictionWriter, create_prediction_writer
from berthub.cli.tables.reading import TextColumns, reading
from berthub.cli.tables.reading_options import ReadingOptions
from berthub.cli.tables.source import find_source
from berthub.encoding.encoder import Encoder
from berthub.encoding.prediction import Logits, require_head
from berthub.errors import InputError
from berthub.head import Head

__all__ = ["PredictJob", "load_fine_tuned", "run_job"]


@dataclass(frozen=True, kw_only=True)
class PredictJob:
    """The options of `berthub predict`."""

    inputs: tuple[str, ...]
    reading: ReadingOptions
    text_column: str | None
    text_pair_column: str | None
    output_file: str | None
    output_format: PredictionFormat | None
    overwrite: bool
    drop_columns: bool
    prediction_column: str
    probabilities: bool
    label_separator: str
    max_length: int | None
    truncation: bool
    model: ModelOptions
    engine: EngineName
    precision: Precision
    quiet: bool


def run_job(job: PredictJob) -> None:
    """Do the job, or raise before anything is written; the file appears under its name when it is complete."""
    source = find_source(job.inputs, job.reading)
    destination = find_prediction_destination(job.output_file, job.output_format, overwrite=job.overwrite)
    if destination is None and source.files:
        raise InputError(
            f"it is not said where the predictions for {source.name} go: add -o FILE (.parquet, .jsonl, .csv, .tsv or "
            ".conll), or -o - for JSON lines on standard output"
        )
    if destination is not None:
        for path in (*(file.path for file in source.files), None):
            destination.check(path)
    if job.reading.missing == "skip" and job.drop_columns:
        raise InputError(
            "--missing skip leaves rows out, and without the columns of the input nobody could tell which: leave out "
            "--drop-columns, or use --missing empty"
        )
    encoder, head = load_fine_tuned(job.model, engine=job.engine, precision=job.precision, max_length=job.max_length)
    words = head.task == "tag"
    if words and job.text_pair_column is not None:
        raise InputError("a model that tags words takes no pairs of texts: leave out --text-pair-column")
    columns = PredictionColumns(
        head=head,
        column=job.prediction_column,
        probabilities=job.probabilities,
        carried=not job.drop_columns,
        separator=job.label_separator,
    )
    columns.check("jsonl" if destination is None else destination.format)
    wanted = TextColumns(job.text_column, job.text_pair_column, words=words)
    with reading(source, wanted) as rows:
        first = next(rows.blocks, None)
        if first is None:
            raise InputError(f"{source.name} has no texts: nothing was predicted{rows.tally.ending}")
        blocks = itertools.chain([first], rows.blocks)
        if destination is None:
            _preview(job, first, encoder, more=len(first.texts) > PREVIEW_ROWS or next(rows.blocks, None) is not None)
            return
        with destination.opened() as file:
            metadata = _metadata(job, encoder, head)
            writer = create_prediction_writer(destination, file, columns, source=source.format, metadata=metadata)
            with progress(rows.total, quiet=job.quiet) as counts:
                names = [] if destination.format == "conll" else columns.names(destination.format)
                _predict(job, blocks, encoder=encoder, names=names, writer=writer, counts=counts)
                writer.close()
    if not job.quiet:
        summary(counts, precision=encoder.precision, max_length=encoder.max_length, missing=rows.tally.told)


def load_fine_tuned(
    model: ModelOptions, *, engine: EngineName, precision: Precision, max_length: int | None
) -> tuple[Encoder, Head]:
    """The model and its head; `InputError` where it has none."""
    encoder = load_encoder(model, engine=engine, precision=precision, max_length=max_length)
    if encoder.head is None and (unread := encoder.checkpoint.origin.unread_head):
        require_head(None, unread=unread)
    if encoder.head is None:
        raise InputError(
            f"{model.name} was not fine-tuned, it has no head to predict with: give the folder of a training, or "
            "take its vectors with berthub encode"
        )
    return encoder, encoder.head


def _predict(
    job: PredictJob,
    blocks: Iterator[Block],
    *,
    encoder: Encoder,
    names: Sequence[str],
    writer: PredictionWriter,
    counts: Counts,
) -> None:
    for block in blocks:
        if not job.drop_columns:
            _refuse_clash(block.carried.column_names, names, job.prediction_column)
        logits = _logits(job, block, block.texts, encoder)
        writer.write(block, logits)
        count = len(block.texts)
        counts.add_rows(count, truncated=int(logits.truncated.sum()), done=block.done_at(count))


def _logits(job: PredictJob, block: Block, texts: Sequence[Any], encoder: Encoder) -> Logits:
    # Stages do not warn: the summary counts the texts that were cut.
    logits = encoder.stages.logits(texts)
    if not job.truncation and logits.truncated.any():
        what = "a word" if logits.head.task == "tag" else "the text"
        raise InputError(
            f"{block.place(int(logits.truncated.argmax()))}: {what} has more tokens than the limit of "
            f"{encoder.max_length} allows; shorten it, or leave out --no-truncation to have it cut"
        )
    return logits


def _preview(job: PredictJob, block: Block, encoder: Encoder, *, more: bool) -> None:
    texts = block.texts[:PREVIEW_ROWS]
    logits = _logits(job, block, texts, encoder)
    console = OutputConsole()
    console.print(_word_table(texts, logits) if logits.head.task == "tag" else _text_table(texts, logits))
    lines = [f"{logits.head.task}, computed in {encoder.precision}."]
    cut = int(logits.truncated.sum())
    if cut:
        lines.append(f"{cut} of these texts cut to {encoder.max_length} tokens.")
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


def _metadata(job: PredictJob, encoder: Encoder, head: Head) -> dict[str, str]:
    return {
        "berthub.version": berthub.__version__,
        "berthub.model": job.model.name,
        "berthub.task": head.task,
        "berthub.precision": encoder.precision,
        "berthub.max_length": str(encoder.max_length),
    }


def _refuse_clash(names: Sequence[str], added: Sequence[str], column: str) -> None:
    for name in added:
        if name in names:
            way_out = "--prediction-column NAME" if name == column else "--drop-columns"
            raise InputError(
                f'the input has a column "{name}" already, which is what the output would be called: '
                f"rename it, or use {way_out}"
            )
