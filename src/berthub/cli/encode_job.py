"""Run `berthub encode`, once its options are read."""

import itertools
import sys
from dataclasses import dataclass

from berthub.choices import OutputFormat
from berthub.cli.job_options import JobGroup, is_folder
from berthub.cli.model import ModelOptions, calibration_shown
from berthub.cli.model_options import Computing
from berthub.cli.output_options import VectorsOutput
from berthub.cli.preview import PREVIEW_ROWS, show
from berthub.cli.progress import progress, summary
from berthub.cli.text_options import ColumnOptions
from berthub.errors import InputError
from berthub.jobs.computation import write_blocks
from berthub.jobs.encode import EncodeComputation
from berthub.jobs.tasks import EncodeTask
from berthub.tables.block import Block
from berthub.tables.destination import VECTORS, find_destination
from berthub.tables.reading import TextColumns, reading
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.source import find_source
from berthub.tables.writing import create_writer

__all__ = ["EncodeOptions", "run_encode"]


@dataclass(frozen=True, kw_only=True)
class EncodeOptions:
    """The options of `berthub encode`."""

    inputs: tuple[str, ...]
    output: VectorsOutput
    reading: ReadingOptions
    columns: ColumnOptions
    max_length: int | None
    truncation: bool
    window: int | None
    stride: int | None
    model: ModelOptions
    computing: Computing
    job: JobGroup
    quiet: bool


def run_encode(options: EncodeOptions) -> None:
    """Encode, or raise before anything is written; the file appears under its name when it is complete."""
    columns = TextColumns(options.columns.text_column, options.columns.text_pair_column)
    output_file = options.output.output_file
    if output_file is not None and is_folder(output_file):
        from berthub.cli import job_run

        job_run.run(
            options.inputs,
            options.reading,
            columns,
            task=_task(options, options.output.to or "parquet"),
            output_folder=output_file,
            options=options.job,
            overwrite=options.output.overwrite,
            quiet=options.quiet,
        )
        return
    options.job.refuse_for_one_file()
    source = find_source(options.inputs, options.reading)
    destination = find_destination(
        options.output.output_file, options.output.to, VECTORS, overwrite=options.output.overwrite
    )
    if destination is None and source.files:
        raise InputError(
            f"it is not said where the vectors of {source.name} go: add -o FILE (.parquet, .jsonl, .npy, .csv or "
            ".tsv), or -o - for JSON lines on standard output"
        )
    task = _task(options, "parquet" if destination is None else destination.format)
    if destination is not None:
        for path in (*(file.path for file in source.files), None):
            destination.check(path)
        task.check(options.reading)
    with reading(source, columns) as rows:
        # What is wrong at the beginning of a file should not wait for the model.
        first = next(rows.blocks, None)
        if first is None:
            raise InputError(f"{source.name} has no texts: nothing was encoded{rows.tally.ending}")
        blocks = itertools.chain([first], rows.blocks)
        if destination is None:
            _preview(task, first, more=len(first.texts) > PREVIEW_ROWS or next(rows.blocks, None) is not None)
            return
        with destination.opened() as file:
            computation = _loaded(task)
            writer = create_writer(
                destination.format,
                file,
                carries=computation.carried,
                source=source.format,
                metadata=computation.metadata,
            )
            with progress(rows.total, quiet=options.quiet) as counts:
                write_blocks(blocks, computation, writer=writer, on_step=counts.add)
                writer.close()
    if not options.quiet:
        encoder = computation.encoder
        print(f"vectors: {computation.request.described}", file=sys.stderr)
        summary(counts, precision=encoder.precision, max_length=encoder.max_length, missing=rows.tally.described)


def _preview(task: EncodeTask, block: Block, *, more: bool) -> None:
    shown = block.chosen(range(min(len(block.texts), PREVIEW_ROWS)))
    computation = _loaded(task)
    chunks = list(computation.chunks(shown))
    show(shown.texts, chunks, request=computation.request, encoder=computation.encoder, more=more)


def _loaded(task: EncodeTask) -> EncodeComputation:
    with calibration_shown():
        return task.load()


def _task(options: EncodeOptions, to: OutputFormat) -> EncodeTask:
    output = options.output
    return EncodeTask(
        model=options.model.for_task(options.computing, max_length=options.max_length),
        truncation=options.truncation,
        carried=not output.drop_columns,
        to=to,
        vectors=output.vectors,
        layer=output.layer,
        normalize=output.normalize,
        prompt=output.prompt,
        prompt_name=output.prompt_name,
        dtype=output.dtype,
        column=output.vectors_column,
        window=options.window,
        stride=options.stride,
    )
