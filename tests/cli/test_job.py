"""Jobs on the command line: -o with a slash writes a folder of shards; status and verify look at it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from berthub import Encoder
from support.heads import with_head

TEXTS = [f"text number {index}" for index in range(11)]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.csv"
    path.write_text("text\n" + "\n".join(TEXTS) + "\n")
    return path


def _table(folder: str) -> Any:
    return pq.read_table(folder)


def test_a_folder_is_a_job(cli: Any, encoder: Encoder, corpus: Path) -> None:
    result = cli("encode", corpus, "-o", "vectors/", "--shard-rows", 4, "--output", "mean")
    assert result.exit_code == 0, result.output
    assert "11 rows in 3 shards, 11 written\n" in result.stderr
    assert "rows/s" in result.stderr
    table = _table("vectors")
    assert table["text"].to_pylist() == TEXTS
    np.testing.assert_allclose(np.stack(table["mean"].to_numpy()), encoder.embed(TEXTS, pooling="mean"), atol=1e-5)
    again = cli("encode", corpus, "-o", "vectors/", "--output", "mean")
    assert again.exit_code == 0
    assert "all of it was done before" in again.stderr


def test_status_and_verify(cli: Any, corpus: Path) -> None:
    cli("encode", corpus, "-o", "vectors/", "--shard-rows", 4, "--quiet")
    status = cli("job", "status", "vectors/")
    assert "vectors: finished\n3 of 3 shards, 11 of 11 rows (100%)\n" in status.stdout
    found = json.loads(cli("job", "status", "vectors", "--json").stdout)
    assert (found["finished"], found["shards"], found["rows_done"]) == (True, 3, 11)
    assert cli("job", "verify", "vectors/").exit_code == 0
    shard = next(Path("vectors").glob("shard-000001*"))
    shard.unlink()
    status = cli("job", "status", "vectors/")
    assert "not finished" in status.stdout
    assert "2 of 3 shards, 7 of 11 rows (64%)" in status.stdout
    assert "run the same command again" in status.stdout
    verified = cli("job", "verify", "vectors/")
    assert verified.exit_code == 2
    assert f"{shard.name} is missing: run the job again" in verified.stdout
    assert "error: 1 fault in vectors/" in verified.stderr
    assert json.loads(cli("job", "verify", "vectors/", "--json").stdout)["finished"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["corpus.csv", "-o", "vectors/", "--overwrite"], "--overwrite is for files"),
        (["corpus.csv", "-o", "vectors.npy", "--shard-rows", "4"], "--shard-rows is for jobs, which write a folder"),
        (["corpus.csv", "-o", "vectors.npy", "--on-error", "skip"], "--on-error is for jobs"),
        (["corpus.csv", "-o", "vectors.npy", "--any-machine"], "--any-machine is for jobs"),
        (["corpus.csv", "-o", "vectors.npy", "--dedupe"], "--dedupe is for jobs"),
        (["a text", "-o", "vectors/"], "file not found: a text"),
        (["-", "-o", "vectors/"], "a job reads files"),
        (["*.nothing", "-o", "vectors/"], "no file matches"),
        (["corpus.csv", "-o", ""], "tells no format"),
        (["corpus.csv", "-o", "vectors"], "for a job, which writes a folder, end it with a slash: vectors/"),
        (["corpus.csv", "-o", "memory://vectors/"], "memory://vectors/ ends with this process"),
        (["corpus.csv", "-o", "https://host/vectors/"], "https://host/vectors/ can only be read"),
        (["corpus.csv", "-o", "s3://bucket/vectors.parquet"], "at a URL a job writes a folder"),
        (["corpus.csv", "-o", "vectors.npy", "--ray", "auto"], "--ray is for jobs, which write a folder"),
        (["corpus.csv", "-o", "vectors.npy", "--threads", "2"], "--threads is for jobs, which write a folder"),
        (["corpus.csv", "-o", "vectors/", "--shard-rows", "0"], "a shard has at least one row"),
        (["corpus.csv", "-o", "vectors/", "--to", "npy", "--output", "sequence_output"], "a .npy file holds one array"),
        (["corpus.csv", "-o", "vectors/", "-c", "nothing"], 'no column "nothing"'),
    ],
)
def test_wrong_input_is_refused_before_anything_is_written(
    cli: Any, corpus: Path, arguments: list[str], message: str
) -> None:
    result = cli("encode", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("vectors").exists()


def test_no_job(cli: Any, tmp_path: Path) -> None:
    for command in ("status", "verify"):
        result = cli("job", command, tmp_path)
        assert result.exit_code == 2
        assert "holds no job" in result.stderr


def test_other_options_are_refused(cli: Any, corpus: Path) -> None:
    cli("encode", corpus, "-o", "vectors/", "--shard-rows", 4, "--output", "mean")
    result = cli("encode", corpus, "-o", "vectors/", "--output", "cls")
    assert result.exit_code == 2
    assert "this is not the job that was planned: output was mean and is cls" in result.stderr


def test_rows_that_failed_are_reported(cli: Any, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "one"}\n{"text": 2}\n')
    result = cli("encode", path, "-o", "vectors/")
    assert result.exit_code == 2
    assert "1 shard of 1 could not be computed" in result.stderr
    assert "row 2 (line 2)" in result.stderr
    result = cli("encode", path, "-o", "vectors/", "--on-error", "skip")
    assert result.exit_code == 0, result.output
    assert "2 written, 1 failed" in result.stderr


def test_predictions(cli: Any, models: Path, tmp_path: Path, corpus: Path) -> None:
    run = with_head(models / "tf2_v4", tmp_path / "run", "classify")
    result = cli("predict", run, corpus, "-o", "predicted/", "--shard-rows", 4, "--to", "csv", "--probabilities")
    assert result.exit_code == 0, result.output
    whole = cli("predict", run, corpus, "-o", "whole.csv", "--probabilities")
    assert whole.exit_code == 0, whole.output
    lines = [line for path in sorted(Path("predicted").glob("*.csv")) for line in path.read_text().splitlines()[1:]]
    expected = Path("whole.csv").read_text().splitlines()[1:]
    assert [line.split(",")[:2] for line in lines] == [line.split(",")[:2] for line in expected]


@pytest.mark.parametrize("to", ["conll", "parquet"])
def test_tags(cli: Any, models: Path, tmp_path: Path, to: str) -> None:
    run = with_head(models / "tf2_v4", tmp_path / "run", "tag")
    path = tmp_path / "in.conll"
    path.write_text("The O\nfox B\n\nruns O\n\n" * 3)
    result = cli("predict", run, path, "-o", "tagged/", "--shard-rows", 4, "--to", to)
    assert result.exit_code == 0, result.output
    assert "6 rows in 2 shards, 6 written" in result.stderr
    assert cli("job", "verify", "tagged/").exit_code == 0


def test_equal_texts_are_computed_once(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("one\ntwo\none\n")
    result = cli("encode", "in.txt", "-o", "vectors/", "--dedupe")
    assert result.exit_code == 0
    assert "3 rows in 1 shard, 3 written, 2 distinct texts" in result.stderr
    assert "2 distinct texts in " in result.stderr
    assert " distinct texts/s" in result.stderr
    status = cli("job", "status", "vectors/").stdout
    assert "2 of 2 distinct texts computed (100%)" in status
    assert json.loads(cli("job", "status", "vectors/", "--json").stdout)["distinct"] == 2
