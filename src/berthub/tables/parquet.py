"""Read texts from Parquet files."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from berthub.tables.arrow_columns import arrow_texts, check_columns, readable, values_of
from berthub.tables.block import BLOCK_CHARS, BLOCK_ROWS, Block
from berthub.tables.columns import ChosenColumns, TextColumns

__all__ = ["open_parquet"]


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
    with readable(name, "Parquet"):
        # Pages are read as they are needed, not whole columns of a row group.
        parquet = pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)
        schema = parquet.schema_arrow
    chosen = columns.chosen(schema.names, name)
    check_columns(schema, chosen, name)
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
        with readable(name, "Parquet"):
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
            labels=None if chosen.label is None else values_of(batch, chosen.label, name, kind="Parquet"),
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
