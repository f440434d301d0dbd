"""Vectors and the columns beside them, written as they come."""

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from berthub.choices import OutputFormat
from berthub.cli.tables.block import Carried, JsonRows
from berthub.cli.tables.destination import Destination
from berthub.cli.tables.json_columns import JsonColumns, json_objects
from berthub.cli.tables.vector_columns import VectorColumnsWriter
from berthub.cli.tables.writer import Writer
from berthub.cli.vectors import Chunk, Request

__all__ = ["RowGroups", "Writer", "create_writer", "json_texts"]

# Row groups of a useful size for readers; what waits for one is in memory.
_ROW_GROUP_BYTES = 1 << 26
_NPY_HEADER = 128


def create_writer(
    destination: Destination[OutputFormat], file: BinaryIO, request: Request, metadata: Mapping[str, str]
) -> Writer[Any]:
    """The writer for the destination's format; `metadata` goes where the format has a place for it."""
    match destination.format:
        case "parquet":
            return _ParquetWriter(file, request, metadata)
        case "jsonl":
            return _JsonLinesWriter(file, request)
        case "npy":
            return _NpyWriter(file)
        case "csv" | "tsv":
            return VectorColumnsWriter(file, request, tabs=destination.format == "tsv")


class RowGroups:
    """Writes tables of one schema to a Parquet file, in row groups of a useful size; `plain` columns uncompressed."""

    def __init__(self, file: BinaryIO, metadata: Mapping[str, str], *, plain: Sequence[str] = ()) -> None:
        self._file, self._metadata, self._plain = file, metadata, plain
        self._writer: Any = None
        self._waiting: list[Any] = []
        self._bytes = 0

    def add(self, table: Any) -> None:
        """Write the rows, or keep them until there are more."""
        self._waiting.append(table)
        self._bytes += table.nbytes
        if self._bytes >= _ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the end of the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        # Dictionaries come in one piece a chunk, perhaps a different one.
        table = pa.concat_tables(self._waiting).unify_dictionaries()
        if self._writer is None:
            self._writer = self._open(table.schema)
        self._writer.write_table(table, row_group_size=len(table))
        self._waiting, self._bytes = [], 0

    def _open(self, schema: Any) -> Any:
        return pq.ParquetWriter(
            self._file,
            schema.with_metadata(dict(self._metadata)),
            use_dictionary=[name for name in schema.names if name not in self._plain],
            compression={name: "none" if name in self._plain else "snappy" for name in schema.names},
        )


class _ParquetWriter(Writer[Any]):
    def __init__(self, file: BinaryIO, request: Request, metadata: Mapping[str, str]) -> None:
        self._request = request
        self._json = JsonColumns()
        # Floating-point vectors neither repeat nor compress.
        self._groups = RowGroups(file, metadata, plain=[request.column])

    def prepare(self, carried: Carried | None) -> Any:
        return self._json.table(carried) if isinstance(carried, JsonRows) else carried

    def write(self, carried: Any, rows: slice, chunk: Chunk) -> None:
        added = _arrow_columns(self._request, chunk)
        if carried is None:
            table = pa.table(added)
        else:
            table = carried.slice(rows.start, rows.stop - rows.start)
            for name, column in added.items():
                table = table.append_column(name, column)
        self._groups.add(table)

    def close(self) -> None:
        self._groups.close()


def _arrow_columns(request: Request, chunk: Chunk) -> dict[str, Any]:
    vectors = _fixed_size_lists(chunk.vectors)
    if chunk.tokens is None:
        return {request.column: vectors}
    splits = pa.array(np.concatenate([np.zeros(1, np.int64), np.cumsum(chunk.lengths)]), pa.int32())
    offsets = _fixed_size_lists(np.concatenate(chunk.tokens.offsets))
    return {
        request.column: pa.ListArray.from_arrays(splits, vectors),
        "tokens": pa.array(chunk.tokens.pieces, pa.list_(pa.string())),
        "offsets": pa.ListArray.from_arrays(splits, offsets),
    }


def _fixed_size_lists(array: Any) -> Any:
    return pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), array.shape[1])


class _JsonLinesWriter(Writer[Sequence[bytes]]):
    """Carries a row as the text of its object, which for rows that came as JSON is the one they came with."""

    def __init__(self, file: BinaryIO, request: Request) -> None:
        self._file, self._request = file, request

    def prepare(self, carried: Carried | None) -> Sequence[bytes]:
        return () if carried is None else json_texts(carried)

    def write(self, carried: Sequence[bytes], rows: slice, chunk: Chunk) -> None:
        end = 0
        for index, length in enumerate(chunk.lengths.tolist()):
            begin, end = end, end + length
            if chunk.tokens is None:
                added: dict[str, Any] = {self._request.column: chunk.vectors[index]}
            else:
                added = {
                    self._request.column: chunk.vectors[begin:end],
                    "tokens": chunk.tokens.pieces[index],
                    "offsets": np.ascontiguousarray(chunk.tokens.offsets[index]),
                }
            text = _json(added)
            line = carried[rows.start + index][:-1] + b"," + text[1:] if carried else text
            self._file.write(line + b"\n")

    def close(self) -> None:
        pass


def json_texts(carried: Carried) -> list[bytes]:
    """Each row as the text of a JSON object; rows that came as JSON are as they came."""
    if isinstance(carried, JsonRows):
        return [raw.strip() for raw in carried.raw]
    return [_json(values) for values in json_objects(carried)]


def _json(values: Mapping[str, Any]) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)


class _NpyWriter(Writer[None]):
    """A header's place is kept free until the number of rows is known."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rows = 0
        self._row: Any = None

    def prepare(self, carried: Carried | None) -> None:
        return None

    def write(self, carried: None, rows: slice, chunk: Chunk) -> None:
        if self._row is None:
            self._row = chunk.vectors[0]
            self._file.write(bytes(_NPY_HEADER))
        self._file.write(np.ascontiguousarray(chunk.vectors).data)
        self._rows += len(chunk.vectors)

    def close(self) -> None:
        # Version 1.0 of https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, in which the length
        # of the text makes the length of the whole header.
        dtype = np.lib.format.dtype_to_descr(self._row.dtype)
        text = repr({"descr": dtype, "fortran_order": False, "shape": (self._rows, len(self._row))})
        begin = np.lib.format.magic(1, 0) + (_NPY_HEADER - 10).to_bytes(2, "little")
        self._file.seek(0)
        self._file.write(begin + text.encode().ljust(_NPY_HEADER - 11) + b"\n")
