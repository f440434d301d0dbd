"""Read the results that a job has written again, to verify them."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from berthub.choices import TableFormat
from berthub.jobs.plan import Plan
from berthub.tables import conll
from berthub.tables.lines import read_lines

__all__ = ["Written", "read_results"]

_ROWS = 1024


@dataclass(frozen=True, eq=False)
class Written:
    """Some rows of a shard: how many, how many of them have no result, and the vectors of the others.

    `vectors` are [n, width], and `rows` int64 [n] says which row each belongs to; None for predictions.
    """

    count: int
    missing: int
    vectors: npt.NDArray[Any] | None = None
    rows: npt.NDArray[np.int64] | None = None


def read_results(file: BinaryIO, plan: Plan) -> Iterator[Written]:
    """The results in a shard's file, some rows at a time."""
    return _READERS[plan.task["to"]](file, plan.task["column"], "vectors" in plan.task)


def _parquet(file: BinaryIO, column: str, are_vectors: bool) -> Iterator[Written]:
    for batch in pq.ParquetFile(file).iter_batches(batch_size=_ROWS, columns=[column]):
        values = batch.column(0)
        if not are_vectors:
            yield Written(len(values), values.null_count)
            continue
        rows = np.flatnonzero(~np.asarray(values.is_null()))
        valid = values.drop_null()
        if not pa.types.is_fixed_size_list(valid.type):
            rows = np.repeat(rows, np.asarray(valid.value_lengths()))
            valid = valid.flatten()
        vectors = valid.flatten().to_numpy(zero_copy_only=False).reshape(-1, valid.type.list_size)
        yield Written(len(values), values.null_count, vectors, rows)


def _json_lines(file: BinaryIO, column: str, are_vectors: bool) -> Iterator[Written]:
    for line in file:
        value = orjson.loads(line)[column]
        yield _one(value, are_vectors)


def _one(value: Any, are_vectors: bool) -> Written:
    if value is None or not are_vectors:
        return Written(1, int(value is None))
    vectors = np.atleast_2d(np.asarray(value, np.float64))
    return Written(1, 0, vectors, np.zeros(len(vectors), np.int64))


def _separated(delimiter: str) -> Callable[[BinaryIO, str, bool], Iterator[Written]]:
    def read(file: BinaryIO, column: str, are_vectors: bool) -> Iterator[Written]:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        try:
            # TSV has no quoting.
            rows = csv.reader(text) if delimiter == "," else (line.rstrip("\n").split("\t") for line in text)
            header = next(rows, [])
            places = [index for index, name in enumerate(header) if _belongs(name, column, are_vectors)]
            for row in rows:
                fields = [row[index] for index in places]
                if not any(fields):
                    yield _one(None, are_vectors)
                else:
                    yield _one([float(field) for field in fields] if are_vectors else fields, are_vectors)
        finally:
            text.detach()

    return read


def _belongs(name: str, column: str, are_vectors: bool) -> bool:
    return name.rpartition("_")[0] == column and name.rpartition("_")[2].isdigit() if are_vectors else name == column


def _npy(file: BinaryIO, column: str, are_vectors: bool) -> Iterator[Written]:
    vectors = np.load(file)
    missing = np.isnan(vectors).all(axis=1)
    yield Written(len(vectors), int(missing.sum()), vectors[~missing], np.flatnonzero(~missing))


def _conll(file: BinaryIO, column: str, are_vectors: bool) -> Iterator[Written]:
    for _ in conll.sentences(read_lines(file, "the shard"), "the shard"):
        yield Written(1, 0)


_READERS: Mapping[TableFormat, Callable[[BinaryIO, str, bool], Iterator[Written]]] = {
    "parquet": _parquet,
    "jsonl": _json_lines,
    "npy": _npy,
    "csv": _separated(","),
    "tsv": _separated("\t"),
    "conll": _conll,
}
