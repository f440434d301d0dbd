"""Write rows as Parquet."""

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from berthub.tables.block import Block, JsonRows
from berthub.tables.json_columns import JsonColumns
from berthub.tables.results import Column
from berthub.tables.writer import Writer

__all__ = ["ParquetWriter"]

# Row groups of a useful size for readers; what waits for one is in memory.
_ROW_GROUP_BYTES = 1 << 26


class ParquetWriter(Writer):
    """Writes tables of one schema, in row groups of a useful size; plain columns are not compressed."""

    def __init__(self, file: BinaryIO, metadata: Mapping[str, str], *, carries: bool, schema: Any = None) -> None:
        super().__init__(carries=carries)
        self._file, self._metadata = file, metadata
        self._json = JsonColumns(schema)
        self._carried: Any = None
        self._plain: set[str] = set()
        self._writer: Any = None
        self._waiting: list[Any] = []
        self._bytes = 0

    def _begin(self, block: Block) -> None:
        if self._carries:
            carried = block.carried
            self._carried = self._json.table(carried) if isinstance(carried, JsonRows) else carried

    def _write(self, rows: range, columns: Sequence[Column]) -> None:
        self._plain = {column.name for column in columns if column.is_plain}
        if self._carried is None:
            table = pa.table({column.name: column.arrow() for column in columns})
        else:
            table = self._carried.slice(rows.start, len(rows))
            for column in columns:
                table = table.append_column(column.name, column.arrow())
        self._waiting.append(table)
        self._bytes += table.nbytes
        if self._bytes >= _ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write the rows that are left, and the end of the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        # Dictionaries come in one piece a chunk, perhaps a different one.
        table = pa.concat_tables(self._waiting).unify_dictionaries()
        if self._writer is None:
            self._writer = self._open(table.schema)
        self._writer.write_table(table, row_group_size=max(1, len(table)))
        self._waiting, self._bytes = [], 0

    def _open(self, schema: Any) -> Any:
        return pq.ParquetWriter(
            self._file,
            schema.with_metadata(dict(self._metadata)),
            use_dictionary=[name for name in schema.names if name not in self._plain],
            compression={name: "none" if name in self._plain else "snappy" for name in schema.names},
        )
