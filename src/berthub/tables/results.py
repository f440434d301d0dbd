"""Columns of results, which are written beside the columns of the input in every format.

There is one class for each kind of value, and it says how the value looks in Parquet, in JSON and in CSV or TSV.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

__all__ = [
    "Column",
    "EmptyColumn",
    "ListColumn",
    "NullableColumn",
    "NumberColumn",
    "RaggedColumn",
    "ShareColumn",
    "TextColumn",
    "VectorColumn",
]


@dataclass(frozen=True, eq=False, kw_only=True)
class Column(ABC):
    """A named column of results, with one value for each of some rows."""

    name: str

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    def is_plain(self) -> bool:
        """Whether Parquet should store the values as they are, because they neither repeat nor compress."""
        return False

    @property
    def field_names(self) -> list[str]:
        """The names of its fields in a CSV or TSV file; most columns have one."""
        return [self.name]

    @abstractmethod
    def arrow(self) -> Any:
        """The values as an array of Arrow."""

    @abstractmethod
    def json_values(self) -> Iterator[Any]:
        """The values as orjson takes them."""

    def fields(self) -> Iterator[Sequence[str]]:
        """The fields of each row, for CSV and TSV."""
        return itertools.repeat(())

    def numbers(self) -> Iterator[bytes]:
        """More fields of each row: many numbers with commas between them, which are not looked at one by one."""
        return itertools.repeat(b"")


@dataclass(frozen=True, eq=False, kw_only=True)
class TextColumn(Column):
    """A string for each row."""

    values: Sequence[str]

    def __len__(self) -> int:
        return len(self.values)

    def arrow(self) -> Any:
        """An array of strings."""
        return pa.array(self.values, pa.string())

    def json_values(self) -> Iterator[Any]:
        """The strings."""
        return iter(self.values)

    def fields(self) -> Iterator[Sequence[str]]:
        """The strings."""
        return ((value,) for value in self.values)


@dataclass(frozen=True, eq=False, kw_only=True)
class NumberColumn(Column):
    """A number for each row: [n]."""

    values: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)

    def arrow(self) -> Any:
        """An array of the same type."""
        return pa.array(self.values)

    def json_values(self) -> Iterator[Any]:
        """The numbers."""
        return iter(self.values)

    def fields(self) -> Iterator[Sequence[str]]:
        """The shortest digits that mean the number in its type."""
        return ((str(value),) for value in self.values)


@dataclass(frozen=True, eq=False, kw_only=True)
class ListColumn(Column):
    """A list of strings for each row; a field of CSV or TSV is one string with `separator` in between."""

    values: Sequence[Sequence[str]]
    separator: str = " "

    def __len__(self) -> int:
        return len(self.values)

    def arrow(self) -> Any:
        """An array of lists."""
        return pa.array(self.values, pa.list_(pa.string()))

    def json_values(self) -> Iterator[Any]:
        """The lists."""
        return iter(self.values)

    def fields(self) -> Iterator[Sequence[str]]:
        """The joined strings."""
        return ((self.separator.join(value),) for value in self.values)


@dataclass(frozen=True, eq=False, kw_only=True)
class VectorColumn(Column):
    """A vector for each row: [n, width]. In CSV and TSV each of its components has a field."""

    values: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_plain(self) -> bool:
        """Floating-point vectors neither repeat nor compress."""
        return True

    @property
    def field_names(self) -> list[str]:
        """`NAME_0` to `NAME_n-1`."""
        return [f"{self.name}_{index}" for index in range(self.values.shape[1])]

    def arrow(self) -> Any:
        """An array of lists of fixed size."""
        return _fixed_size_lists(self.values)

    def json_values(self) -> Iterator[Any]:
        """The vectors."""
        return iter(np.ascontiguousarray(self.values))

    def numbers(self) -> Iterator[bytes]:
        """Each component in the fewest digits that mean it."""
        return (orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1] for row in self.json_values())


@dataclass(frozen=True, eq=False, kw_only=True)
class RaggedColumn(Column):
    """Some vectors for each row: [t, width], of which the first `lengths[0]` belong to the first row, and so on.

    CSV and TSV have no place for them.
    """

    values: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def is_plain(self) -> bool:
        """Floating-point vectors neither repeat nor compress."""
        return bool(self.values.dtype.kind == "f")

    def arrow(self) -> Any:
        """An array of lists of lists of fixed size."""
        return pa.ListArray.from_arrays(pa.array(_splits(self.lengths), pa.int32()), _fixed_size_lists(self.values))

    def json_values(self) -> Iterator[Any]:
        """A matrix for each row."""
        values = np.ascontiguousarray(self.values)
        return (values[start:end] for start, end in itertools.pairwise(_splits(self.lengths).tolist()))


@dataclass(frozen=True, eq=False, kw_only=True)
class ShareColumn(Column):
    """A number for each of `labels`: [n, labels], in Parquet and JSON by name; in CSV and TSV each has a field.

    With `lengths` each row has several of them, as in `RaggedColumn`: [t, labels].
    """

    values: npt.NDArray[Any]
    labels: Sequence[str]
    field_prefix: str
    lengths: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.values if self.lengths is None else self.lengths)

    @property
    def field_names(self) -> list[str]:
        """The prefix with each label."""
        return [f"{self.field_prefix}{label}" for label in self.labels]

    def arrow(self) -> Any:
        """An array of structs, or of lists of structs."""
        columns = [pa.array(np.ascontiguousarray(column)) for column in self.values.T]
        structs = pa.StructArray.from_arrays(columns, names=list(self.labels))
        if self.lengths is None:
            return structs
        return pa.ListArray.from_arrays(pa.array(_splits(self.lengths), pa.int32()), structs)

    def json_values(self) -> Iterator[Any]:
        """An object for each row, or a list of them."""
        objects = (dict(zip(self.labels, row, strict=True)) for row in self.values)
        if self.lengths is None:
            return objects
        return (list(itertools.islice(objects, length)) for length in self.lengths.tolist())

    def fields(self) -> Iterator[Sequence[str]]:
        """The shortest digits that mean each number in its type."""
        return (tuple(map(str, row)) for row in self.values)


@dataclass(frozen=True, eq=False, kw_only=True)
class NullableColumn(Column):
    """A column that has no value in some rows: `missing` bool [n]; a null, an empty field, NaN in an array."""

    column: Column
    missing: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, column: Column, missing: npt.NDArray[np.bool_]) -> Column:
        """The column without the values of some rows."""
        if isinstance(column, VectorColumn):
            values = column.values.copy()
            values[missing] = np.nan
            column = replace(column, values=values)
        return cls(name=column.name, column=column, missing=missing)

    def __len__(self) -> int:
        return len(self.column)

    @property
    def is_plain(self) -> bool:
        """As the column is."""
        return self.column.is_plain

    @property
    def field_names(self) -> list[str]:
        """As the column's."""
        return self.column.field_names

    def arrow(self) -> Any:
        """An array with nulls."""
        # Its import alone takes a tenth of the start of the command, and few files have such columns.
        import pyarrow.compute as pc

        values = self.column.arrow()
        return pc.if_else(pa.array(~self.missing), values, pa.scalar(None, values.type))

    def json_values(self) -> Iterator[Any]:
        """The values, and None."""
        for value, missing in zip(self.column.json_values(), self.missing, strict=True):
            yield None if missing else value

    def fields(self) -> Iterator[Sequence[str]]:
        """The fields, and empty ones."""
        for fields, missing in zip(self.column.fields(), self.missing, strict=False):
            yield ("",) * len(fields) if missing else fields

    def numbers(self) -> Iterator[bytes]:
        """The numbers, and empty fields."""
        for numbers, missing in zip(self.column.numbers(), self.missing, strict=False):
            yield b"," * numbers.count(b",") if missing else numbers


@dataclass(frozen=True, eq=False, kw_only=True)
class EmptyColumn(Column):
    """A column like another one, without rows."""

    column: Column

    def __len__(self) -> int:
        return 0

    @property
    def is_plain(self) -> bool:
        """As the column is."""
        return self.column.is_plain

    @property
    def field_names(self) -> list[str]:
        """As the column's."""
        return self.column.field_names

    def arrow(self) -> Any:
        """An empty array of the column's type."""
        return self.column.arrow()[:0]

    def json_values(self) -> Iterator[Any]:
        """Nothing."""
        return iter(())


def _splits(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


def _fixed_size_lists(array: npt.NDArray[Any]) -> Any:
    return pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), array.shape[1])
