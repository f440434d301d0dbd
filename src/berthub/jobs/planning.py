"""Make the plan of a job: list the input files, count their rows, and split these into shards."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import google_crc32c
import pyarrow as pa

from berthub.choices import InputFormat
from berthub.errors import InputError
from berthub.jobs.plan import Plan, PlannedFile, Shard, Span
from berthub.jobs.quick_count import quick_count
from berthub.sources.redaction import without_credentials
from berthub.tables.addresses import file_stamp, is_url, is_web_url, local_path
from berthub.tables.block import Block, JsonRows
from berthub.tables.columns import TextColumns
from berthub.tables.json_columns import json_schema
from berthub.tables.opening import open_file
from berthub.tables.reading import refuse_other_columns
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.rows import Counted, RowReader
from berthub.tables.source import InputFile, Source
from berthub.tables.start import BEGINNING, Start

__all__ = ["FirstRows", "check_inputs", "first_rows", "make_plan"]

_CHUNK = 1 << 20
# Files that are read as when they are encoded, before the rows of others like them are only counted.
_CLOSELY = 64


@dataclass(frozen=True, eq=False)
class FirstRows:
    """What the first rows of the input decide for the whole job: the columns, and which of them hold the texts."""

    block: Block
    texts: TextColumns

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the input's columns."""
        return tuple(self.block.carried.column_names)

    def schema(self, *, typed: bool) -> pa.Schema | None:
        """The types of the columns; those of JSON objects are inferred if they are to be `typed`."""
        carried = self.block.carried
        if isinstance(carried, JsonRows):
            return json_schema(carried) if typed else None
        return carried.schema


def first_rows(source: Source, texts: TextColumns) -> FirstRows:
    """Read the first rows of the input; `InputError` where there are none, or where no column of texts is found."""
    for file in source.files:
        with opened_rows(file, source.options, texts) as reader:
            block = next(reader.blocks(), None)
        if block is not None:
            chosen = block.columns
            assert chosen is not None
            return FirstRows(block, replace(texts, text=chosen.text, pair=chosen.pair))
    raise InputError(f"{source.name} has no texts: there is nothing to do")


def make_plan(
    source: Source,
    first: FirstRows,
    *,
    task: Mapping[str, Any],
    model: str,
    environment: Mapping[str, Any] | None,
    schema: pa.Schema | None,
    extension: str,
    shard_rows: int,
    dedupe: bool = False,
    on_file: Callable[[int, int], None] = lambda done, total: None,
) -> Plan:
    """The plan of a job whose shards have `shard_rows` rows of the input each, the last one perhaps fewer.

    `on_file` is called with the number of files that are counted, and of all. `InputError` for a file that cannot be
    read, or that has other columns than the first one.
    """
    files: list[PlannedFile] = []
    spans: list[Span] = []
    rows = 0
    headers: dict[InputFormat, bytes] = {}
    for index, file in enumerate(source.files):
        # A shard that the file before has begun ends inside this one.
        left = -rows % shard_rows
        # The first files are looked at closely.
        quick = quick_count(file, source.options) if index >= _CLOSELY else None
        if quick is not None and quick.rows <= left and quick.header == headers.get(file.format):
            planned = PlannedFile(address_of(file), file.format, quick.size, quick.rows, quick.checksum, quick.stamp)
            if quick.rows:
                spans.append(Span(index, BEGINNING, quick.rows))
        else:
            size, stamp = stamp_of(file)
            with opened_rows(file, source.options, first.texts) as reader:
                counted = reader.count(first=left, every=shard_rows)
            _check_columns(counted, first, file)
            if index < _CLOSELY and (seen := quick_count(file, source.options)) is not None:
                headers[file.format] = seen.header
            planned = PlannedFile(address_of(file), file.format, size, counted.rows, checksum_of(file), stamp)
            if stamp_of(file) != (size, stamp):
                raise InputError(f"{file.name} was written to while its rows were counted: wait until it is finished")
            spans += _spans(index, counted)
        files.append(planned)
        rows += planned.rows
        on_file(index + 1, len(source.files))
    return Plan(
        task=task,
        model=model,
        shard_rows=shard_rows,
        environment=environment,
        reading=source.options,
        texts=first.texts,
        columns=first.columns,
        schema=schema,
        extension=extension,
        files=tuple(files),
        shards=tuple(_shards(spans, shard_rows)),
        dedupe=dedupe,
    )


def check_inputs(plan: Plan, source: Source) -> None:
    """Raise `InputError` where the input is not what it was when the job was planned; it says which file."""
    planned, found = [file.address for file in plan.files], [address_of(file) for file in source.files]
    if planned != found:
        before, now = set(planned), set(found)
        new, gone = [name for name in found if name not in before], [name for name in planned if name not in now]
        if new:
            what = f"{new[0]} was not among the inputs"
        elif gone:
            what = f"{gone[0]} is not among the inputs any more"
        else:
            what = "the inputs were in another order"
        raise InputError(f"this is not the input that the job was planned for: {what}. {ADVICE}")
    for planned_file in plan.files:
        check_file(planned_file)


ADVICE = "Put it back as it was, or begin another job in another folder"


def check_file(planned: PlannedFile) -> None:
    """Raise `InputError` where a file is not what it was when the job was planned."""
    file = InputFile(planned.address, planned.format)
    size, stamp = stamp_of(file)
    if size != planned.size:
        raise InputError(
            f"{planned.address} has changed since the job was planned: it had {planned.size:,} bytes and has {size:,}. "
            f"{ADVICE}"
        )
    if stamp != planned.stamp and _checksum_at(file, stamp) != planned.checksum:
        raise InputError(f"{planned.address} has changed since the job was planned. {ADVICE}")


def address_of(file: InputFile) -> str:
    """The address of a file that holds wherever the process runs; `InputError` for one with a signature in it."""
    if not is_url(file.address):
        path = local_path(file.address)
        return os.path.abspath(file.address if path is None else path)  # noqa: PTH100 - many times as fast
    if is_web_url(file.address) and without_credentials(file.address) != file.address:
        raise InputError(
            f"the address of {file.name} holds a signature or a token, which the plan of the job would keep: name the "
            "file without it"
        )
    return file.address


def stamp_of(file: InputFile) -> tuple[int, str]:
    """The size of a file in bytes, and a text that changes when it is written to."""
    stamp = file_stamp(file.address)
    return stamp.size, stamp.version


def checksum_of(file: InputFile) -> str:
    """The CRC32C of a file's bytes; of a remote file, which would have to be fetched, the version in its stamp."""
    if file.path is None:
        return f"version:{file_stamp(file.address).version}"
    checksum = 0
    with open_file(file.path, file.name) as opened, opened.errors():
        os.lseek(opened.raw.fileno(), 0, os.SEEK_SET)
        while chunk := os.read(opened.raw.fileno(), _CHUNK):
            checksum = google_crc32c.extend(checksum, chunk)
    return f"crc32c:{checksum:08x}"


@functools.lru_cache(maxsize=1024)
def _checksum_at(file: InputFile, stamp: str) -> str:
    """The checksum of a file with that stamp; a file that was copied, or touched, is not read again for each shard."""
    return checksum_of(file)


@contextlib.contextmanager
def opened_rows(
    file: InputFile, options: ReadingOptions, texts: TextColumns, *, lenient: bool = True
) -> Iterator[RowReader]:
    """Open a file for reading its rows, even those at fault if `lenient`."""
    with open_file(file.address, file.name) as opened:
        yield RowReader(opened=opened, read_as=file.format, options=options, columns=texts, lenient=lenient)


def _check_columns(counted: Counted, first: FirstRows, file: InputFile) -> None:
    block = first.block
    if isinstance(block.carried, JsonRows) != (file.format in ("json", "jsonl")):
        raise InputError(f"{block.name} and {file.name} hold tables and JSON objects: make a job for each kind")
    if counted.schema is not None and counted.rows:
        refuse_other_columns(block.carried, counted.schema.empty_table(), block.name, file.name)


def _spans(index: int, counted: Counted) -> Iterator[Span]:
    """The spans of a file: from its beginning, and from each place where a shard begins."""
    starts = counted.starts
    if counted.rows and (not starts or starts[0].rows):
        starts = [Start(), *starts]
    ends = [*(start.rows for start in starts[1:]), counted.rows]
    for start, end in zip(starts, ends, strict=True) if starts else ():
        yield Span(index, start, end - start.rows)


def _shards(spans: Sequence[Span], shard_rows: int) -> Iterator[Shard]:
    number, taken, rows = 0, list[Span](), 0
    for span in spans:
        taken.append(span)
        rows += span.rows
        if rows == shard_rows:
            yield Shard(number, tuple(taken))
            number, taken, rows = number + 1, [], 0
    if taken:
        yield Shard(number, tuple(taken))
