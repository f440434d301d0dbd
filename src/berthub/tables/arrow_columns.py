"""The columns of texts and of labels in Arrow data, whichever file they came from."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from berthub.errors import InputError
from berthub.tables.columns import ChosenColumns, not_a_text

__all__ = ["arrow_texts", "check_columns", "readable", "values_of"]


def check_columns(schema: pa.Schema, chosen: ChosenColumns, name: str) -> None:
    """Raise `InputError` where a column that should hold texts holds something else."""
    for column in chosen.names:
        kind = schema.field(column).type
        if not (_is_string(kind) or (chosen.words and _is_words(kind))):
            wanted = "neither words nor strings" if chosen.words else "not strings"
            raise InputError(f'the column "{column}" of {name} holds {kind}, {wanted}; name another with --text-column')


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


def values_of(rows: Any, column: str, name: str, *, kind: str) -> list[Any]:
    """The values of a column of a batch or table, as Python has them."""
    with readable(name, kind):
        return rows.column(column).to_pylist()  # type: ignore[no-any-return]


@contextlib.contextmanager
def readable(name: str, kind: str) -> Iterator[None]:
    """Turn Arrow's errors into an `InputError` that names the file and the kind that it should be of."""
    try:
        yield
    except MemoryError as error:
        # What a damaged length asks for.
        raise InputError(f"{name} is a damaged {kind} file, or its parts are too large for the memory") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name} is no {kind} file, or a damaged one: {error}") from error


def _is_words(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind)) and _is_string(kind.value_type)


def _is_string(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
