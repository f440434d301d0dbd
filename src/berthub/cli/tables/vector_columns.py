"""Vectors as CSV or TSV: a column for each dimension, beside the columns of the input."""

from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
import orjson

from berthub.cli.tables.block import Carried
from berthub.cli.tables.separated import CarriedFields, SeparatedRows
from berthub.cli.tables.writer import Writer
from berthub.cli.vectors import Chunk, Request
from berthub.errors import InputError

__all__ = ["VectorColumnsWriter"]


class VectorColumnsWriter(Writer[Sequence[Sequence[str]]]):
    """Writes `COLUMN_0` to `COLUMN_n-1`, each number in the fewest digits that mean it."""

    def __init__(self, file: BinaryIO, request: Request, *, tabs: bool) -> None:
        self._rows = SeparatedRows(file, tabs=tabs)
        self._request = request
        self._carried = CarriedFields()
        self._header_written = False
        self._count = 0

    def prepare(self, carried: Carried | None) -> Sequence[Sequence[str]]:
        """The fields of a block."""
        return () if carried is None else self._carried.fields(carried, f"behind row {self._count:,}")

    def write(self, carried: Sequence[Sequence[str]], rows: slice, chunk: Chunk) -> None:
        """Write the vectors of some rows of a block, below a header."""
        if not self._header_written:
            self._write_header(chunk.vectors.shape[1])
        for index, vector in enumerate(np.ascontiguousarray(chunk.vectors)):
            self._count += 1
            fields = carried[rows.start + index] if carried else ()
            numbers = orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
            self._rows.row(f"row {self._count:,}", fields, numbers)

    def close(self) -> None:
        """Nothing is left."""

    def _write_header(self, width: int) -> None:
        names = [f"{self._request.column}_{index}" for index in range(width)]
        clash = {*names} & {*self._carried.names}
        if clash:
            raise InputError(
                f'the input has a column "{min(clash)}" already, which is what a dimension would be called: rename it, '
                "or use --vectors-column NAME"
            )
        self._rows.row("the header", [*self._carried.names, *names])
        self._header_written = True
