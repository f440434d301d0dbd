import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import berthub
from berthub import Encoder
from berthub.encoding import stages


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("id,text,n\n007,the fox,1\n008,,2\n009,it was quick,3\n")
    return path


TEXTS = ["the fox", "", "it was quick"]


@pytest.mark.parametrize(("dtype", "kind"), [("float32", pa.float32()), ("float16", pa.float16())])
def test_parquet(cli: Any, encoder: Encoder, models: Path, reviews: Path, dtype: str, kind: Any) -> None:
    result = cli("encode", reviews, "-o", "out.parquet", "--dtype", dtype, "--output", "mean", "--normalize")
    assert result.exit_code == 0, result.output
    table = pq.read_table("out.parquet")
    assert table.schema.names == ["id", "text", "n", "mean"]
    assert table.schema.field("mean").type.equals(pa.list_(kind, 32))
    assert table.column("id").to_pylist() == ["007", "008", "009"]
    vectors = np.array(table.column("mean").to_pylist(), dtype)
    np.testing.assert_array_equal(vectors, encoder.embed(TEXTS, normalize=True).astype(dtype))
    metadata = {key.decode(): value.decode() for key, value in pq.read_metadata("out.parquet").metadata.items()}
    del metadata["ARROW:schema"]
    assert metadata == {
        "berthub.version": berthub.__version__,
        "berthub.model": str(models / "tf2_v4"),
        "berthub.output": "mean",
        "berthub.layer": "1",
        "berthub.normalize": "true",
        "berthub.pooling": "mean",
        "berthub.precision": "float32",
        "berthub.max_length": "64",
    }


def test_parquet_of_token_vectors(cli: Any, reviews: Path) -> None:
    cli("encode", reviews, "-o", "out.parquet", "--output", "sequence_output", "--dtype", "float16")
    schema = pq.read_schema("out.parquet")
    assert schema.names == ["id", "text", "n", "sequence_output", "tokens", "offsets"]
    assert schema.field("sequence_output").type.equals(pa.list_(pa.list_(pa.float16(), 32)))
    assert schema.field("tokens").type.equals(pa.list_(pa.string()))
    assert schema.field("offsets").type.equals(pa.list_(pa.list_(pa.int32(), 2)))


def test_row_groups_are_filled(cli: Any, reviews: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reviews.write_text("text\n" + "the fox\n" * 10_000)
    monkeypatch.setattr("berthub.tables.parquet_writer._ROW_GROUP_BYTES", 500_000)
    cli("encode", reviews, "-o", "out.parquet")
    metadata = pq.read_metadata("out.parquet")
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [4096, 4096, 1808]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_npy(cli: Any, encoder: Encoder, reviews: Path, dtype: str) -> None:
    cli("encode", reviews, "-o", "out.npy", "--dtype", dtype)
    vectors = np.load("out.npy", mmap_mode="r")
    assert vectors.dtype == dtype
    np.testing.assert_array_equal(vectors, encoder.embed(TEXTS).astype(dtype))


def test_npy_takes_no_token_vectors(cli: Any, reviews: Path) -> None:
    result = cli("encode", reviews, "-o", "out.npy", "--output", "sequence_output")
    assert result.exit_code == 2
    assert "write sequence_output to Parquet" in result.stderr


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_json_lines_are_exact(cli: Any, encoder: Encoder, reviews: Path, dtype: str) -> None:
    cli("encode", reviews, "-o", "out.jsonl", "--dtype", dtype)
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [list(row) for row in rows] == [["id", "text", "n", "embedding"]] * 3
    vectors = np.array([row["embedding"] for row in rows], dtype)
    np.testing.assert_array_equal(vectors, encoder.embed(TEXTS).astype(dtype))


def test_drop_columns_and_vectors_column(cli: Any, reviews: Path) -> None:
    cli("encode", reviews, "-o", "out.jsonl", "--drop-columns", "--vectors-column", "text")
    assert [list(json.loads(line)) for line in Path("out.jsonl").read_text().splitlines()] == [["text"]] * 3
    cli("encode", reviews, "-o", "out.parquet", "--drop-columns")
    assert pq.read_schema("out.parquet").names == ["embedding"]


def test_a_value_too_large_for_float16(cli: Any, reviews: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = stages.compute

    def compute(*args: Any, **options: Any) -> Any:
        return {output: array * 1e6 for output, array in original(*args, **options).items()}

    monkeypatch.setattr(stages, "compute", compute)
    result = cli("encode", reviews, "-o", "out.npy", "--dtype", "float16")
    assert result.exit_code == 2
    assert "too large for float16" in result.stderr
    assert not Path("out.npy").exists()


CLASHES = [
    ("a.csv", "text,embedding\nfox,1\n", []),
    ("a.csv", "text,tokens\nfox,1\n", ["--output", "sequence_output"]),
    ("a.jsonl", '{"text": "fox"}\n{"text": "fox", "embedding": 1}\n', []),
]


@pytest.mark.parametrize(("name", "data", "options"), CLASHES)
def test_columns_that_would_be_written_twice(
    cli: Any, tmp_path: Path, name: str, data: str, options: list[str]
) -> None:
    (tmp_path / name).write_text(data)
    result = cli("encode", name, "-o", "out.jsonl", *options)
    assert result.exit_code == 2
    assert "which is what the output would be called" in result.stderr
    assert not Path("out.jsonl").exists()
    assert cli("encode", name, "-o", "out.jsonl", *options, "--drop-columns").exit_code == 0


def _json_to_parquet(cli: Any, *objects: dict[str, Any]) -> Any:
    Path("a.jsonl").write_text("".join(json.dumps(values) + "\n" for values in objects))
    return cli("encode", "a.jsonl", "-o", "out.parquet", "--overwrite")


def test_json_becomes_columns(cli: Any) -> None:
    rows = [
        {"text": "fox", "n": 1, "m": {"a": 1}, "x": None, "l": []},
        {"n": 2.5, "text": "", "m": {"b": [True]}, "l": ["z"]},
    ]
    result = _json_to_parquet(cli, *rows)
    assert result.exit_code == 0, result.output
    table = pq.read_table("out.parquet").drop_columns("embedding")
    assert table.to_pylist() == [
        {"text": "fox", "n": 1.0, "m": {"a": 1, "b": None}, "x": None, "l": []},
        {"text": "", "n": 2.5, "m": {"a": None, "b": [True]}, "x": None, "l": ["z"]},
    ]


@pytest.mark.parametrize(
    ("first", "later", "message"),
    [
        ({"n": 1}, {"n": "x"}, '"n" is no value of type int64'),
        ({"n": 1}, {"n": 1.5}, '"n" is no value of type int64'),
        ({"n": "x"}, {"n": 1}, '"n" is no value of type string'),
        ({"n": None}, {"n": 1}, '"n" is no value of type null'),
        ({"n": 0.5}, {"n": 2**53 + 1}, '"n" is no value of type double'),
        ({"n": 1}, {"n": 2**64}, '"n" is no value of type int64'),
        ({"n": {"a": 1}}, {"n": {"b": 1}}, '"n" is no value of type struct<a: int64>'),
        ({}, {"n": 1}, 'the key "n" is in none of the first 2,048 rows'),
    ],
)
def test_later_rows_must_fit_the_columns(cli: Any, first: dict[str, Any], later: dict[str, Any], message: str) -> None:
    rows = [{"text": "fox", **first}] * 2048 + [{"text": "fox"}, {"text": "fox", **later}]
    result = _json_to_parquet(cli, *rows)
    assert result.exit_code == 2
    assert f"line 2050: {message}" in result.stderr
    assert not Path("out.parquet").exists()


def test_later_rows_may_lack_keys_and_have_whole_numbers(cli: Any) -> None:
    result = _json_to_parquet(cli, *[{"text": "fox", "n": 0.5}] * 2048, {"text": "fox", "n": 1}, {"text": "fox"})
    assert result.exit_code == 0, result.output
    assert pq.read_table("out.parquet").column("n").to_pylist()[-2:] == [1.0, None]


def test_first_rows_that_make_no_column(cli: Any) -> None:
    result = _json_to_parquet(cli, {"text": "fox", "n": 1}, {"text": "fox", "n": "x"})
    assert result.exit_code == 2
    assert 'line 2: the values of "n" up to here are of no one type' in result.stderr


def test_columns_that_json_has_no_form_for(cli: Any) -> None:
    pq.write_table(pa.table({"text": ["fox"], "raw": [b"\xff"]}), "a.parquet")
    result = cli("encode", "a.parquet", "-o", "out.jsonl")
    assert result.exit_code == 2
    assert 'the column "raw" holds binary' in result.stderr
    assert cli("encode", "a.parquet", "-o", "out.parquet").exit_code == 0
