"""Jobs on Ray: the same files as without it, also when workers and nodes are killed."""

import hashlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import berthub as hub
from berthub.errors import InputError
from berthub.jobs.claims import Claims
from berthub.jobs.folder import LocalFolder
from berthub.jobs.ray.worker import ShardWorker, Work
from berthub.jobs.records import ATTEMPTS, record_name

pytestmark = pytest.mark.slow

ROWS = 600


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("input") / "in.csv"
    texts = (f"text number {index} of " + "many words " * (index % 25) for index in range(ROWS))
    path.write_text("n,text\n" + "".join(f"{index},{text}\n" for index, text in enumerate(texts)))
    return path


@pytest.fixture
def job(models: Path, source: Path, tmp_path: Path) -> hub.EncodeJob:
    """A job of 20 shards; each worker has one thread."""
    return hub.EncodeJob(
        source, tmp_path / "out", model=models / "tf2_v4", output="mean", engine="numpy", shard_rows=30, threads=1
    )


@pytest.fixture
def expected(job: hub.EncodeJob, tmp_path: Path) -> dict[str, str]:
    """The hashes of the files that the job writes without Ray."""
    local = replace(job, output_folder=tmp_path / "local")
    local.run()
    return _files(local.output_folder)


def _files(folder: str | os.PathLike[str]) -> dict[str, str]:
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_files_are_the_same_and_nothing_else_stays(
    job: hub.EncodeJob, expected: dict[str, str], cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[Any] = []
    # The folder's name is understood where the job runs.
    monkeypatch.chdir(tmp_path)
    manifest = replace(job, output_folder="out").run(runner="ray", on_progress=steps.append)
    assert _files(tmp_path / "out") == expected
    assert manifest.totals["rows"] == ROWS
    assert [(step.shards, step.rows) for step in (steps[0], steps[-1])] == [(1, 30), (20, ROWS)]
    assert steps[-1].tokens == manifest.totals["tokens"]
    # Again: nothing is to be done.
    replace(job, output_folder="out").run(runner="ray", on_progress=steps.append)
    assert len(steps) == 20


@pytest.mark.cluster
def test_a_job_goes_on_with_another_runner(
    job: hub.EncodeJob, expected: dict[str, str], cluster: Any, tmp_path: Path
) -> None:
    class StopError(Exception):
        pass

    def stop(progress: Any) -> None:
        if progress.shards >= 5:
            raise StopError

    for runner in ("ray", "local"):
        with pytest.raises(StopError):
            job.run(runner=runner, on_progress=stop)  # type: ignore[arg-type]
        other = "local" if runner == "ray" else "ray"
        job.run(runner=other)  # type: ignore[arg-type]
        assert _files(job.output_folder) == expected
        job = replace(job, output_folder=tmp_path / "again")


@pytest.mark.cluster
def test_shards_of_other_runners_are_waited_for(job: hub.EncodeJob, expected: dict[str, str], cluster: Any) -> None:
    done: list[Any] = []

    def run() -> None:
        done.append(job.run(runner="ray"))

    folder = LocalFolder(Path(job.output_folder))
    folder.begin()
    with Claims(folder) as other:
        names = {number: Path(name).name for number, name in enumerate(sorted(n for n in expected if "/" not in n))}
        assert other.take(3, names[3])
        thread = threading.Thread(target=run)
        thread.start()
        while len(list(Path(job.output_folder).glob("*.parquet"))) < 19:
            assert thread.is_alive()
            time.sleep(0.02)
        # It ends no sooner than the last shard is there, however long that takes.
        thread.join(1)
        assert thread.is_alive()
        other.release(3)
        thread.join()
    assert done
    assert _files(job.output_folder) == expected


def test_rows_that_cannot_be_computed_fail_their_shards_alone(job: hub.EncodeJob, cluster: Any, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("".join(f'{{"text": {7 if index == 45 else chr(34) + "a" + chr(34)}}}\n' for index in range(90)))
    bad = replace(job, inputs=path, to="jsonl")
    with pytest.raises(InputError, match=r"1 shard of 3 could not be computed.*row 46"):
        bad.run(runner="ray")
    assert len(list(Path(bad.output_folder).glob("*.jsonl"))) == 2


def test_another_machine_is_refused_by_its_workers(
    job: hub.EncodeJob, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from berthub.jobs import job as module

    here = module.environment_here

    def elsewhere(threads: int | None = None) -> dict[str, Any]:
        return {**here(threads), "processor": "another"}

    monkeypatch.setattr(module, "environment_here", elsewhere)
    with pytest.raises(
        InputError, match=r"on the machine .*: this is not the job that was planned: processor was anoth"
    ):
        replace(job, shard_rows=ROWS).run(runner="ray")
    assert not list(Path(job.output_folder).glob("*.parquet"))


# The moments of a shard at which its worker is killed, and the shard.
MOMENTS = {"claimed": 2, "recorded": 7, "named": 12, "finished": 17}


class DyingFolder(LocalFolder):
    """Kills the process that computes a shard: when it has claimed it, before its file has its name, and after that."""

    def note(self, name: str, data: bytes) -> None:
        super().note(name, data)
        if name == f"{ATTEMPTS}/{MOMENTS['claimed']:06}":
            self.die_once("claimed")

    def write(self, name: str, data: bytes) -> None:
        super().write(name, data)
        if name == record_name(MOMENTS["recorded"]):
            self.die_once("recorded")

    def remove(self, name: str) -> None:
        if name == f"{ATTEMPTS}/{MOMENTS['named']:06}":
            self.die_once("named")
        super().remove(name)

    def die_once(self, moment: str) -> None:
        try:
            _killed(self.address, moment).mkdir()
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


class DyingWorker(ShardWorker):
    """A worker with such a folder, which is killed also when it has finished a shard and has told nobody."""

    def __init__(self, work: Work) -> None:
        self._folder = DyingFolder(Path(work.folder.address))
        super().__init__(replace(work, folder=self._folder))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        outcomes = super().__call__(batch)
        if MOMENTS["finished"] in batch["item"]:
            self._folder.die_once("finished")
        return outcomes


def _killed(folder: str | os.PathLike[str], moment: str) -> Path:
    """The mark, beside a job's folder, of a process that was killed."""
    return Path(f"{os.fspath(folder)}-killed-when-{moment}")


@pytest.mark.cluster
def test_killed_workers_change_nothing(
    job: hub.EncodeJob, expected: dict[str, str], cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("berthub.jobs.ray.runner.ShardWorker", DyingWorker)
    job.run(runner="ray")
    assert [moment for moment in MOMENTS if _killed(job.output_folder, moment).exists()] == [*MOMENTS]
    assert _files(job.output_folder) == expected


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_cluster_that_does_not_answer_is_one_sentence_before_anything_is_computed(
    job: hub.EncodeJob, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from berthub.jobs.ray import cluster as module

    monkeypatch.setattr(module, "_PATIENCE", 0.5)
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{nobody}")
    for address, message in (
        (f"127.0.0.1:{nobody}", f"no Ray cluster answers at 127.0.0.1:{nobody} .Connection refused.: start one with"),
        (f"127.0.0.1:{silent}", f"no Ray cluster answers at 127.0.0.1:{silent} .timed out"),
        ("ray://127.0.0.1:10001", "ray://127.0.0.1:10001 is an address for Ray's client"),
        ("auto", f"no Ray cluster answers at 127.0.0.1:{nobody} "),
        ("nonsense", "'nonsense' is not understood: it is \"auto\" or HOST:PORT"),
    ):
        with pytest.raises(InputError, match=message):
            job.run(runner=hub.ray.RayRunner(address))
    # No plan is written either.
    assert not Path(job.output_folder).exists()
    with pytest.raises(InputError, match="workers are at least one, not 0"):
        hub.ray.RayRunner(workers=0)
