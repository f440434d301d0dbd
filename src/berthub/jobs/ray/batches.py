"""The batches of Ray Data: tables of Arrow, frames of pandas, and dicts of NumPy arrays.

A batch gives the values of a column, and takes rows away and columns of results on.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from berthub.errors import InputError
from berthub.tables.results import Column, ListColumn, RaggedColumn, VectorColumn

__all__ = ["Batch", "batch_of"]


@dataclass(frozen=True, eq=False)
class Batch(ABC):
    """A batch as Ray Data gave it; `data` is changed by none of the methods."""

    data: Any

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """The names of the columns."""

    @abstractmethod
    def values(self, name: str) -> list[Any]:
        """The values of a column as Python's objects, None where there is none."""

    @abstractmethod
    def with_results(self, rows: Sequence[int] | None, columns: Sequence[Sequence[Column]]) -> Any:
        """The batch with columns of results; with `rows` these rows alone.

        Each item of `columns` is one column, in parts of some rows.
        """


def batch_of(data: Any) -> Batch:
    """The batch for what Ray Data gave; `InputError` for anything else."""
    if isinstance(data, pa.Table):
        return _ArrowBatch(data)
    if isinstance(data, Mapping):
        return _NumpyBatch(data)
    if type(data).__module__.partition(".")[0] == "pandas" and hasattr(data, "columns"):
        return _PandasBatch(data)
    raise InputError(
        f"a batch is a pyarrow.Table, a pandas.DataFrame or a dict of NumPy arrays, not {type(data).__name__}: use "
        "Encode with map_batches, and no other batch_format than these"
    )


class _ArrowBatch(Batch):
    @property
    def names(self) -> list[str]:
        return list(self.data.column_names)

    def values(self, name: str) -> list[Any]:
        values: list[Any] = self.data.column(name).to_pylist()
        return values

    def with_results(self, rows: Sequence[int] | None, columns: Sequence[Sequence[Column]]) -> Any:
        table = self.data if rows is None else self.data.take(pa.array(rows, pa.int64()))
        for parts in columns:
            table = table.append_column(parts[0].name, pa.chunked_array([part.arrow() for part in parts]))
        return table


class _PandasBatch(Batch):
    @property
    def names(self) -> list[str]:
        return list(self.data.columns)

    def values(self, name: str) -> list[Any]:
        series = self.data[name]
        return [None if null else value for value, null in zip(series.tolist(), series.isna().tolist(), strict=True)]

    def with_results(self, rows: Sequence[int] | None, columns: Sequence[Sequence[Column]]) -> Any:
        frame = self.data if rows is None else self.data.iloc[list(rows)]
        made = {parts[0].name: _objects([_rows(part) for part in parts]) for parts in columns}
        return frame.assign(**made)


class _NumpyBatch(Batch):
    @property
    def names(self) -> list[str]:
        return list(self.data)

    def values(self, name: str) -> list[Any]:
        # NaN is what pandas makes of a null; nothing else differs from itself.
        return [None if value != value else value for value in np.asarray(self.data[name]).tolist()]

    def with_results(self, rows: Sequence[int] | None, columns: Sequence[Sequence[Column]]) -> Any:
        chosen = {name: value if rows is None else np.asarray(value)[list(rows)] for name, value in self.data.items()}
        for parts in columns:
            first = parts[0]
            chosen[first.name] = (
                np.concatenate([part.values for part in parts if isinstance(part, VectorColumn)])
                if isinstance(first, VectorColumn)
                else _objects([_rows(part) for part in parts])
            )
        return chosen


def _rows(column: Column) -> Sequence[Any]:
    """The values of a column, row by row: arrays where they are numbers, lists where they are strings."""
    if isinstance(column, VectorColumn):
        return list(column.values)
    if isinstance(column, RaggedColumn):
        ends = np.cumsum(column.lengths).tolist()
        return [column.values[start:end] for start, end in itertools.pairwise([0, *ends])]
    assert isinstance(column, ListColumn)
    return column.values


def _objects(parts: Sequence[Sequence[Any]]) -> Any:
    """An array of objects with one for each row; NumPy would make arrays of equal shapes into one array."""
    values = list(itertools.chain.from_iterable(parts))
    array = np.empty(len(values), object)
    for index, value in enumerate(values):
        array[index] = value
    return array
