"""Jobs: any input becomes a folder of shards; the same job goes on where it was, and ends with the same bytes."""

import gzip
import hashlib
import json
import os
import re
import shutil
import threading
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
from berthub.jobs import planning
from berthub.jobs.claims import Claims
from berthub.jobs.folder import LocalFolder
from support.heads import with_head

TEXTS = [f"text number {index} of " + "many " * (index % 7) for index in range(25)]


@pytest.fixture
def job(models: Path, tmp_path: Path) -> hub.EncodeJob:
    """A job of 25 rows in shards of 4, with a small model."""
    path = tmp_path / "in.csv"
    path.write_text("n,text\n" + "".join(f"{index},{text}\n" for index, text in enumerate(TEXTS)))
    return hub.EncodeJob(path, tmp_path / "out", model=models / "tf2_v4", output="mean", engine="numpy", shard_rows=4)


def _files(folder: str | os.PathLike[str]) -> dict[str, str]:
    """The hashes of all files in a folder, hidden ones among them."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _table(folder: str | os.PathLike[str]) -> Any:
    return pa.concat_tables([pq.read_table(path) for path in sorted(Path(folder).glob("*.parquet"))])


def test_vectors_are_the_encoders(job: hub.EncodeJob, models: Path) -> None:
    manifest = job.run()
    table = _table(job.output_folder)
    assert table.column_names == ["n", "text", "mean"]
    assert table["text"].to_pylist() == TEXTS
    vectors = np.stack(table["mean"].to_numpy())
    expected = hub.load(models / "tf2_v4", engine="numpy").embed(TEXTS, pooling="mean")
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert [record.rows for record in manifest.shards] == [4] * 6 + [1]
    assert manifest.totals["rows"] == manifest.totals["written"] == 25


def test_a_prompt_goes_before_every_text(job: hub.EncodeJob, models: Path) -> None:
    replace(job, prompt="many ").run()
    vectors = np.stack(_table(job.output_folder)["mean"].to_numpy())
    prompted = [f"many {text}" for text in TEXTS]
    expected = hub.load(models / "tf2_v4", engine="numpy").embed(prompted, pooling="mean")
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_only_the_plan_and_the_manifest_stay_beside_the_shards(job: hub.EncodeJob) -> None:
    manifest = job.run()
    names = {record.file for record in manifest.shards}
    assert set(_files(job.output_folder)) == {"_job/plan.json", "_job/manifest.json", *names}
    stored = orjson.loads((Path(job.output_folder) / "_job/manifest.json").read_bytes())
    for record in stored["shards"]:
        content = (Path(job.output_folder) / record["file"]).read_bytes()
        assert (record["size"], record["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_a_finished_job_does_nothing(job: hub.EncodeJob) -> None:
    job.run()
    before = {path: path.stat().st_mtime_ns for path in Path(job.output_folder).glob("*.parquet")}
    steps: list[Any] = []
    job.run(on_progress=steps.append)
    assert {path: path.stat().st_mtime_ns for path in Path(job.output_folder).glob("*.parquet")} == before
    assert steps == []


@pytest.mark.parametrize("lost", [[0], [6], [1, 3, 4], range(7)])
def test_missing_shards_are_computed_again_and_are_the_same(job: hub.EncodeJob, lost: Any) -> None:
    manifest = job.run()
    before = _files(job.output_folder)
    for number in lost:
        (Path(job.output_folder) / manifest.shards[number].file).unlink()
    steps: list[Any] = []
    job.run(on_progress=steps.append)
    assert _files(job.output_folder) == before
    assert sum(1 for _ in lost) == len(steps)


def test_an_interrupted_job_goes_on(job: hub.EncodeJob) -> None:
    class StopError(Exception):
        pass

    def stop(progress: Any) -> None:
        if progress.rows == 12:
            raise StopError

    with pytest.raises(StopError):
        job.run(on_progress=stop)
    assert not (Path(job.output_folder) / "_job/manifest.json").exists()
    assert not list(Path(job.output_folder).rglob(".*"))
    done = len(list(Path(job.output_folder).glob("*.parquet")))
    assert 1 <= done <= 3
    steps: list[Any] = []
    job.run(on_progress=steps.append)
    assert sum(step.rows for step in steps[-1:]) == 25 - 4 * done
    whole = replace(job, output_folder=f"{job.output_folder}2")
    whole.run()
    assert _files(job.output_folder) == _files(whole.output_folder)


def test_two_runners_share_the_work(job: hub.EncodeJob) -> None:
    rows: list[int] = []
    errors: list[BaseException] = []

    def run() -> None:
        counts = [0]
        try:
            job.run(on_progress=lambda progress: counts.append(progress.rows))
        except BaseException as error:
            errors.append(error)
        rows.append(counts[-1])

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    whole = replace(job, output_folder=f"{job.output_folder}2")
    whole.run()
    assert _files(job.output_folder) == _files(whole.output_folder)
    assert sum(rows) == 25


def test_what_a_dead_runner_left_is_taken_over(job: hub.EncodeJob) -> None:
    job.run()
    before = _files(job.output_folder)
    shard = next(Path(job.output_folder).glob("shard-000002*"))
    dead = Claims(LocalFolder(Path(job.output_folder)))
    with dead:
        assert dead.take(2, shard.name)
        copied = f"{job.output_folder}-copy"
        shutil.copytree(job.output_folder, copied)
    shard = Path(copied) / shard.name
    shard.rename(shard.with_name(f".{shard.name}.01234567.part"))
    replace(job, output_folder=copied).run()
    assert _files(copied) == before


CHANGES: dict[str, tuple[Callable[[hub.EncodeJob], Any], str]] = {
    "a row": (
        lambda job: Path(str(job.inputs)).write_text("n,text\n1,other\n"),
        r"in\.csv has changed since the job was planned: it had .* bytes and has 15",
    ),
    "a letter": (
        lambda job: Path(str(job.inputs)).write_text(Path(str(job.inputs)).read_text().replace("number 3", "number E")),
        r"in\.csv has changed since the job was planned\. Put it back",
    ),
    "another file": (
        lambda job: replace(job, inputs=[job.inputs, shutil.copy(str(job.inputs), f"{job.inputs}.csv")]),
        r"in\.csv\.csv was not among the inputs",
    ),
    "an option": (lambda job: replace(job, output="max"), "output was mean and is max"),
    "a length": (lambda job: replace(job, max_length=9), "max_length was 64 and is 9"),
    "the size of shards": (lambda job: replace(job, shard_rows=5), "shard_rows was 4 and is 5"),
    "the column": (lambda job: replace(job, text_column="n"), "text was text and is n"),
    "the model": (
        lambda job: replace(job, model=Path(str(job.model)).parent / "tf2_v2"),
        r"model was .*tf2_v4 and is .*tf2_v2",
    ),
    "reading": (lambda job: replace(job, missing="skip"), "missing was None and is skip"),
    "the machine": (lambda job: replace(job, any_machine=True), "whether any machine may compute any shard"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_job_is_refused_and_nothing_is_touched(job: hub.EncodeJob, change: str) -> None:
    job.run()
    before = _files(job.output_folder)
    changed, message = CHANGES[change]
    made = changed(job)
    with pytest.raises(InputError, match=message):
        (made if isinstance(made, hub.EncodeJob) else job).run()
    assert _files(job.output_folder) == before


def test_another_machine_is_refused(job: hub.EncodeJob) -> None:
    job.run()
    path = Path(job.output_folder) / "_job/plan.json"
    plan = orjson.loads(path.read_bytes())
    plan["environment"]["threads"] = 64
    path.write_bytes(orjson.dumps(plan))
    with pytest.raises(InputError, match="is damaged, or was changed"):
        job.run()
    from berthub.jobs.plan import Plan

    plan.pop("id")
    changed = Plan._of(plan)
    path.write_bytes(changed.to_bytes())
    with pytest.raises(InputError, match="threads was 64 and is"):
        job.run()


def test_a_touched_file_is_the_same(job: hub.EncodeJob) -> None:
    job.run()
    before = _files(job.output_folder)
    os.utime(str(job.inputs))
    next(Path(job.output_folder).glob("*.parquet")).unlink()
    job.run()
    assert _files(job.output_folder) == before


def test_folders_of_other_things_are_refused(job: hub.EncodeJob, tmp_path: Path) -> None:
    folder = Path(job.output_folder)
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds files, and no job"):
        job.run()
    assert _files(folder).keys() == {"thesis.txt"}
    with pytest.raises(InputError, match="is a file: a job writes a folder"):
        replace(job, output_folder=folder / "thesis.txt").run()
    with pytest.raises(InputError, match="no file matches"):
        replace(job, inputs=str(tmp_path / "*.nothing")).run()


def test_a_plan_of_another_version_is_refused(job: hub.EncodeJob) -> None:
    job.run()
    path = Path(job.output_folder) / "_job/plan.json"
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2', 1))
    with pytest.raises(InputError, match="is a plan of version 2, and this berthub knows 1"):
        job.run()


BAD_ROWS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "no string": ("jsonl", lambda path: path.write_text(_json_lines({9: {"text": 9}, 20: {"text": ["a"]}}))),
    "no text": ("jsonl", lambda path: path.write_text(_json_lines({9: {"other": "a"}, 20: {}}))),
    "no JSON": ("jsonl", lambda path: path.write_text(_json_lines({9: "broken", 20: [1]}))),
    "no UTF-8": ("jsonl", lambda path: path.write_bytes(_broken(_json_lines({}).encode()))),
    "no UTF-8 in CSV": ("csv", lambda path: path.write_bytes(_broken(("text\n" + "\n".join(TEXTS)).encode()))),
    "no UTF-8 in text": ("txt", lambda path: path.write_bytes(_broken("\n".join(TEXTS).encode()))),
    "no UTF-8 in Parquet": ("parquet", lambda path: _broken_parquet(path)),
}


def _json_lines(changed: dict[int, Any]) -> str:
    rows = [changed.get(index, {"text": text}) for index, text in enumerate(TEXTS)]
    return "".join(json.dumps(row) + "\n" for row in rows).replace('"broken"', '{"text": "brok')


def _broken(content: bytes) -> bytes:
    return content.replace(b"number 9", b"number \xff").replace(b"number 20", b"number \xe9\xe9")


def _broken_parquet(path: Path) -> None:
    column = pa.array([_broken(text.encode()) for text in TEXTS], pa.binary())
    text = pa.Array.from_buffers(pa.string(), len(column), column.buffers())
    pq.write_table(pa.table({"text": text}), path)


@pytest.mark.parametrize("what", BAD_ROWS)
def test_rows_that_cannot_be_computed_are_skipped_and_listed(
    job: hub.EncodeJob, tmp_path: Path, models: Path, what: str
) -> None:
    extension, write = BAD_ROWS[what]
    path = tmp_path / f"bad.{extension}"
    write(path)
    bad = replace(job, inputs=path, carry_columns=False)
    with pytest.raises(InputError, match=rf"2 shards of 7 could not be computed, .*bad\.{extension}.*1[01]"):
        bad.run()
    assert len(list(Path(job.output_folder).glob("*.parquet"))) == 5
    manifest = replace(bad, on_error="skip").run()
    assert (manifest.totals["rows"], manifest.totals["written"], manifest.totals["failed"]) == (25, 25, 2)
    errors = [orjson.loads(line) for line in (Path(job.output_folder) / "_job/errors.jsonl").read_bytes().splitlines()]
    assert [(error["shard"], error["row"]) for error in errors] == [(2, 10), (5, 21)]
    assert all(error["file"] == str(path) and error["error"] for error in errors)
    found = _table(job.output_folder)["mean"].to_pylist()
    assert [index for index, vector in enumerate(found) if vector is None] == [9, 20]
    whole = [vector for vector in found if vector is not None]
    expected = hub.load(models / "tf2_v4", engine="numpy").embed(TEXTS, pooling="mean")
    np.testing.assert_allclose(whole, np.delete(expected, [9, 20], axis=0), atol=1e-6)


@pytest.mark.parametrize("to", ["parquet", "jsonl", "csv", "tsv", "npy"])
def test_every_format_has_a_place_for_rows_without_a_result(job: hub.EncodeJob, to: Any, tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(_broken("\n".join(TEXTS).encode()))
    replace(job, inputs=path, to=to, on_error="skip", shard_rows=100).run()
    (file,) = Path(job.output_folder).glob(f"*.{to}")
    match to:
        case "parquet":
            assert pq.read_table(file)["mean"].null_count == 2
        case "npy":
            assert np.flatnonzero(np.isnan(np.load(file)).all(axis=1)).tolist() == [9, 20]
        case "jsonl":
            rows = [orjson.loads(line) for line in file.read_bytes().splitlines()]
            assert [index for index, row in enumerate(rows) if row["mean"] is None] == [9, 20]
        case _:
            separator = "," if to == "csv" else "\t"
            fields = [line.split(separator)[1:] for line in file.read_text().splitlines()[1:]]
            assert [index for index, row in enumerate(fields) if not any(row)] == [9, 20]
            assert len({len(row) for row in fields}) == 1


def test_texts_that_are_too_long_can_be_skipped(job: hub.EncodeJob, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("\n".join("word " * 99 if index == 9 else text for index, text in enumerate(TEXTS)))
    manifest = replace(job, inputs=path, truncation=False, on_error="skip").run()
    assert (manifest.totals["failed"], manifest.totals["truncated"]) == (1, 0)
    assert _table(job.output_folder)["mean"].null_count == 1


@pytest.mark.parametrize("to", ["parquet", "jsonl", "csv", "tsv", "npy"])
def test_formats(job: hub.EncodeJob, to: Any, tmp_path: Path) -> None:
    replace(job, to=to).run()
    whole = tmp_path / f"whole.{to}"
    replace(job, to=to, shard_rows=100, output_folder=tmp_path / "whole").run()
    shards = sorted(Path(job.output_folder).glob(f"*.{to}"))
    (single,) = Path(tmp_path / "whole").glob(f"*.{to}")
    assert len(shards) == 7
    if to == "npy":
        found = np.concatenate([np.load(path) for path in shards])
        np.testing.assert_allclose(found, np.load(single), atol=1e-6)
    elif to == "parquet":
        assert pq.read_table(shards[0]).schema.equals(pq.read_table(single).schema)
    else:
        lines = [path.read_text().splitlines() for path in shards]
        body = [line for each in lines for line in (each if to == "jsonl" else each[1:])]
        assert len(body) == 25
    assert not whole.exists()


def test_many_small_files_share_shards(job: hub.EncodeJob, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for index, text in enumerate(TEXTS):
        content = f"text\n{text}\n".encode()
        name = f"{index:02}.csv"
        (folder / (name if index % 2 else f"{name}.gz")).write_bytes(content if index % 2 else gzip.compress(content))
    manifest = replace(job, inputs=folder).run()
    assert [record.rows for record in manifest.shards] == [4] * 6 + [1]
    assert _table(job.output_folder)["text"].to_pylist() == TEXTS


def test_json_rows_have_one_schema_in_all_shards(job: hub.EncodeJob, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(
        "".join(json.dumps({"text": text, "n": None if i < 8 else i}) + "\n" for i, text in enumerate(TEXTS))
    )
    replace(job, inputs=path).run()
    schemas = {str(pq.read_schema(each)) for each in Path(job.output_folder).glob("*.parquet")}
    assert len({schema.partition("-- ")[0] for schema in schemas}) == 1


def test_files_with_other_columns_are_refused_before_anything_is_written(job: hub.EncodeJob, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("text\none\n")
    with pytest.raises(InputError, match=r"other\.csv has other columns than"):
        replace(job, inputs=[job.inputs, other]).run()
    assert not Path(job.output_folder).exists()


def test_predictions(models: Path, tmp_path: Path) -> None:
    run = with_head(models / "tf2_v4", tmp_path / "run", "classify")
    path = tmp_path / "in.txt"
    path.write_text("\n".join(TEXTS))
    job = hub.PredictJob(run, path, tmp_path / "out", to="csv", engine="numpy", shard_rows=10)
    assert job.run().totals["written"] == 25
    found = [line for each in sorted((tmp_path / "out").glob("*.csv")) for line in each.read_text().splitlines()[1:]]
    assert [line.rpartition(",")[2] for line in found] == hub.load(run, engine="numpy").predict(TEXTS)


def test_rows_without_a_text_may_be_left_out(job: hub.EncodeJob, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"text": text if i % 5 else None}) + "\n" for i, text in enumerate(TEXTS)))
    manifest = replace(job, inputs=path, missing="skip").run()
    assert (manifest.totals["rows"], manifest.totals["written"], manifest.totals["left_out"]) == (25, 20, 5)
    assert _table(job.output_folder)["text"].to_pylist() == [text for i, text in enumerate(TEXTS) if i % 5]


@pytest.mark.parametrize("to", ["parquet", "jsonl", "csv", "tsv"])
def test_a_shard_of_which_all_rows_are_left_out_has_none(job: hub.EncodeJob, to: Any, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("n,text\n" + "".join(f"{i},{'' if 4 <= i < 8 else text}\n" for i, text in enumerate(TEXTS)))
    found = replace(job, inputs=path, missing="skip", to=to)
    manifest = found.run()
    assert [record.written for record in manifest.shards] == [4, 0, 4, 4, 4, 4, 1]
    assert found.verify() == []
    empty = Path(job.output_folder) / manifest.shards[1].file
    other = Path(job.output_folder) / manifest.shards[0].file
    match to:
        case "parquet":
            assert pq.read_schema(empty).remove_metadata() == pq.read_schema(other).remove_metadata()
            assert _table(job.output_folder).num_rows == 21
        case "jsonl":
            assert empty.read_bytes() == b""
        case _:
            assert empty.read_text().splitlines() == other.read_text().splitlines()[:1]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "token vectors to npy": ({"to": "npy", "output": "sequence_output"}, "a .npy file holds one array"),
    "token vectors to csv": ({"to": "csv", "output": "sequence_output"}, "csv holds one vector in each row"),
    "rows lost unseen": ({"missing": "skip", "carry_columns": False}, "--missing skip leaves rows out"),
    "rows lost in npy": ({"missing": "skip", "to": "npy"}, "--missing skip leaves rows out"),
    "to": ({"to": "conll"}, "to='conll' is not known; use one of parquet, jsonl, npy, csv, tsv"),
    "output": ({"output": "last"}, "output='last' is not known; use one of embedding"),
    "dtype": ({"dtype": "float64"}, "dtype='float64' is not known; use one of float32, float16"),
    "on_error": ({"on_error": "ignore"}, "on_error='ignore' is not known; use one of fail, skip"),
    "missing": ({"missing": "ignore"}, "missing='ignore' is not known; use one of error, empty, skip"),
    "input_format": ({"input_format": "xlsx"}, "format='xlsx' is not known; use one of csv"),
    "shard_rows": ({"shard_rows": "many"}, "a shard has at least one row, not 'many'"),
    "shard_rows of a flag": ({"shard_rows": True}, "a shard has at least one row, not True"),
    "no inputs": ({"inputs": []}, "no file is named"),
    "inputs of numbers": ({"inputs": [5]}, "inputs are paths, patterns or URLs, or a list of them, not 5"),
    "inputs of bytes": ({"inputs": b"in.csv"}, "inputs are paths, patterns or URLs"),
    "no folder": ({"output_folder": ""}, "a job's folder is a path or a URL, not ''"),
    "a folder of the web": ({"output_folder": "https://127.0.0.1:9/out"}, "https://127.0.0.1:9/out can only be read"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_arguments_are_refused_before_anything_is_written(job: hub.EncodeJob, what: str) -> None:
    wrong, message = WRONG[what]
    with pytest.raises(InputError, match=re.escape(message)):
        replace(job, **wrong).run()
    assert not Path(job.output_folder).exists()


def test_wrong_arguments_of_predictions(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("a text")
    job = hub.PredictJob(models / "tf2_v4", path, tmp_path / "out", engine="numpy")
    for wrong, message in (
        ({"to": "npy"}, "to='npy' is not known"),
        ({"missing": "skip", "carry_columns": False}, "--missing skip leaves rows out"),
        ({}, "was not fine-tuned, it has no head to predict with"),
    ):
        with pytest.raises(InputError, match=message):
            replace(job, **wrong).run()  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_the_input_is_read_once_before_the_model(job: hub.EncodeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Any] = []
    read = planning.first_rows
    monkeypatch.setattr("berthub.jobs.job.first_rows", lambda *args: reads.append(args) or read(*args))
    job.run()
    assert len(reads) == 1
