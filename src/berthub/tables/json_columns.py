"""Convert JSON objects to columns of one type each, and columns to JSON objects, without loss."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from berthub.errors import InputError
from berthub.tables.block import JsonRows

__all__ = ["JsonColumns", "json_objects", "json_schema"]

_ADVICE = "write JSON lines instead (-o FILE.jsonl), which carry every row as it is, or use --drop-columns"


class JsonColumns:
    """Turns rows into tables of one schema, which is given, or which the first rows decide.

    A key that a row lacks is null in it. A key or a value that the schema has no place for raises `InputError`.
    """

    def __init__(self, schema: Any = None) -> None:
        self._schema = schema
        self._rows = 0

    def table(self, rows: JsonRows) -> Any:
        """The rows as a table; the first ones given set the schema."""
        if self._schema is None:
            self._schema = json_schema(rows)
            self._rows = len(rows.objects)
        known = set(self._schema.names)
        new = [name for name in rows.column_names if name not in known]
        if new:
            index = next(index for index, values in enumerate(rows.objects) if new[0] in values)
            raise InputError(
                f'line {rows.places[index]}: the key "{new[0]}" is in none of {self._first}, which '
                f"decide about the columns; {_ADVICE}"
            )
        columns = [self._column(field.name, field.type, rows) for field in self._schema]
        return pa.Table.from_arrays(columns, schema=self._schema)

    def _column(self, name: str, kind: Any, rows: JsonRows) -> Any:
        values = [values.get(name) for values in rows.objects]
        if _fits(values, kind):
            return pa.array(values, kind)
        index = next((index for index, value in enumerate(values) if not _fits([value], kind)), 0)
        raise InputError(
            f'line {rows.places[index]}: "{name}" is no value of type {kind}, which it is in {self._first}, '
            f"and those decide about types; {_ADVICE}"
        )

    @property
    def _first(self) -> str:
        return f"the first {self._rows:,} rows" if self._rows else "the first rows of the input"


def json_schema(rows: JsonRows) -> Any:
    """The names and types of the columns that hold the rows; `InputError` where values are of no one type."""
    names = rows.column_names
    return pa.schema([(name, _inferred(name, rows)) for name in names])


def _inferred(name: str, rows: JsonRows) -> Any:
    column = [values.get(name) for values in rows.objects]
    kind = _type_of(column)
    if kind is not None:
        return kind
    # The first row up to which no type will do.
    count = next(count for count in range(1, len(column) + 1) if _type_of(column[:count]) is None)
    raise InputError(
        f'line {rows.places[count - 1]}: the values of "{name}" up to here are of no one type that Parquet has; '
        f"{_ADVICE}"
    )


def _type_of(values: Sequence[Any]) -> Any:
    try:
        return pa.array(values).type
    except (pa.ArrowException, OverflowError):
        return None


def _fits(values: Sequence[Any], wanted: Any) -> bool:
    """Whether a column of this type holds the values as they are: null, narrower, or objects of fewer keys."""
    try:
        # The conversion alone would pass over keys that a struct does not have.
        schemas = [pa.schema({"x": wanted}), pa.schema({"x": pa.array(values).type})]
        unified = pa.unify_schemas(schemas, promote_options="permissive").field("x").type
        return bool(unified == wanted) and len(pa.array(values, wanted)) == len(values)
    except (pa.ArrowException, OverflowError):
        return False


def json_objects(table: Any) -> list[dict[str, Any]]:
    """The rows of a table as objects; dates and times become text, and `InputError` names what cannot."""
    for index, field in enumerate(table.schema):
        if pa.types.is_date(field.type) or pa.types.is_time(field.type) or pa.types.is_timestamp(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(pa.string()))
        elif not _is_json(field.type):
            raise InputError(
                f'the column "{field.name}" holds {field.type}, for which JSON has no form: write Parquet instead '
                "(-o FILE.parquet), or use --drop-columns"
            )
    return table.to_pylist()  # type: ignore[no-any-return]


def _is_json(kind: Any) -> bool:
    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _is_json(kind.value_type)
    if types.is_dictionary(kind):
        return _is_json(kind.value_type)
    if types.is_struct(kind):
        return all(_is_json(field.type) for field in kind)
    return any(
        check(kind)
        for check in (
            types.is_null,
            types.is_boolean,
            types.is_integer,
            types.is_floating,
            types.is_string,
            types.is_large_string,
            types.is_string_view,
        )
    )
