"""Write vectors as a .npy file: one array, without the columns of the input."""

from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from berthub.tables.block import Block
from berthub.tables.results import Column, EmptyColumn, NullableColumn, VectorColumn
from berthub.tables.writer import Writer

__all__ = ["NpyWriter"]

_HEADER = 128


class NpyWriter(Writer):
    """Writes a `VectorColumn`. The header is written last, when the number of rows is known."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(carries=False)
        self._file = file
        self._rows = 0
        self._row: Any = None

    def _begin(self, block: Block) -> None:
        pass

    def _write(self, rows: range, columns: Sequence[Column]) -> None:
        (column,) = columns
        if isinstance(column, NullableColumn | EmptyColumn):
            # Rows without a vector have NaN.
            column = column.column
        assert isinstance(column, VectorColumn)
        if self._row is None:
            self._row = column.values[0]
            self._file.write(bytes(_HEADER))
        if len(rows):
            self._file.write(np.ascontiguousarray(column.values).data)
        self._rows += len(rows)

    def close(self) -> None:
        """Write the header."""
        # Version 1.0 of https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, in which the length
        # of the text makes the length of the whole header.
        dtype = np.lib.format.dtype_to_descr(self._row.dtype)
        text = repr({"descr": dtype, "fortran_order": False, "shape": (self._rows, len(self._row))})
        begin = np.lib.format.magic(1, 0) + (_HEADER - 10).to_bytes(2, "little")
        self._file.seek(0)
        self._file.write(begin + text.encode().ljust(_HEADER - 11) + b"\n")
