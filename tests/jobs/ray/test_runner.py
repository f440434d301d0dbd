"""Jobs on Ray: the same files as without it, also when workers and nodes are killed."""

import contextlib
import hashlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import berthub as hub
from berthub.errors import InputError
from berthub.jobs.claims import Claims, runner_notes
from berthub.jobs.folder import LocalFolder

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
        _until(lambda: len(list(Path(job.output_folder).glob("*.parquet"))) == 19)
        time.sleep(1)
        assert not done
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
        job.run(runner="ray")
    assert not list(Path(job.output_folder).glob("*.parquet"))


def _until(true: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)
    return found


def _workers(job: hub.EncodeJob) -> list[int]:
    """The processes that compute a shard now."""
    notes = runner_notes(LocalFolder(Path(job.output_folder)))
    # Of one that was killed the note stays until its shard is taken over.
    return [note.process for note in notes if note.process != os.getpid() and Path(f"/proc/{note.process}").exists()]


def _killing(job: hub.EncodeJob, times: int) -> int:
    """Kill workers of the job while it runs; how many."""
    killed = 0
    for shards in range(2, 2 + 4 * times, 4):
        _until(lambda shards=shards: len(list(Path(job.output_folder).glob("*.parquet"))) >= shards)
        for process in _until(lambda: _workers(job) or (job.status().finished and [0])):
            if process:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                    killed += 1
                break
    return killed


def test_killed_workers_change_nothing(job: hub.EncodeJob, expected: dict[str, str], cluster: Any) -> None:
    killed: list[int] = []
    killer = threading.Thread(target=lambda: killed.append(_killing(job, 3)))
    killer.start()
    job.run(runner="ray")
    killer.join()
    assert killed[0] >= 2
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
