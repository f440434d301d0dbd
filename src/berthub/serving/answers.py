"""Answers: JSON, made in chunks so that nothing else waits long, `.npy` bytes, and Arrow streams."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from berthub.engines.engine import Floats

__all__ = ["Answer", "arrow_bytes", "as_json", "chunked", "json_answer", "list_answer", "npy_bytes"]

_JSON = "application/json"
# How many floats are made to text at a time, in about a millisecond: Python does nothing else meanwhile.
_FLOATS = 1 << 16

Body = bytes | Iterator[bytes]


@dataclass(frozen=True, eq=False)
class Answer:
    """An answer. A `body` that is no bytes is made chunk by chunk, in another thread, while it is sent."""

    body: Body
    media_type: str = _JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(value: Any) -> bytes:
    """A value as JSON; arrays of NumPy are lists."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def json_answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A small value as JSON."""
    return Answer(as_json(value), status=status, headers=headers or {})


def list_answer(
    rows: Sequence[Any] | Floats,
    *,
    write: Callable[[int, Any], bytes],
    floats: int,
    before: bytes = b"[",
    after: bytes = b"]",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """A JSON list in the middle of an answer: each of the `rows` as `write` writes it, with its number.

    `floats` is about how many numbers all rows have: with few the answer is made at once.
    """
    if floats <= _FLOATS:
        return Answer(
            b"".join([before, b",".join(write(index, row) for index, row in enumerate(rows)), after]),
            headers=headers or {},
        )
    step = max(1, _FLOATS * len(rows) // floats)

    def chunks() -> Iterator[bytes]:
        yield before
        for start in range(0, len(rows), step):
            part = b",".join(write(start + place, row) for place, row in enumerate(rows[start : start + step]))
            yield b"," + part if start else part
        yield after

    return Answer(chunks(), headers=headers or {})


async def chunked(body: Iterator[bytes], pool: Executor) -> AsyncIterator[bytes]:
    """The chunks of a body, each made in a thread of the pool."""
    loop = asyncio.get_running_loop()
    while (chunk := await loop.run_in_executor(pool, next, body, None)) is not None:
        yield chunk


def npy_bytes(array: Floats) -> bytes:
    """An array as a `.npy` file (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html)."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()


def arrow_bytes(columns: Mapping[str, Iterable[Floats]]) -> bytes:
    """Arrays of each text as an Arrow IPC stream, a row for each text.

    A vector is a list of fixed size, and the vectors of a text's tokens [tokens, hidden] are a list of these.
    """
    import pyarrow as pa

    made = {}
    for name, rows in columns.items():
        listed = list(rows)
        width = listed[0].shape[-1] if listed else 1
        flat = np.concatenate([row.reshape(-1) for row in listed]) if listed else np.zeros(0, np.float32)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), width)
        if listed and listed[0].ndim == 2:
            splits = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(row) for row in listed], dtype=np.int64)])
            vectors = pa.LargeListArray.from_arrays(pa.array(splits, pa.int64()), vectors)
        made[name] = vectors
    table = pa.table(made)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
