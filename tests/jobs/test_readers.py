"""Tools that read tables take a job's folder as it is, in the order of the rows, without the job's state in it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import berthub as hub
from support.needs import needs

IDS = list(range(23))


def _pyarrow(folder: str) -> tuple[list[int], Any]:
    import pyarrow.dataset as ds

    table = ds.dataset(folder).to_table()
    return table["id"].to_pylist(), table["mean"].to_pylist()


def _pandas(folder: str) -> tuple[list[int], Any]:
    import pandas as pd

    frame = pd.read_parquet(folder)
    return frame["id"].tolist(), frame["mean"].tolist()


def _polars(folder: str) -> tuple[list[int], Any]:
    import polars as pl

    frame = pl.scan_parquet(f"{folder}/*.parquet").collect()
    return frame["id"].to_list(), frame["mean"].to_numpy()


def _duckdb(folder: str) -> tuple[list[int], Any]:
    import duckdb

    rows = duckdb.sql(f"SELECT id, mean FROM '{folder}/*.parquet'").fetchall()
    return [row[0] for row in rows], [row[1] for row in rows]


def _datasets(folder: str) -> tuple[list[int], Any]:
    import datasets

    found = datasets.load_dataset(
        "parquet", data_files=f"{folder}/*.parquet", split="train", cache_dir=f"{folder}-cache"
    )
    return list(found["id"]), list(found["mean"])


@pytest.mark.parametrize(
    "read",
    [
        _pyarrow,
        pytest.param(_pandas, marks=needs("pandas")),
        pytest.param(_polars, marks=needs("polars")),
        pytest.param(_duckdb, marks=needs("duckdb")),
        pytest.param(_datasets, marks=needs("datasets")),
    ],
    ids=lambda read: read.__name__.removeprefix("_"),
)
def test_the_folder_is_a_table(read: Callable[[str], tuple[list[int], Any]], models: Path, tmp_path: Path) -> None:
    texts = [f"text number {number}" for number in IDS]
    pq.write_table(pa.table({"id": IDS, "text": texts}), tmp_path / "texts.parquet")
    model = models / "tf2_v4_mlm"
    hub.EncodeJob(tmp_path / "texts.parquet", tmp_path / "vectors", model=model, output="mean", shard_rows=5).run()
    ids, vectors = read(str(tmp_path / "vectors"))
    assert ids == IDS
    np.testing.assert_allclose(np.array(vectors), hub.load(model).embed(texts, pooling="mean"), atol=1e-5)
