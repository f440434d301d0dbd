"""Jobs whose inputs are addresses of other file systems."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import berthub as hub
from berthub.errors import InputError
from berthub.jobs.planning import address_of
from berthub.tables.source import InputFile


@pytest.fixture
def memory() -> Iterator[Any]:
    fsspec = pytest.importorskip("fsspec")
    system = fsspec.filesystem("memory")
    system.pipe("/job-inputs/a.csv", b"text\n" + b"".join(b"text %d\n" % number for number in range(9)))
    system.pipe("/job-inputs/b.csv", b"text\none\ntwo\n")
    yield system
    system.rm("/job-inputs", recursive=True)


def test_remote_files_become_shards(memory: Any, models: Path, tmp_path: Path) -> None:
    job = hub.EncodeJob(
        "memory://job-inputs", tmp_path / "out", model=models / "tf2_v4", output="mean", engine="numpy", shard_rows=4
    )
    manifest = job.run()
    table = pa.concat_tables([pq.read_table(path) for path in sorted((tmp_path / "out").glob("*.parquet"))])
    assert table["text"].to_pylist() == [*(f"text {number}" for number in range(9)), "one", "two"]
    (tmp_path / "out" / manifest.shards[1].file).unlink()
    job.run()
    memory.pipe("/job-inputs/b.csv", b"text\none\nTWO\n")
    with pytest.raises(InputError, match=r"memory://job-inputs/b\.csv has changed since the job was planned"):
        job.run()


def test_no_plan_keeps_a_signature() -> None:
    file = InputFile("https://host/a.csv?X-Amz-Signature=abcdef", "csv")
    with pytest.raises(InputError, match=r"address of https://host/a\.csv holds a signature or a token") as error:
        address_of(file)
    assert "abcdef" not in str(error.value)
    assert address_of(InputFile("https://host/a.csv?version=3", "csv")) == "https://host/a.csv?version=3"
    assert address_of(InputFile("s3://bucket/a.csv", "csv")) == "s3://bucket/a.csv"
