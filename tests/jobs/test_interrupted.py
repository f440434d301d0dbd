"""Jobs to which something happens: to their folder, their input, their process, or beside them."""

import _thread
import hashlib
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import berthub as hub
from berthub.errors import InputError, WriteError
from berthub.jobs import job as job_module
from berthub.jobs.claims import Claims
from berthub.jobs.folder import LocalFolder
from berthub.jobs.local import LocalRunner

TEXTS = [f"text number {index} of " + "many " * (index % 7) for index in range(25)]


@pytest.fixture
def job(models: Path, tmp_path: Path) -> hub.EncodeJob:
    path = tmp_path / "in.csv"
    path.write_text("n,text\n" + "".join(f"{index},{text}\n" for index, text in enumerate(TEXTS)))
    return hub.EncodeJob(path, tmp_path / "out", model=models / "tf2_v4", output="mean", engine="numpy", shard_rows=4)


@pytest.fixture
def expected(job: hub.EncodeJob, tmp_path: Path) -> dict[str, str | None]:
    """All that the job writes when nothing happens."""
    replace(job, output_folder=tmp_path / "whole").run()
    return _found(tmp_path / "whole")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("berthub-job")] == []


def _found(folder: str | os.PathLike[str]) -> dict[str, str | None]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        for path in Path(folder).rglob("*")
    }


def _once(action: Callable[[], Any]) -> Callable[[Any], None]:
    """A callback of progress that does something at the first step."""
    done: list[bool] = []

    def on_progress(progress: Any) -> None:
        if not done:
            done.append(True)
            action()

    return on_progress


@pytest.mark.parametrize("change", ["truncated", "emptied", "longer", "all truncated"])
def test_a_shard_of_another_size_is_computed_again(
    job: hub.EncodeJob, expected: dict[str, str | None], change: str
) -> None:
    shards = [Path(job.output_folder) / record.file for record in job.run().shards]
    for shard in shards if change == "all truncated" else shards[2:3]:
        content = shard.read_bytes()
        shard.write_bytes({"emptied": b"", "longer": content + b"\0"}.get(change, content[:-1]))
    job.run()
    assert _found(job.output_folder) == expected


def test_a_finished_job_writes_nothing(job: hub.EncodeJob) -> None:
    job.run()
    folders = [Path(job.output_folder), Path(job.output_folder) / "_job"]
    before = [folder.stat().st_mtime_ns for folder in folders]
    job.run()
    assert [folder.stat().st_mtime_ns for folder in folders] == before


def test_a_folder_that_is_removed_stays_removed(job: hub.EncodeJob, expected: dict[str, str | None]) -> None:
    with pytest.raises(WriteError, match=r"out was removed while the job ran: run it again"):
        job.run(on_progress=_once(lambda: shutil.rmtree(job.output_folder)))
    assert not Path(job.output_folder).exists()
    job.run()
    assert _found(job.output_folder) == expected


@pytest.mark.parametrize("change", ["other", "longer", "gone"])
def test_an_input_that_changes_meanwhile_is_refused(
    job: hub.EncodeJob, expected: dict[str, str | None], change: str
) -> None:
    path = Path(str(job.inputs))
    content = path.read_text()

    def changed() -> None:
        match change:
            case "gone":
                path.unlink()
            case "longer":
                path.write_text(content + "99,one more\n")
            case _:
                path.write_text(content.replace("number 2", "number T"))

    with pytest.raises(InputError, match=rf"could not be computed.*{path.name} (has changed|cannot be read|is not)"):
        job.run(on_progress=_once(changed))
    path.write_text(content)
    job.run()
    assert _found(job.output_folder) == expected


def test_an_input_that_grows_while_it_is_planned_is_refused(
    job: hub.EncodeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(str(job.inputs))
    checksum_of = job_module.make_plan.__globals__["checksum_of"]

    def late(file: Any) -> Any:
        with path.open("a") as opened:
            opened.write("99,one more\n")
        return checksum_of(file)

    monkeypatch.setitem(job_module.make_plan.__globals__, "checksum_of", late)
    with pytest.raises(InputError, match=r"in\.csv was written to while its rows were counted"):
        job.run()
    assert not Path(job.output_folder).exists()


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_a_folder_if_it_leads_to_one(
    job: hub.EncodeJob, expected: dict[str, str | None], tmp_path: Path, there: bool
) -> None:
    target = tmp_path / "disk"
    if there:
        target.mkdir()
    Path(job.output_folder).symlink_to(target)
    if there:
        job.run()
        assert Path(job.output_folder).is_symlink()
        assert _found(target) == expected
    else:
        with pytest.raises(WriteError, match="File exists"):
            job.run()


def test_of_two_plans_the_first_one_counts(job: hub.EncodeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    make_plan = job_module.make_plan
    first = replace(job, output="max")
    written: dict[str, str | None] = {}

    def late(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(job_module, "make_plan", make_plan)
        first.run()
        written.update(_found(job.output_folder))
        return make_plan(*arguments, **options)

    monkeypatch.setattr(job_module, "make_plan", late)
    with pytest.raises(InputError, match="output was max and is mean"):
        job.run()
    assert _found(job.output_folder) == written


@pytest.mark.parametrize("look", ["make_plan", "read_plan"])
def test_the_same_plan_twice_is_one(
    job: hub.EncodeJob, expected: dict[str, str | None], monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    original = getattr(job_module, look)

    def late(*arguments: Any, **options: Any) -> Any:
        found = original(*arguments, **options)
        monkeypatch.setattr(job_module, look, original)
        job.run()
        return found

    monkeypatch.setattr(job_module, look, late)
    job.run()
    assert _found(job.output_folder) == expected


def test_a_runner_that_was_taken_for_dead_goes_on(job: hub.EncodeJob, expected: dict[str, str | None]) -> None:
    # While this one is at its first shard, another one, which has no patience, does all of them, and sweeps the folder.
    job.run(
        runner=LocalRunner(beat=1000),
        on_progress=_once(lambda: job.run(runner=LocalRunner(patience=0, beat=1000))),
    )
    assert _found(job.output_folder) == expected


@pytest.mark.timeout(60)
def test_an_interrupt_does_not_wait_for_other_runners(job: hub.EncodeJob, expected: dict[str, str | None]) -> None:
    job.run()
    shard = next(Path(job.output_folder).glob("shard-000002*"))
    shard.unlink()
    with Claims(LocalFolder(Path(job.output_folder))) as other:
        assert other.take(2, shard.name)
        timer = threading.Timer(1, _thread.interrupt_main)
        # Without Python's own handler an interrupt is nothing, and what ran before may have left another.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            timer.start()
            with pytest.raises(KeyboardInterrupt):
                job.run()
            timer.join()
        finally:
            if before is not None:
                signal.signal(signal.SIGINT, before)
    job.run()
    assert _found(job.output_folder) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_fork_while_a_job_runs_changes_nothing(job: hub.EncodeJob, expected: dict[str, str | None]) -> None:
    children: list[int] = []

    def fork() -> None:
        child = os.fork()
        if not child:
            os._exit(0)
        children.append(child)

    job.run(on_progress=_once(fork))
    os.waitpid(children[0], 0)
    assert _found(job.output_folder) == expected
