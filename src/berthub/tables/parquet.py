"""Read texts from Parquet files."""

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from berthub.errors import InputError
from berthub.tables.block import BLOCK_CHARS, BLOCK_ROWS, Block
from berthub.tables.columns import ChosenColumns, TextColumns, not_a_text

__all__ = ["arrow_texts", "open_parquet"]


def open_parquet(
    file: BinaryIO,
    name: str,
    columns: TextColumns,
    *,
    first: int = 0,
    rows: int | None = None,
    lenient: bool = False,
) -> tuple[int, pa.Schema, Iterator[Block]]:
    """The number of rows of the file, its columns, and in blocks `rows` of them (None: all) after the `first`.

    A null is a text of None.
    """
    with _readable(name):
        # Pages are read as they are needed, not whole columns of a row group.
        parquet = pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)
        schema = parquet.schema_arrow
    chosen = columns.chosen(schema.names, name)
    for column in chosen.names:
        kind = schema.field(column).type
        if not (_is_string(kind) or (chosen.words and _is_words(kind))):
            wanted = "neither words nor strings" if chosen.words else "not strings"
            raise InputError(f'the column "{column}" of {name} holds {kind}, {wanted}; name another with --text-column')
    total = parquet.metadata.num_rows
    span = range(first, total if rows is None else min(total, first + rows))
    return total, schema, _blocks(parquet, name, chosen, span, lenient=lenient)


def _blocks(parquet: Any, name: str, chosen: ChosenColumns, wanted: range, *, lenient: bool) -> Iterator[Block]:
    metadata = parquet.metadata
    groups, row = _row_groups(metadata, wanted)
    size = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    average = max(1, size // max(1, metadata.num_rows))
    batches = parquet.iter_batches(batch_size=max(1, min(BLOCK_ROWS, BLOCK_CHARS // average)), row_groups=groups)
    while row < wanted.stop:
        with _readable(name):
            batch = next(batches, None)
        if batch is None:
            return
        begin, row = row, row + batch.num_rows
        batch = batch.slice(max(0, wanted.start - begin))
        batch = batch.slice(0, max(0, batch.num_rows - max(0, row - wanted.stop)))
        if not batch.num_rows:
            continue
        begin = max(begin, wanted.start)
        faults: dict[int, str] | None = {} if lenient else None
        first, *second = (
            arrow_texts(batch, column, chosen, name=name, first_row=begin + 1, faults=faults) for column in chosen.names
        )
        yield Block(
            name=name,
            texts=chosen.texts(first, second[0] if second else None),
            carried=pa.Table.from_batches([batch]),
            first_row=begin + 1,
            lines=None,
            begin=begin,
            end=begin + batch.num_rows,
            columns=chosen,
            faults=faults or {},
            labels=None if chosen.label is None else _values(batch, chosen.label, name),
        )


def _row_groups(metadata: Any, wanted: range) -> tuple[list[int], int]:
    """The row groups that hold the rows, and the number of the rows before the first of them."""
    groups: list[int] = []
    before = row = 0
    for index in range(metadata.num_row_groups):
        begin, row = row, row + metadata.row_group(index).num_rows
        if row > wanted.start and begin < wanted.stop:
            before = before if groups else begin
            groups.append(index)
    return groups, before


def arrow_texts(
    batch: Any, column: str, chosen: ChosenColumns, *, name: str, first_row: int, faults: dict[int, str] | None
) -> list[Any]:
    """The texts of a column, None for a null; what is no text is an `InputError`, or goes to `faults` by its index."""
    try:
        values = batch.column(column).to_pylist()
    except UnicodeDecodeError:
        values = [_decoded(value) for value in batch.column(column)]
    for index, value in enumerate(values):
        if value is not None and not chosen.accepts(value):
            place = f"{name}, row {first_row + index}"
            error = (
                InputError(f'{place}: "{column}" is no valid UTF-8; write the file again, or leave the row out')
                if isinstance(value, bytes)
                else not_a_text(place, column, value, words=chosen.words)
            )
            if faults is None:
                raise error
            faults.setdefault(index, str(error))
            values[index] = None
    return values  # type: ignore[no-any-return]


def _decoded(value: Any) -> Any:
    """The value; the bytes of a string, or of a list's first one, that is no valid UTF-8."""
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return b"" if not hasattr(value, "as_buffer") else value.as_buffer().to_pybytes()


def _values(batch: Any, column: str, name: str) -> list[Any]:
    with _readable(name):
        return batch.column(column).to_pylist()  # type: ignore[no-any-return]


def _is_words(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind)) and _is_string(kind.value_type)


def _is_string(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name} is no Parquet file, or a damaged one: {error}") from error
