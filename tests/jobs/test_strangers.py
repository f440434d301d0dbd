"""A job's folder may be a stranger's: what its files say is checked, and refused or passed over."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

import berthub as hub
from berthub.cli.job_report import print_status
from berthub.errors import InputError
from berthub.jobs.plan import Plan


@pytest.fixture
def job(models: Path, tmp_path: Path) -> hub.EncodeJob:
    path = tmp_path / "in.txt"
    path.write_text("\n".join(f"text {index}" for index in range(9)))
    job = hub.EncodeJob(path, tmp_path / "out", model=models / "tf2_v4", output="mean", engine="numpy", shard_rows=4)
    job.run()
    return job


def _state(job: hub.EncodeJob, name: str) -> Path:
    return Path(job.output_folder) / "_job" / name


def _changed(path: Path, change: Callable[[Any], Any]) -> None:
    found = orjson.loads(path.read_bytes())
    changed = change(found)
    found = found if changed is None else changed
    if path.name == "plan.json" and isinstance(found, dict):
        found.pop("id", None)
        # As a stranger would, who has read this code.
        plain = {**found, "files": {"columns": found["files"]["columns"][:-1], "rows": _without_stamps(found)}}
        found["id"] = hashlib.sha256(orjson.dumps(plain, option=orjson.OPT_APPEND_NEWLINE)).hexdigest()[:12]
    path.write_bytes(orjson.dumps(found))


def _without_stamps(found: Any) -> Any:
    return [row[:-1] if isinstance(row, list) else row for row in found["files"]["rows"]]


def _set(*path: Any) -> Callable[[Any], None]:
    *inside, last, value = path

    def change(found: Any) -> None:
        for key in inside:
            found = found[key]
        found[last] = value

    return change


_SPAN = ("shards", "rows", 0, 0)
PLANS = {
    "rows of a file": _set("files", "rows", 0, 3, "x"),
    "negative rows of a file": _set("files", "rows", 0, 3, -1),
    "rows of a span": _set(*_SPAN, 2, -5),
    "many rows of a span": _set(*_SPAN, 2, 2**63 - 1),
    "no rows of a span": _set(*_SPAN, 2, 0),
    "text in a span": _set(*_SPAN, 2, "x"),
    "a file that is not there": _set(*_SPAN, 0, 99),
    "an offset before the file": _set(*_SPAN, 4, -9),
    "an offset after the file": _set(*_SPAN, 4, 10**6),
    "a shard without rows": _set("shards", "rows", 0, []),
    "a task": _set("task", "x"),
    "a format": _set("task", "to", "zzz"),
    "an environment": _set("environment", 5),
    "an extension": _set("extension", "/../../../evil"),
    "no extension": _set("extension", 5),
    "no rows of a shard": _set("shard_rows", -1),
    "an address": _set("files", "rows", 0, 0, "a\0b"),
    "no address": _set("files", "rows", 0, 0, 7),
    "a schema": _set("schema", "AAAA"),
    "a list": lambda found: [],
}


@pytest.mark.parametrize("change", PLANS)
def test_plans_that_cannot_be_are_refused(job: hub.EncodeJob, change: str) -> None:
    _changed(_state(job, "plan.json"), PLANS[change])
    for use in (job.status, job.verify, job.run):
        with pytest.raises(InputError, match=r"plan\.json is no plan of a job, or a damaged one"):
            use()  # type: ignore[operator]


def test_a_plan_is_read_as_it_was_written(job: hub.EncodeJob) -> None:
    data = _state(job, "plan.json").read_bytes()
    assert Plan.from_bytes(data, "x").to_bytes() == data


MANIFESTS = {
    "totals": _set("totals", []),
    "rows": _set("shards", 0, "rows", "x"),
    "written": _set("shards", 0, "written", -1),
    "size": _set("shards", 0, "size", 1e9),
    "failed": _set("shards", 0, "failed", None),
    "a file": _set("shards", 0, "file", 5),
    "another key": _set("shards", 0, "other", 5),
    "shards": _set("shards", 5),
    "distinct": _set("totals", "distinct", "x"),
}


@pytest.mark.parametrize("change", MANIFESTS)
def test_manifests_that_cannot_be_are_refused(job: hub.EncodeJob, change: str) -> None:
    _changed(_state(job, "manifest.json"), MANIFESTS[change])
    for use in (job.status, job.verify):
        with pytest.raises(InputError, match=r"manifest\.json is damaged .*remove it, and run the job again"):
            use()


def test_a_list_of_errors_that_is_none_is_refused(job: hub.EncodeJob) -> None:
    _state(job, "errors.jsonl").write_text("5\n")
    with pytest.raises(InputError, match=r"manifest\.json is damaged"):
        job.status()


@pytest.mark.parametrize(
    "note",
    [
        {"rows": "x"},
        {"seconds": "x"},
        {"seconds": 1e300, "rows": 1},
        {"working": ["x", 1]},
        {"machine": 5},
        {"other": 1},
        {"rows": -1},
    ],
)
def test_notes_that_cannot_be_are_passed_over(job: hub.EncodeJob, note: dict[str, Any]) -> None:
    runner = "0" * 12
    _state(job, "runners").mkdir()
    whole = {"runner": runner, "machine": "m", "process": 1, "working": [], "seconds": 2.0, **note}
    _state(job, f"runners/{runner}.json").write_bytes(orjson.dumps(whole))
    print_status(job.status())
    assert job.verify() == []
