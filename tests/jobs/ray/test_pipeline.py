"""`berthub.ray.Encode` in pipelines of Ray Data."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import berthub as hub

pytestmark = pytest.mark.slow

MODEL = Path(__file__).parent.parent.parent / "data" / "models" / "tf2_v4"
WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "was", "not", "so", "good", "hello", "world", "dog"]
TEXTS = [" ".join(WORDS[index % 7 : index % 7 + 1 + index % 6]) for index in range(60)]
OPTIONS: Any = {"output": "mean", "engine": "numpy"}


@pytest.fixture(scope="module")
def expected() -> Any:
    return hub.load(MODEL, engine="numpy").embed(TEXTS, pooling="mean")


@pytest.fixture
def dataset(cluster: Any) -> Any:
    cluster.data.DataContext.get_current().execution_options.preserve_order = True
    table = pa.table({"text": TEXTS, "n": range(len(TEXTS))})
    return cluster.data.from_arrow([table.slice(start, 20) for start in (0, 20, 40)])


class Probed(hub.ray.Encode):
    """Says in which process a batch was computed, and with how many threads."""

    def __call__(self, batch: Any) -> Any:
        from berthub.jobs.ray import process

        given = dict(super().__call__(batch))
        encoder = process.loaded(self._model).encoder
        count = len(given["text"])
        return given | {
            "pid": np.full(count, os.getpid()),
            "model": np.full(count, id(encoder)),
            "threads": np.full(count, encoder._engine.threads or 0),
        }


@pytest.mark.parametrize("batch_format", ["pyarrow", "pandas", "numpy"])
@pytest.mark.parametrize("batch_size", [7, None])
def test_an_object_runs_in_tasks(batch_format: str, batch_size: int | None, dataset: Any, expected: Any) -> None:
    made = dataset.map_batches(
        hub.ray.Encode(MODEL, **OPTIONS), batch_format=batch_format, batch_size=batch_size, zero_copy_batch=True
    )
    rows = made.take_all()
    assert [row["n"] for row in rows] == list(range(len(TEXTS)))
    assert [row["text"] for row in rows] == TEXTS
    np.testing.assert_allclose(np.array([row["mean"] for row in rows]), expected, atol=1e-5)


@pytest.mark.parametrize("processors", [pytest.param(1, marks=pytest.mark.cluster), 2])
def test_the_class_runs_in_actors_with_the_processors_that_they_have(
    processors: int, dataset: Any, cluster: Any, expected: Any
) -> None:
    made = dataset.map_batches(
        Probed,
        fn_constructor_args=[str(MODEL)],
        fn_constructor_kwargs={"output": "mean", "precision": "float32"},
        batch_size=7,
        num_cpus=processors,
        compute=cluster.data.ActorPoolStrategy(size=2 // processors),
    )
    rows = made.take_all()
    np.testing.assert_allclose(np.array([row["mean"] for row in rows]), expected, atol=1e-5)
    assert {row["threads"] for row in rows} == {processors}
    loaded = {(row["pid"], row["model"]) for row in rows}
    assert len(loaded) == len({row["pid"] for row in rows}) <= 2 // processors


def test_a_process_loads_once_for_all_its_tasks(dataset: Any, cluster: Any) -> None:
    made = dataset.map_batches(Probed(MODEL, **OPTIONS), batch_size=5, compute=cluster.data.TaskPoolStrategy(1))
    loaded = {(row["pid"], row["model"]) for row in made.take_all()}
    assert len(loaded) == len({pid for pid, _ in loaded})


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_vectors_are_written_to_parquet_as_lists_of_fixed_size(dtype: Any, dataset: Any, tmp_path: Path) -> None:
    encode = hub.ray.Encode(MODEL, **OPTIONS, dtype=dtype)
    dataset.map_batches(encode, batch_format="pyarrow").write_parquet(str(tmp_path))
    table = pq.read_table(tmp_path)
    assert table.schema.field("mean").type == pa.list_(pa.from_numpy_dtype(np.dtype(dtype)), 32)
    assert len(table) == len(TEXTS)


def test_errors_are_those_of_encode(dataset: Any, cluster: Any) -> None:
    for options, message in (({"column": "body"}, 'has no column "body"'), ({"column": "n"}, "of type int, not a")):
        with pytest.raises(cluster.exceptions.RayTaskError, match=f"InputError: the batch.*{message}"):
            dataset.map_batches(hub.ray.Encode(MODEL, **OPTIONS, **options)).take_all()
