"""Jobs whose input and output lie in an object store: the same files as on a disk."""

import hashlib
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

import berthub as hub
from berthub.errors import InputError, WriteError
from berthub.jobs.remote_folder import RemoteFolder
from support.object_store import S3_BUCKET

TEXTS = [f"text number {index}" for index in range(11)]


@pytest.fixture
def job(models: Path, tmp_path: Path) -> hub.EncodeJob:
    path = tmp_path / "in.txt"
    path.write_text("\n".join(TEXTS))
    return hub.EncodeJob(path, tmp_path / "out", model=models / "tf2_v4", output="mean", engine="numpy", shard_rows=4)


@pytest.fixture(params=["memory", "s3"])
def address(request: pytest.FixtureRequest) -> str:
    """The URL of a folder that is not there yet."""
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}/out"
    request.getfixturevalue("s3")
    return f"s3://{S3_BUCKET}/{uuid.uuid4().hex}"


def _found(address: str) -> dict[str, str]:
    system, path = fsspec.core.url_to_fs(address)
    system.invalidate_cache()
    return {
        name.rstrip("/")[len(path) :].strip("/"): hashlib.sha256(system.cat_file(name)).hexdigest()
        for name in system.find(path)
    }


def _local(folder: Any) -> dict[str, str]:
    paths = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_files_are_those_of_a_local_folder(job: hub.EncodeJob, address: str) -> None:
    job.run()
    remote = replace(job, output_folder=f"{address}/")
    remote.run()
    assert _found(address) == _local(job.output_folder)
    assert remote.verify() == []
    assert remote.status().finished


def test_a_job_goes_on(job: hub.EncodeJob, address: str) -> None:
    remote = replace(job, output_folder=address)
    manifest = remote.run()
    before = _found(address)
    system, path = fsspec.core.url_to_fs(address)
    system.rm_file(f"{path}/{manifest.shards[1].file}")
    assert remote.verify() == [f"{manifest.shards[1].file} is missing: run the job again to have it computed"]
    assert (remote.status().finished, remote.status().shards_done) == (False, 2)
    steps: list[Any] = []
    remote.run(on_progress=steps.append)
    assert len(steps) == 1
    assert _found(address) == before


def test_other_folders_are_refused(job: hub.EncodeJob, address: str) -> None:
    system, path = fsspec.core.url_to_fs(address)
    system.pipe_file(f"{path}/thesis.txt", b"mine")
    with pytest.raises(InputError, match="holds files, and no job"):
        replace(job, output_folder=address).run()
    assert _found(address).keys() == {"thesis.txt"}


def test_input_in_the_store(job: hub.EncodeJob, address: str) -> None:
    system, path = fsspec.core.url_to_fs(address)
    system.pipe_file(f"{path}/texts/a.txt", "\n".join(TEXTS[:5]).encode())
    system.pipe_file(f"{path}/texts/b.txt", "\n".join(TEXTS[5:]).encode())
    remote = replace(job, inputs=f"{address}/texts/", output_folder=f"{address}/vectors")
    assert [record.rows for record in remote.run().shards] == [4, 4, 3]
    system.pipe_file(f"{path}/texts/b.txt", b"other")
    with pytest.raises(InputError, match=r"b\.txt has changed since the job was planned"):
        remote.run()


def test_a_failed_write_is_an_error_about_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RemoteFolder("memory://broken/out")

    def fail(*arguments: Any, **options: Any) -> None:
        raise PermissionError("Forbidden")

    monkeypatch.setattr(folder._remote.system, "pipe_file", fail)
    with pytest.raises(WriteError, match=r"memory://broken/out/a\.json: access to .* is refused"):
        folder.note("a.json", b"{}")


def test_a_claim_is_made_once(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RemoteFolder(address)
    assert folder.claim("_job/claims/000000", b"a")
    assert not folder.claim("_job/claims/000000", b"b")
    # As where another runner makes it between the two requests.
    monkeypatch.setattr(folder, "exists", lambda name: False)
    assert not folder.claim("_job/claims/000000", b"b")
    assert not folder.write_new("_job/claims/000000", b"b")
    assert folder.read("_job/claims/000000") == b"a"
