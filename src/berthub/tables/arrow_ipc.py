"""Read texts from Arrow's own files and streams (.arrow, .feather, .ipc), which hold record batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from berthub.errors import InputError
from berthub.tables.arrow_columns import arrow_texts, check_columns, readable, values_of
from berthub.tables.block import BLOCK_CHARS, BLOCK_ROWS, Block
from berthub.tables.columns import ChosenColumns, TextColumns

__all__ = ["ArrowFile", "open_arrow"]

_KIND = "Arrow"
_FILE = b"ARROW1"
_FEATHER_1 = b"FEA1"


@dataclass(frozen=True, eq=False, kw_only=True)
class ArrowFile:
    """An open file or stream of record batches; one batch is in memory at a time.

    `schema` is that of the blocks. If `lenient`, a row whose text is none is one of the faults of its block.
    """

    file: BinaryIO
    name: str
    chosen: ChosenColumns
    schema: pa.Schema
    lenient: bool
    _reader: Any
    _is_file: bool

    def count(self) -> int:
        """The number of rows. A stream is read to its end for it."""
        if self._is_file:
            with readable(self.name, _KIND):
                return self._reader.count_rows()  # type: ignore[no-any-return]
        return sum(batch.num_rows for batch in self._batches(0))

    def blocks(self, first: int = 0, rows: int | None = None) -> Iterator[Block]:
        """In blocks, `rows` of the rows (None: all) after the `first`; a null is a text of None.

        `begin` and `end` of the blocks are bytes of the file, or of what came from a stream that cannot tell them.
        """
        row, done, left = first, 0, rows
        for group in self._groups(first):
            if left is not None and left <= 0:
                return
            table = pa.Table.from_batches([_plain(batch) for batch in group]).slice(0, left)
            begin, row = row, row + table.num_rows
            start, done = done, self._place(done, table)
            yield self._block(table, begin, start, done)
            left = None if left is None else left - table.num_rows

    def _block(self, table: pa.Table, row: int, begin: int, end: int) -> Block:
        chosen, name = self.chosen, self.name
        faults: dict[int, str] | None = {} if self.lenient else None
        first, *second = (
            arrow_texts(table, column, chosen, name=name, first_row=row + 1, faults=faults) for column in chosen.names
        )
        return Block(
            name=name,
            texts=chosen.texts(first, second[0] if second else None),
            carried=table,
            first_row=row + 1,
            lines=None,
            begin=begin,
            end=end,
            columns=chosen,
            faults=faults or {},
            labels=None if chosen.label is None else values_of(table, chosen.label, name, kind=_KIND),
        )

    def _groups(self, first: int) -> Iterator[list[pa.RecordBatch]]:
        """The batches of each block after the `first` rows: large ones are divided, and small ones taken together."""
        group: list[pa.RecordBatch] = []
        rows = size = 0
        for batch in self._batches(first):
            step = max(1, min(BLOCK_ROWS, BLOCK_CHARS * batch.num_rows // max(1, batch.nbytes)))
            for begin in range(0, batch.num_rows, step):
                part = batch.slice(begin, step)
                if group and (rows + part.num_rows > BLOCK_ROWS or size + part.nbytes > BLOCK_CHARS):
                    yield group
                    group, rows, size = [], 0, 0
                group.append(part)
                rows, size = rows + part.num_rows, size + part.nbytes
        if group:
            yield group

    def _batches(self, first: int) -> Iterator[pa.RecordBatch]:
        """The batches without the `first` rows."""
        count = self._reader.num_record_batches if self._is_file else None
        index = skipped = 0
        while index != count:
            with readable(self.name, _KIND):
                try:
                    batch = self._reader.get_batch(index) if self._is_file else self._reader.read_next_batch()
                except StopIteration:
                    break
                index += 1
                if skipped + batch.num_rows <= first:
                    skipped += batch.num_rows
                    continue
                _check(batch)
            yield batch.slice(first - skipped)
            skipped = first
        if not self._is_file and self.file.read(1):
            raise InputError(
                f"{self.name} holds more after the end of its Arrow stream: are these several streams, one after the "
                "other? Give them as several files"
            )

    def _place(self, done: int, table: pa.Table) -> int:
        """How much of the file has been read, of which `done` was before the table."""
        # The batches of a file may lie in any order.
        return max(done, self.file.tell()) if self.file.seekable() else done + int(table.nbytes)


def open_arrow(file: BinaryIO, name: str, columns: TextColumns, *, lenient: bool = False) -> ArrowFile:
    """Open a file or a stream of record batches, told apart by their first bytes."""
    with readable(name, _KIND):
        start = file.peek(len(_FILE))  # type: ignore[attr-defined]
        is_file = start.startswith(_FILE)
        if start.startswith(_FEATHER_1):
            raise InputError(
                f"{name} is a Feather file of version 1: write it again with version 2, which is Arrow's own"
            )
        if is_file and not file.seekable():
            raise InputError(
                f"{name} gives an Arrow file, which is read from several places: save it, or write a stream"
            )
        reader = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
        schema = reader.schema
    for field in schema:
        if "list_view<" in str(field.type):
            raise InputError(f'the column "{field.name}" of {name} holds {field.type}, which is not read: write lists')
    chosen = columns.chosen(schema.names, name)
    check_columns(schema, chosen, name)
    return ArrowFile(
        file=file,
        name=name,
        chosen=chosen,
        schema=_plain_schema(schema),
        lenient=lenient,
        _reader=reader,
        _is_file=is_file,
    )


def _check(batch: pa.RecordBatch) -> None:
    """Raise Arrow's error for a damaged batch: Arrow trusts offsets, and would read beyond its memory.

    Strings that are no UTF-8 are no damage: the reader of texts names their rows.
    """
    for column in batch.columns:
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            # Offsets are looked at before.
            is_string = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
            if not (is_string and "UTF8" in str(error)):
                raise


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with strings in place of string views, which most of Arrow's functions do not take yet."""
    schema = _plain_schema(batch.schema)
    return batch if schema.types == batch.schema.types else batch.cast(schema)


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_type(_plain_kind(field.type)) for field in schema], metadata=schema.metadata)


def _plain_kind(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_plain_kind(kind.value_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_plain_kind(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain_kind(field.type)) for field in kind])
    return kind
