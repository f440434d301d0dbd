"""Jobs that compute equal texts once: the same output, less work, and the same bytes whatever ends a run."""

import contextlib
import hashlib
import json
import shutil
import threading
import uuid
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import berthub as hub
from berthub.errors import InputError
from berthub.jobs import distinct_index, vectors
from berthub.jobs.folder import LocalFolder
from berthub.jobs.job import Runner
from support.heads import with_head

# Of 60 texts many are there more than once, in a file, a shard and a block, and across them; some are empty.
TEXTS = [f"text number {index * index % 17} of " + "many " * (index % 3) for index in range(60)]
TEXTS[5] = TEXTS[31] = TEXTS[59] = ""
DISTINCT = len(set(TEXTS))


@pytest.fixture
def job(models: Path, tmp_path: Path) -> hub.EncodeJob:
    """A job of 60 rows in three files and in shards of 8, with a small model."""
    folder = tmp_path / "in"
    folder.mkdir()
    for part in range(3):
        lines = [f"{index},{TEXTS[index]}\n" for index in range(20 * part, 20 * part + 20)]
        (folder / f"{part}.csv").write_text("n,text\n" + "".join(lines))
    return hub.EncodeJob(
        folder,
        tmp_path / "out",
        model=models / "tf2_v4",
        output="mean",
        engine="numpy",
        shard_rows=8,
        dedupe=True,
    )


def _plain(job: Any) -> Any:
    return replace(job, dedupe=False, output_folder=f"{job.output_folder}-plain")


def _files(folder: Any) -> dict[str, str]:
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _table(folder: Any) -> Any:
    return pa.concat_tables([pq.read_table(path) for path in sorted(Path(folder).glob("*.parquet"))])


def _assert_same_output(job: Any, column: str = "mean") -> Any:
    """Run the job with and without; both have the same rows and records, and its manifest is returned."""
    found, expected = job.run(), _plain(job).run()
    assert job.verify() == []
    one, other = _table(job.output_folder), _table(_plain(job).output_folder)
    assert one.schema.remove_metadata() == other.schema.remove_metadata()
    assert one.drop_columns([column]).equals(other.drop_columns([column]))
    vectors, others = one[column].to_pylist(), other[column].to_pylist()
    assert [each is None for each in vectors] == [each is None for each in others]
    np.testing.assert_allclose(
        [each for each in vectors if each is not None], [each for each in others if each is not None], atol=1e-6
    )
    for record, without in zip(found.shards, expected.shards, strict=True):
        names = ("number", "rows", "written", "empty", "left_out", "truncated", "failed", "tokens", "errors")
        assert [getattr(record, name) for name in names] == [getattr(without, name) for name in names]
    assert {path.name for path in (Path(job.output_folder) / "_job").iterdir()} == {
        path.name for path in (Path(_plain(job).output_folder) / "_job").iterdir()
    }
    return found


def _computed(monkeypatch: pytest.MonkeyPatch) -> Counter[Any]:
    """Count how often each text is computed from now on."""
    counts, compute = Counter[Any](), vectors.compute

    def counted(encoder: Any, texts: Any, request: Any) -> Any:
        counts.update(texts)
        return compute(encoder, texts, request)

    monkeypatch.setattr("berthub.jobs.encode.compute", counted)
    return counts


def test_output_is_that_without(job: hub.EncodeJob) -> None:
    manifest = _assert_same_output(job)
    assert manifest.totals["distinct"] == DISTINCT
    assert "distinct" not in _plain(job).run().totals
    assert job.run() == manifest


def test_each_text_is_computed_once(job: hub.EncodeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = _computed(monkeypatch)
    steps: list[Any] = []
    job.run(on_progress=steps.append)
    assert counts == Counter(set(TEXTS))
    assert (steps[-1].rows, steps[-1].all_rows, steps[-1].before) == (DISTINCT, DISTINCT, 0)
    assert all(step.distinct for step in steps)
    assert [step.rows for step in steps] == sorted(step.rows for step in steps)


def test_pairs(job: hub.EncodeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [("ab", "c"), ("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", ""), ("", ""), ("a", "bc"), ("1", "2")] * 3
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps({"one": one, "two": two}) + "\n" for one, two in pairs))
    paired = replace(job, inputs=path, text_column="one", text_pair_column="two", missing="empty")
    assert _assert_same_output(paired).totals["distinct"] == 6
    counts = _computed(monkeypatch)
    replace(paired, output_folder=tmp_path / "again").run()
    assert counts == Counter(set(pairs))


@pytest.mark.parametrize("missing", [None, "empty", "skip"])
def test_rows_without_a_text_and_rows_at_fault(job: hub.EncodeJob, tmp_path: Path, missing: Any) -> None:
    rows: list[Any] = [{"text": text or None, "n": index} for index, text in enumerate(TEXTS)]
    rows[9] = {"text": 9}
    rows[20] = {"text": [], "n": 20}
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = _assert_same_output(replace(job, inputs=path, on_error="skip", missing=missing))
    assert manifest.totals["failed"] == 2
    assert manifest.totals["left_out"] == (3 if missing == "skip" else 0)


def test_rows_at_fault_fail_their_shards_alone_and_nothing_is_computed_again(
    job: hub.EncodeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(
        "".join(json.dumps({"text": text or None if index != 9 else 9}) + "\n" for index, text in enumerate(TEXTS))
    )
    bad = replace(job, inputs=path, missing="error", carry_columns=False)
    with pytest.raises(InputError, match="4 shards of 8 could not be computed"):
        bad.run()
    assert len(list(Path(job.output_folder).glob("*.parquet"))) == 4
    status = bad.status()
    assert (status.finished, status.shards_done) == (False, 4)
    assert status.distinct == status.distinct_done == len({*TEXTS} - {TEXTS[9]}) + (TEXTS[9] in TEXTS[10:])
    counts = _computed(monkeypatch)
    with pytest.raises(InputError, match="3 shards of 8 could not be computed"):
        replace(bad, on_error="skip").run()
    assert not counts


@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_texts_that_are_too_long(job: hub.EncodeJob, tmp_path: Path, on_error: Any) -> None:
    path = tmp_path / "in.txt"
    path.write_text("\n".join("word " * 99 if index in (9, 30) else text for index, text in enumerate(TEXTS)))
    long = replace(job, inputs=path, truncation=False, on_error=on_error)
    if on_error == "fail":
        with pytest.raises(InputError, match=r"2 shards of 8 .*in\.txt, row 10 .*: the text has 299 tokens"):
            long.run()
    else:
        assert _assert_same_output(long).totals["failed"] == 2
    cut = replace(job, inputs=path, output_folder=tmp_path / "truncated")
    assert _assert_same_output(cut).totals["truncated"] == 2


@pytest.mark.parametrize("to", ["parquet", "jsonl", "csv", "npy"])
def test_formats_and_half_precision(job: hub.EncodeJob, to: Any) -> None:
    half = replace(job, to=to, dtype="float16")
    half.run()
    assert half.verify() == []
    assert len(list(Path(job.output_folder).glob(f"*.{to}"))) == 8


@pytest.mark.parametrize("task", ["classify", "multi_label", "regress"])
def test_predictions(models: Path, tmp_path: Path, task: Any) -> None:
    run = with_head(models / "tf2_v4", tmp_path / "run", task)
    path = tmp_path / "in.txt"
    path.write_text("\n".join(TEXTS))
    job = hub.PredictJob(
        run,
        path,
        tmp_path / "out",
        engine="numpy",
        shard_rows=8,
        dedupe=True,
        probabilities=task != "regress",
    )
    assert job.run().totals["distinct"] == DISTINCT
    _plain(job).run()
    found, expected = _table(job.output_folder), _table(_plain(job).output_folder)
    if task == "regress":
        np.testing.assert_allclose(found["prediction"], expected["prediction"], atol=1e-5)
    else:
        assert found["prediction"].equals(expected["prediction"])
        tables = (found["probabilities"], expected["probabilities"])
        one, other = ([list(each.values()) for each in table.to_pylist()] for table in tables)
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_what_has_no_vector_for_a_text_is_refused(job: hub.EncodeJob, models: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="each token or word has its own: leave out --dedupe"):
        replace(job, output="sequence_output").run()
    run = with_head(models / "tf2_v4", tmp_path / "run", "tag")
    path = tmp_path / "in.conll"
    path.write_text("One O\ntwo O\n\n")
    with pytest.raises(InputError, match="each token or word has its own: leave out --dedupe"):
        hub.PredictJob(run, path, tmp_path / "out", engine="numpy", dedupe=True).run()
    assert not Path(job.output_folder).exists()


def test_other_runners_are_refused(job: hub.EncodeJob) -> None:
    class Other(Runner):
        def run(self, plan: Any, **options: Any) -> Any:
            raise AssertionError

    with pytest.raises(InputError, match="only the local runner computes equal texts once"):
        job.run(runner=Other())


def test_it_belongs_to_the_plan(job: hub.EncodeJob) -> None:
    job.run()
    with pytest.raises(InputError, match="dedupe was True and is False"):
        replace(job, dedupe=False).run()
    _plain(job).run()
    with pytest.raises(InputError, match="dedupe was False and is True"):
        replace(_plain(job), dedupe=True).run()


@pytest.mark.parametrize("lost", [[0], [7], [2, 5], range(8)])
def test_missing_shards_are_computed_again_from_the_texts_that_they_need(
    job: hub.EncodeJob, lost: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = job.run()
    before = _files(job.output_folder)
    for number in lost:
        (Path(job.output_folder) / manifest.shards[number].file).unlink()
    counts = _computed(monkeypatch)
    job.run()
    assert _files(job.output_folder) == before
    assert set(counts.values()) == {1}
    if list(lost) == [0]:
        # One distinct shard has them.
        assert len(counts) == 8


def _copied(folder: Path, target: Path) -> None:
    """Copy a folder in which others are at work."""
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                copy = target / path.relative_to(folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())


def test_wherever_it_was_killed_the_same_job_ends_with_the_same_bytes(
    job: hub.EncodeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill leaves is what is there at that moment: the folder is copied before and after each file is there."""
    folder, moments, written = Path(job.output_folder), list[Path](), LocalFolder.written

    @contextlib.contextmanager
    def copying(self: LocalFolder, name: str) -> Any:
        for place in ("before", "after"):
            moments.append(tmp_path / f"{len(moments):03} {place} {Path(name).name}")
            if place == "before":
                with written(self, name) as file:
                    yield file
                    file.flush()
                    _copied(folder, moments[-1])
            else:
                _copied(folder, moments[-1])

    with monkeypatch.context() as patch:
        patch.setattr(LocalFolder, "written", copying)
        job.run()
    expected = _files(job.output_folder)
    # Count, index, distinct shards, shards and their records, manifest.
    assert len(moments) == 2 * (2 + len(range(0, DISTINCT, 8)) + 2 * 8 + 1)
    for moment in moments:
        replace(job, output_folder=moment).run()
        assert _files(moment) == expected, moment.name
        shutil.rmtree(moment)


def test_two_runners_share_the_work(job: hub.EncodeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    counts, built, build = _computed(monkeypatch), [0], distinct_index.build_index

    def counted(plan: Any, folder: Any) -> None:
        built[0] += 1
        build(plan, folder)

    monkeypatch.setattr("berthub.jobs.deduped.build_index", counted)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            job.run()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert built == [1]
    assert set(counts.values()) == {1}
    whole = replace(job, output_folder=f"{job.output_folder}2")
    whole.run()
    assert _files(job.output_folder) == _files(whole.output_folder)


def test_a_remote_folder_gets_the_same_files(job: hub.EncodeJob) -> None:
    address = f"memory://{uuid.uuid4().hex}/out"
    remote = replace(job, output_folder=address)
    remote.run()
    job.run()
    system, path = fsspec.core.url_to_fs(address)
    found = {
        name[len(path) :].strip("/"): hashlib.sha256(system.cat_file(name)).hexdigest() for name in system.find(path)
    }
    assert found == _files(job.output_folder)
    assert remote.verify() == []
    assert remote.status().distinct == DISTINCT


def test_status_tells_of_distinct_texts(job: hub.EncodeJob) -> None:
    seen: list[Any] = []
    job.run(on_progress=lambda progress: seen.append(job.status()))
    assert (seen[0].dedupe, seen[0].distinct, seen[0].shards_done) == (True, DISTINCT, 0)
    assert seen[0].runners[0].distinct
    assert seen[0].working == ()
    done = [status.distinct_done for status in seen]
    assert done == sorted(done)
    assert done[-1] == DISTINCT
    assert (job.status().distinct, job.status().finished) == (DISTINCT, True)


def test_input_that_changes_is_refused(job: hub.EncodeJob) -> None:
    def change(progress: Any) -> None:
        path = Path(str(job.inputs)) / "2.csv"
        path.write_text(path.read_text().replace("text", "best"))

    with pytest.raises(InputError, match="has changed since the job was planned"):
        job.run(on_progress=change)
