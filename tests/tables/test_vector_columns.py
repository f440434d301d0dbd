import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berthub import Encoder

TEXTS = ['a "fox", quick', "", "two\nlines"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "text"), *(("007", text) for text in TEXTS)])
    return tmp_path / "a.csv"


@pytest.mark.parametrize("options", [[], ["--drop-columns"], ["--dtype", "float16"], ["--vectors-column", "v"]])
def test_a_column_for_each_dimension(cli: Any, encoder: Encoder, table: Path, options: list[str]) -> None:
    result = cli("encode", table, "-o", "out.csv", "--output", "mean", *options)
    assert result.exit_code == 0, result.output
    with Path("out.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    name = "v" if "v" in options else "mean"
    carried = [] if "--drop-columns" in options else ["id", "text"]
    assert header == [*carried, *(f"{name}_{index}" for index in range(32))]
    if carried:
        assert [row[:2] for row in rows] == [["007", text] for text in TEXTS]
    vectors = np.array([row[len(carried) :] for row in rows]).astype(np.float32)
    expected = encoder.embed(TEXTS, pooling="mean")
    if "float16" in options:
        np.testing.assert_array_equal(vectors, expected.astype(np.float16).astype(np.float32))
    else:
        # The digits mean these very numbers.
        cli("encode", table, "-o", "out.npy", "--output", "mean")
        np.testing.assert_array_equal(vectors, np.load("out.npy"))
        np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_tsv_and_standard_output(cli: Any, encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "fox", "n": [1, null]}\n{"text": "owl"}\n')
    result = cli("encode", "a.jsonl", "-o", "-", "--to", "tsv", "--output", "mean")
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert rows[0][:3] == ["text", "n", "mean_0"]
    assert [row[:2] for row in rows[1:]] == [["fox", "[1,null]"], ["owl", ""]]
    vectors = np.array([row[2:] for row in rows[1:]]).astype(np.float32)
    np.testing.assert_allclose(vectors, encoder.embed(["fox", "owl"]), atol=1e-6)
    result = cli("encode", "fox", "--to", "csv", "--output", "mean")
    assert next(csv.reader(io.StringIO(result.stdout)))[:2] == ["text", "mean_0"]


@pytest.mark.parametrize(
    ("name", "data", "options", "message"),
    [
        ("a.csv", b"text,mean_3\nfox,1\n", [], 'has a column "mean_3" already'),
        ("a.csv", b"text\nfox\n", ["--output", "sequence_output"], "csv holds one vector in each row"),
        ("a.csv", b'text\n"a\tb"\n', ["--to", "tsv"], "has a tab or a line end, for which TSV has no form"),
    ],
)
def test_what_has_no_form(cli: Any, tmp_path: Path, name: str, data: bytes, options: list[str], message: str) -> None:
    (tmp_path / name).write_bytes(data)
    result = cli("encode", name, "-o", "out.csv", "--output", "mean", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_late_keys_are_refused(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "fox"}\n' * 2048 + '{"text": "owl", "late": 1}\n')
    result = cli("encode", "a.jsonl", "-o", "out.csv", "--output", "mean")
    assert 'a.jsonl, row 2049 (line 2049): the key "late" is in none of the rows before' in result.stderr
