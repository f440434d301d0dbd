"""What `berthub encode` does, once its options are read."""

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import berthub
from berthub.choices import DType, EngineName, OutputFormat, Precision, Vectors
from berthub.cli.model import ModelOptions, load_encoder
from berthub.cli.preview import PREVIEW_ROWS, show
from berthub.cli.progress import Counts, progress, summary
from berthub.cli.tables.block import Block
from berthub.cli.tables.destination import find_destination
from berthub.cli.tables.reading import TextColumns, reading
from berthub.cli.tables.reading_options import ReadingOptions
from berthub.cli.tables.source import find_source
from berthub.cli.tables.writing import Writer, create_writer
from berthub.cli.vectors import Request, compute, resolve_request
from berthub.encoding.encoder import Encoder
from berthub.encoding.windows import Window
from berthub.errors import InputError

__all__ = ["EncodeJob", "run"]


@dataclass(frozen=True, kw_only=True)
class EncodeJob:
    """The options of `berthub encode`."""

    inputs: tuple[str, ...]
    reading: ReadingOptions
    text_column: str | None
    text_pair_column: str | None
    output_file: str | None
    output_format: OutputFormat | None
    overwrite: bool
    drop_columns: bool
    vectors: Vectors | None
    layer: int | None
    normalize: bool | None
    dtype: DType
    vectors_column: str | None
    max_length: int | None
    truncation: bool
    window: int | None
    stride: int | None
    model: ModelOptions
    engine: EngineName
    precision: Precision
    quiet: bool


def run(job: EncodeJob) -> None:
    """Do the job, or raise before anything is written; the file appears under its name when it is complete."""
    source = find_source(job.inputs, job.reading)
    destination = find_destination(job.output_file, job.output_format, overwrite=job.overwrite)
    if destination is None and source.files:
        raise InputError(
            f"it is not said where the vectors of {source.name} go: add -o FILE (.parquet, .jsonl, .npy, .csv or "
            ".tsv), or -o - for JSON lines on standard output"
        )
    if destination is not None:
        for path in (*(file.path for file in source.files), None):
            destination.check(path)
        _refuse_impossible(job, destination.format)
    columns = TextColumns(job.text_column, job.text_pair_column)
    with reading(source, columns) as rows:
        # What is wrong at the beginning of a file should not wait for the model.
        first = next(rows.blocks, None)
        if first is None:
            raise InputError(f"{source.name} has no texts: nothing was encoded{rows.tally.ending}")
        blocks = itertools.chain([first], rows.blocks)
        if destination is None:
            _preview(job, first, more=len(first.texts) > PREVIEW_ROWS or next(rows.blocks, None) is not None)
            return
        with destination.opened() as file:
            encoder = _load(job)
            request = _request(job, encoder)
            writer = create_writer(destination, file, request, _metadata(job, request, encoder))
            with progress(rows.total, quiet=job.quiet) as counts:
                _encode(job, blocks, encoder=encoder, request=request, writer=writer, counts=counts)
                writer.close()
    if not job.quiet:
        print(f"vectors: {request.described}", file=sys.stderr)
        summary(counts, precision=encoder.precision, max_length=encoder.max_length, missing=rows.tally.told)


def _refuse_impossible(job: EncodeJob, to: OutputFormat) -> None:
    if job.vectors == "sequence_output" and to not in ("parquet", "jsonl"):
        what = "a .npy file holds one array" if to == "npy" else f"{to} holds one vector in each row"
        raise InputError(
            f"{what}, and texts have different numbers of token vectors: write sequence_output to Parquet "
            "(-o FILE.parquet) or JSON lines (-o FILE.jsonl)"
        )
    if job.reading.missing == "skip" and (job.drop_columns or to == "npy"):
        raise InputError(
            "--missing skip leaves rows out, and without the columns of the input nobody could tell which: write "
            "another format than .npy and no --drop-columns, or use --missing empty"
        )


def _encode(
    job: EncodeJob,
    blocks: Iterator[Block],
    *,
    encoder: Encoder,
    request: Request,
    writer: Writer[Any],
    counts: Counts,
) -> None:
    for block in blocks:
        carried = None if job.drop_columns else block.carried
        if carried is not None:
            _refuse_clash(carried.column_names, request)
        prepared = writer.prepare(carried)
        start = 0
        for chunk in compute(encoder, block.texts, request):
            end = start + len(chunk.lengths)
            if not job.truncation and chunk.truncated.any():
                _refuse_long(block, start + int(chunk.truncated.argmax()), encoder)
            writer.write(prepared, slice(start, end), chunk)
            counts.add(chunk, done=block.done_at(end))
            start = end


def _preview(job: EncodeJob, block: Block, *, more: bool) -> None:
    texts = block.texts[:PREVIEW_ROWS]
    encoder = _load(job)
    request = _request(job, encoder)
    chunks = list(compute(encoder, texts, request))
    truncated = list(itertools.chain.from_iterable(chunk.truncated.tolist() for chunk in chunks))
    if not job.truncation and any(truncated):
        _refuse_long(block, truncated.index(True), encoder)
    show(texts, chunks, request=request, encoder=encoder, more=more)


def _load(job: EncodeJob) -> Encoder:
    return load_encoder(job.model, engine=job.engine, precision=job.precision, max_length=job.max_length)


def _request(job: EncodeJob, encoder: Encoder) -> Request:
    return resolve_request(
        job.vectors,
        job.layer,
        checkpoint=encoder.checkpoint,
        normalize=job.normalize,
        dtype=job.dtype,
        column=job.vectors_column,
        window=Window.of(job.window, job.stride, longest=encoder.config.max_positions),
    )


def _metadata(job: EncodeJob, request: Request, encoder: Encoder) -> dict[str, str]:
    window = request.window
    return {
        "berthub.version": berthub.__version__,
        "berthub.model": job.model.name,
        "berthub.output": request.vectors,
        **({"berthub.pooling": request.pooling} if request.pooling else {}),
        "berthub.layer": str(request.layer),
        "berthub.normalize": str(request.normalize).lower(),
        "berthub.precision": encoder.precision,
        "berthub.max_length": str(encoder.max_length),
        **({"berthub.window": str(window.size), "berthub.stride": str(window.stride)} if window else {}),
    }


def _refuse_clash(names: list[str], request: Request) -> None:
    for name in request.columns:
        if name in names:
            way_out = "--vectors-column NAME" if name == request.column else "--drop-columns"
            raise InputError(
                f'the input has a column "{name}" already, which is what the output would be called: '
                f"rename it, or use {way_out}"
            )


def _refuse_long(block: Block, index: int, encoder: Encoder) -> None:
    text = block.texts[index]
    length = int(encoder.tokenizer.tokens([text]).lengths[0])
    raise InputError(
        f"{block.place(index)}: the text has {length:,} tokens and the limit is {encoder.max_length}; shorten it, "
        "or leave out --no-truncation to have it cut"
    )
