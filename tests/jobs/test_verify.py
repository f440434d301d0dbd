"""Verification finds what is wrong with the files of a job, and status tells how far it has come."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import berthub as hub
from berthub.errors import InputError

TEXTS = [f"text number {index}" for index in range(11)]


@pytest.fixture
def job(models: Path, tmp_path: Path) -> hub.EncodeJob:
    path = tmp_path / "in.txt"
    path.write_text("\n".join(TEXTS))
    return hub.EncodeJob(path, tmp_path / "out", model=models / "tf2_v4", output="mean", engine="numpy", shard_rows=4)


def _shard(job: hub.EncodeJob, number: int = 1) -> Path:
    return next(Path(job.output_folder).glob(f"shard-{number:06}-*"))


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("to", ["parquet", "jsonl", "csv", "tsv", "npy"])
@pytest.mark.parametrize("output", ["mean", "sequence_output"])
def test_nothing_is_wrong_with_what_was_written(job: hub.EncodeJob, to: Any, output: Any) -> None:
    if output == "sequence_output" and to not in ("parquet", "jsonl"):
        return
    job = replace(job, to=to, output=output)
    job.run()
    assert job.verify() == []


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a flipped bit": (_flip, "has changed since it was written"),
    "a lost byte": (_truncate, "bytes, and had"),
    "no file": (Path.unlink, "is missing: run the job again"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_files_that_changed_are_found(job: hub.EncodeJob, fault: str) -> None:
    job.run()
    damage, message = FAULTS[fault]
    damage(_shard(job))
    (found,) = job.verify()
    assert found.startswith("shard-000001-")
    assert message in found


def _write(path: Path, vectors: list[Any]) -> None:
    table = pq.read_table(path)
    column = pa.array(vectors, table.schema.field("mean").type)
    pq.write_table(table.slice(0, len(vectors)).set_column(1, "mean", column), path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.0, "has a vector of zeros in row 2"),
        (float("nan"), "has a vector with NaN or infinity in row 2"),
        (float("inf"), "has a vector with NaN or infinity in row 2"),
        (None, "has 1 rows without a result, and 0 failed"),
    ],
)
def test_vectors_that_are_none_are_found(job: hub.EncodeJob, value: float | None, message: str) -> None:
    job.run()
    path = _shard(job)
    vectors = pq.read_table(path)["mean"].to_pylist()
    vectors[1] = None if value is None else [value] * len(vectors[0])
    _write(path, vectors)
    _record_again(job, path)
    assert job.verify() == [f"{path.name} {message}"]


def test_a_lost_row_is_found(job: hub.EncodeJob) -> None:
    job.run()
    path = _shard(job)
    _write(path, pq.read_table(path)["mean"].to_pylist()[:3])
    _record_again(job, path)
    assert job.verify() == [f"{path.name} has 3 rows, and 4 were written"]


def _record_again(job: hub.EncodeJob, path: Path) -> None:
    """Let the manifest have the hash of a file as it is now, as if it had been written so."""
    import hashlib

    manifest = Path(job.output_folder) / "_job/manifest.json"
    stored = orjson.loads(manifest.read_bytes())
    record = next(each for each in stored["shards"] if each["file"] == path.name)
    record.update(size=path.stat().st_size, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    manifest.write_bytes(orjson.dumps(stored))


def test_a_foreign_file_is_found(job: hub.EncodeJob) -> None:
    job.run()
    (Path(job.output_folder) / "other.parquet").write_bytes(b"")
    assert job.verify() == ["other.parquet is no file of this job"]


@pytest.mark.parametrize("to", ["parquet", "jsonl", "csv", "npy"])
def test_rows_that_failed_are_no_fault(job: hub.EncodeJob, to: Any) -> None:
    Path(str(job.inputs)).write_bytes("\n".join(TEXTS).encode().replace(b"5", b"\xff"))
    job = replace(job, to=to, on_error="skip")
    assert job.run().totals["failed"] == 1
    assert job.verify() == []


def test_status_while_and_after(job: hub.EncodeJob) -> None:
    with pytest.raises(InputError, match="holds no job"):
        job.status()
    seen: list[Any] = []
    job.run(on_progress=lambda progress: seen.append(job.status()))
    assert [status.rows for status in seen] == [11, 11, 11]
    assert not any(status.finished for status in seen)
    assert all(len(status.runners) == 1 for status in seen)
    assert seen[0].shards_done == 0
    status = job.status()
    assert (status.finished, status.shards, status.shards_done, status.rows_done) == (True, 3, 3, 11)
    assert (status.runners, status.working, status.seconds_left) == ((), (), None)
    assert status.totals is not None
    assert status.totals["written"] == 11
    _shard(job).unlink()
    assert (job.status().finished, job.status().rows_done) == (False, 7)


def test_vectors_are_compared_in_their_type(job: hub.EncodeJob) -> None:
    job = replace(job, dtype="float16")
    job.run()
    assert job.verify() == []
    assert pq.read_table(_shard(job)).schema.field("mean").type.value_type == pa.float16()
    assert np.isfinite(np.stack(pq.read_table(_shard(job))["mean"].to_numpy())).all()
