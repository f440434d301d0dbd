"""Columns of pandas, Polars and pyarrow, embedded."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import berthub as hub
from berthub.errors import InputError
from support.needs import needs

TEXTS = ["The quick brown fox.", None, "", "Über café 日本 🙂", None, "a dog"]
IDS = [5, 3, 1, 4, 2, 0]
VECTORS = pa.list_(pa.float32(), 32)
KINDS = [pytest.param("pandas", marks=needs("pandas")), pytest.param("polars", marks=needs("polars")), "pyarrow"]


@pytest.fixture(scope="module")
def bert(models: Path) -> hub.Encoder:
    return hub.load(models / "tf2_v4", engine="numpy")


def _frame(kind: str, texts: list[Any]) -> Any:
    columns = {"id": IDS[: len(texts)], "text": texts}
    match kind:
        case "pandas":
            return importlib.import_module("pandas").DataFrame(columns, index=[f"row {i}" for i in range(len(texts))])
        case "polars":
            return importlib.import_module("polars").DataFrame(columns)
        case _:
            return pa.table(columns)


def _arrow(frame: Any) -> pa.Table:
    if isinstance(frame, pa.Table):
        return frame
    return frame.to_arrow() if hasattr(frame, "to_arrow") else pa.Table.from_pandas(frame, preserve_index=False)


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_come_as_a_column_beside_the_others(kind: str, bert: hub.Encoder) -> None:
    frame = _frame(kind, TEXTS)
    made = hub.embed_column(frame, "text", model=bert, into="vector", normalize=True)
    assert type(made) is type(frame)
    assert list(_arrow(frame).column_names) == ["id", "text"]
    table = _arrow(made)
    assert table.column_names == ["id", "text", "vector"]
    assert table["vector"].type == VECTORS
    assert table["id"].to_pylist() == IDS
    assert table["text"].to_pylist() == TEXTS
    expected = iter(bert.embed([text for text in TEXTS if text is not None], normalize=True))
    for text, vector in zip(TEXTS, table["vector"].to_pylist(), strict=True):
        if text is None:
            assert vector is None
        else:
            np.testing.assert_array_equal(vector, next(expected))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [[], [None, None], ["a dog"]])
def test_few_rows(kind: str, texts: list[Any], bert: hub.Encoder) -> None:
    frame = _frame(kind, texts)
    if kind == "pyarrow":
        frame = frame.set_column(1, "text", pa.array(texts, pa.string()))
    made = _arrow(hub.embed_column(frame, "text", model=bert))["embedding"]
    assert made.type == VECTORS
    assert made.is_null().to_pylist() == [text is None for text in texts]


@needs("pandas")
def test_pandas_index_and_missing_values_of_every_sort(bert: hub.Encoder) -> None:
    import pandas as pd

    for missing in (None, float("nan"), pd.NA):
        frame = pd.Series(["a dog", missing], dtype=object, index=[7, 7], name="text").to_frame()
        made = hub.embed_column(frame, "text", model=bert)
        assert made.index.tolist() == [7, 7]
        assert made["embedding"].isna().tolist() == [False, True]
    for dtype in ("category", "string"):
        frame = pd.DataFrame({"text": pd.Series(["a dog", None], dtype=dtype)})
        made = hub.embed_column(frame, "text", model=bert)
        (vector,) = made["embedding"].dropna().to_numpy()
        assert vector.dtype == np.float32
        np.testing.assert_array_equal(vector, bert.embed("a dog")[0])


@needs("polars")
def test_polars_categories_chunks_and_lazy_frames(bert: hub.Encoder) -> None:
    import polars as pl

    frame = pl.concat(
        [pl.DataFrame({"text": ["a dog"]}), pl.DataFrame({"text": ["a fox"]})], rechunk=False
    ).with_columns(pl.col("text").cast(pl.Categorical))
    made = hub.embed_column(frame, "text", model=bert)
    assert made["embedding"].dtype == pl.Array(pl.Float32, 32)
    np.testing.assert_array_equal(made["embedding"].to_numpy(), bert.embed(["a dog", "a fox"]))
    with pytest.raises(InputError, match=r"frame\.collect\(\)"):
        hub.embed_column(frame.lazy(), "text", model=bert)


def test_arrow_dictionaries_and_chunks(bert: hub.Encoder) -> None:
    texts = pa.chunked_array([pa.array(["a dog", None]).dictionary_encode(), pa.array(["a fox"]).dictionary_encode()])
    made = hub.embed_column(pa.table({"text": texts}), "text", model=bert)
    assert made["embedding"].is_null().to_pylist() == [False, True, False]


def test_a_model_by_its_handle(models: Path) -> None:
    made = hub.embed_column(pa.table({"text": ["a dog"]}), "text", model=models / "tf2_v4")
    assert made["embedding"].type == VECTORS


@pytest.mark.parametrize(
    ("frame", "column", "into", "message"),
    [
        (pa.table({"text": ["a"]}), "texts", "v", "no columns 'texts'; its columns are: 'text'"),
        (pa.table([pa.array(["a"]), pa.array(["b"])], ["text", "text"]), "text", "v", "2 columns 'text'"),
        (pa.table({"text": ["a"]}), "text", "text", "column 'text' already"),
        (pa.table({"text": [1, 2]}), "text", "v", r"row 0 of column 'text' holds 1 \(of type int\)"),
        (pa.table({"text": [None, ["a", "b"]]}), "text", "v", "row 1 of column 'text'"),
        ({"text": ["a"]}, "text", "v", "not builtins's dict"),
        (pa.array(["a"]), "text", "v", "not pyarrow's StringArray"),
    ],
)
def test_what_cannot_be_embedded_is_said(frame: Any, column: str, into: str, message: str, bert: hub.Encoder) -> None:
    with pytest.raises(InputError, match=message):
        hub.embed_column(frame, column, model=bert, into=into)
