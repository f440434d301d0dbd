"""Write the file of one shard: its results appear under their name at once, and whole."""

import errno
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from berthub.choices import InputFormat
from berthub.errors import InputError, WriteError
from berthub.jobs.computation import Computation
from berthub.jobs.folder import JobFolder
from berthub.jobs.plan import Plan, Shard
from berthub.jobs.records import Finished, ShardRecord, record_name
from berthub.jobs.step import Step
from berthub.tables.block import Block, JsonRows
from berthub.tables.missing import Tally
from berthub.tables.results import Column, NullableColumn
from berthub.tables.writer import refuse_clash
from berthub.tables.writing import CarriedColumns, create_writer

__all__ = ["ShardFile", "size_and_hash"]

_CHUNK = 1 << 20


class ShardFile:
    """The file of a shard while it is written; `commit` gives it its name, `discard` removes it."""

    def __init__(self, plan: Plan, shard: Shard, *, computation: Computation, folder: JobFolder) -> None:
        self._plan, self._shard, self._folder = plan, shard, folder
        self._counts = Counter[str]()
        self._errors: list[Mapping[str, Any]] = []
        self._block: Block | None = None
        self._row = 0
        self.name = plan.name_of(shard)
        self._context = folder.written(self.name)
        self._file: BinaryIO = self._context.__enter__()
        self._computation = computation
        self._writer = create_writer(
            plan.task["to"],
            self._file,
            carries=computation.carried,
            source=_only_format(plan),
            metadata={**computation.metadata, "berthub.plan": plan.id, "berthub.shard": str(shard.number)},
            columns=CarriedColumns(plan.columns, plan.schema),
        )

    def begin(self, block: Block) -> None:
        """Take a block, whose results are written next; `InputError` where the format cannot hold its columns."""
        if self._computation.carried:
            refuse_clash(block.carried.column_names, self._computation.ways_out)
        self._writer.begin(block)
        self._block, self._row = block, 0
        empty = sum(_is_empty(text) for index, text in enumerate(block.texts) if index not in block.faults)
        self._counts["empty"] += empty

    def write(self, columns: Sequence[Column], step: Step) -> None:
        """Write the next results; rows that failed have none."""
        assert self._block is not None
        begin, self._row = self._row, self._row + step.rows
        faults = self._block.faults
        failures = {**step.failures, **{index - begin: faults[index] for index in faults if begin <= index < self._row}}
        if failures:
            missing = np.zeros(step.rows, np.bool_)
            missing[list(failures)] = True
            columns = [NullableColumn.of(column, missing) for column in columns]
            for index in sorted(failures):
                name, row, line = self._block.origin(begin + index)
                error = {"file": name, "row": row, "line": line, "error": failures[index]}
                self._errors.append(error)
        self._writer.write(columns)
        self._counts["written"] += step.rows
        self._counts["truncated"] += step.truncated
        self._counts["tokens"] += step.tokens

    def commit(self, tally: Tally) -> ShardRecord:
        """Write what is known of the shard, and then give the file its name; that finishes the shard."""
        try:
            if not self._counts["written"]:
                self._write_empty()
            self._writer.close()
            self._file.flush()
            size, digest = size_and_hash(self._file)
            left_out = self._shard.rows - self._counts["written"]
            if left_out and left_out != (tally.rows if tally.missing == "skip" else 0):
                raise InputError(
                    f"shard {self._shard.number} has {self._shard.rows:,} rows and only {self._counts['written']:,} "
                    "were read: the input has changed since the job was planned"
                )
            record = ShardRecord(
                number=self._shard.number,
                file=self.name,
                rows=self._shard.rows,
                left_out=left_out,
                failed=len(self._errors),
                errors=tuple(self._errors),
                size=size,
                sha256=digest,
                written=self._counts["written"],
                empty=self._counts["empty"],
                truncated=self._counts["truncated"],
                tokens=self._counts["tokens"],
            )
            return self._named(record)
        except BaseException:
            self.discard()
            raise

    def _named(self, record: ShardRecord) -> ShardRecord:
        try:
            self._folder.write(record_name(self._shard.number), record.to_bytes())
            self._context.__exit__(None, None, None)
        except WriteError as error:
            # Another runner took this one for dead, has computed the shard, finished the job, and swept the folder.
            finished = Finished(self._folder, self._plan).record(self._shard)
            if error.errno != errno.ENOENT or finished is None:
                raise
            self.discard()
            return finished
        return record

    def _write_empty(self) -> None:
        """Write a file without rows: all were left out."""
        carried = JsonRows([], [], []) if self._plan.schema is None else self._plan.schema.empty_table()
        text: Any = ["a"] if self._computation.words else "a"
        block = Block(name="", texts=[text], carried=carried, first_row=1, lines=None, begin=0, end=0)
        columns, _ = next(iter(self._computation.compute(block)))
        self._writer.write_empty(block, columns)

    def discard(self) -> None:
        """Remove the file, unless it has its name."""
        reason = _DiscardedError()
        self._context.__exit__(_DiscardedError, reason, None)


class _DiscardedError(Exception):
    pass


def _only_format(plan: Plan) -> InputFormat | None:
    formats = {file.format for file in plan.files}
    return formats.pop() if len(formats) == 1 else None


def _is_empty(text: Any) -> bool:
    return not text or text == ("", "")


def size_and_hash(file: BinaryIO) -> tuple[int, str]:
    """The size of a file in bytes, and its SHA-256."""
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()
