"""Embed a column of a data frame: `hub.embed_column`."""

import os
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import pyarrow as pa

from berthub.encoding.encoder import Encoder
from berthub.encoding.load import load
from berthub.errors import InputError
from berthub.integrations.vector_array import vector_array

__all__ = ["embed_column"]

Frame = TypeVar("Frame")


def embed_column(
    frame: Frame,
    column: str,
    *,
    model: Encoder | str | os.PathLike[str] | None = None,
    into: str = "embedding",
    **options: Any,
) -> Frame:
    """A data frame with one more column, the vectors of the texts in `column`.

    `frame` is a DataFrame of pandas or Polars or a Table of pyarrow, and so is the result; `frame` itself stays as it
    is. The new column, called `into`, holds float32 lists of one fixed size: Polars' Array, Arrow's fixed_size_list,
    and in pandas that as an ArrowDtype. The vector of a missing text is missing, too.

    `model` is an encoder, or a handle as `berthub.load` takes it, then loaded for this call alone; None is the default
    model. `options` are those of `Encoder.embed`, such as normalize or window. `InputError` for a column that is
    not there or holds something other than texts, for a name that is taken, and for a LazyFrame.

        frame = hub.embed_column(frame, "text", model=bert)
    """
    kind = _kind(frame)
    names, texts = _texts(frame, kind, column)
    if into in names:
        raise InputError(f"the frame has a column {into!r} already: give the new one another name, into=...")
    encoder = model if isinstance(model, Encoder) else load(model)
    vectors = vector_array(encoder, texts, options, of=f"column {column!r}")
    made: Frame = _with_column(frame, kind, into, vectors)
    return made


def _kind(frame: Any) -> str:
    """Which library the frame is of; none is imported, since whoever has a frame has its library."""
    if isinstance(frame, pa.Table):
        return "pyarrow"
    for name in ("pandas", "polars"):
        library: Any = sys.modules.get(name)
        if library is not None and isinstance(frame, library.DataFrame):
            return name
        if name == "polars" and library is not None and isinstance(frame, library.LazyFrame):
            raise InputError("a LazyFrame has no texts yet: embed_column(frame.collect(), ...)")
    kind = type(frame)
    raise InputError(
        "embed_column takes a DataFrame of pandas or Polars or a Table of pyarrow, "
        f"not {kind.__module__.partition('.')[0]}'s {kind.__qualname__}"
    )


def _texts(frame: Any, kind: str, column: str) -> tuple[Sequence[Any], list[Any]]:
    """The names of all columns, and the values of one, None where there is none."""
    names = frame.column_names if kind == "pyarrow" else list(frame.columns)
    if (count := names.count(column)) != 1:
        known = ", ".join(map(repr, names[:20])) + (" ..." if len(names) > 20 else "")
        raise InputError(f"the frame has {count or 'no'} columns {column!r}; its columns are: {known}")
    values = frame[column]
    match kind:
        case "pandas":
            return names, [None if no else value for no, value in zip(values.isna(), values, strict=True)]
        case "polars":
            return names, values.to_list()
        case _:
            return names, values.to_pylist()


def _with_column(frame: Any, kind: str, name: str, vectors: pa.FixedSizeListArray) -> Any:
    library: Any = sys.modules[kind]
    match kind:
        case "pandas":
            # Shallow: the columns are shared, and adding one does not change the frame that it was made of.
            made = frame.copy(deep=False)
            made[name] = library.arrays.ArrowExtensionArray(vectors)
            return made
        case "polars":
            return frame.with_columns(library.from_arrow(vectors).alias(name))
        case _:
            return frame.append_column(name, vectors)
