import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from berthub import atomic


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("the fox\n")
    return path


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_existing_file_is_refused(cli: Any, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("precious")
    result = cli("encode", corpus, "-o", "out.jsonl")
    assert result.exit_code == 2
    assert "out.jsonl exists; use --overwrite" in result.stderr
    assert (tmp_path / "out.jsonl").read_text() == "precious"
    assert cli("encode", corpus, "-o", "out.jsonl", "--overwrite").exit_code == 0
    assert (tmp_path / "out.jsonl").read_text().startswith('{"text":"the fox"')


def test_an_error_leaves_the_old_file(cli: Any, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("precious")
    corpus.write_bytes(b"fox\n" * 5000 + b"\xff\n")
    assert cli("encode", corpus, "-o", "out.jsonl", "--overwrite").exit_code == 2
    assert (tmp_path / "out.jsonl").read_text() == "precious"
    assert _files(tmp_path) == ["corpus.txt", "out.jsonl"]


@pytest.mark.parametrize("name", ["corpus.txt", "link.txt", "hard.txt", "./sub/../corpus.txt"])
def test_the_input_is_never_the_output(cli: Any, corpus: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.txt").symlink_to(corpus)
    (tmp_path / "hard.txt").hardlink_to(corpus)
    result = cli("encode", corpus, "-o", name, "--to", "jsonl", "--overwrite")
    assert result.exit_code == 2
    assert "is the input" in result.stderr
    assert corpus.read_text() == "the fox\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "missing/out.npy"], "the folder of missing/out.npy does not exist"),
        (["-o", "folder", "--to", "npy"], "folder holds files, and no job"),
        (["-o", os.devnull, "--to", "jsonl", "--overwrite"], "exists and is no file"),
        (["-o", "out.xlsx"], "tells no format"),
        (["--to", "npy"], "standard output takes JSON lines, CSV and TSV"),
        (["-o", "-", "--to", "parquet"], "standard output takes JSON lines, CSV and TSV"),
        ([], "it is not said where the vectors of"),
    ],
)
def test_destinations_that_are_none(cli: Any, corpus: Path, tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("mine")
    result = cli("encode", corpus, *options, "-m", "no/such/model/at/all")
    assert result.exit_code == 2, "the model must not be looked for"
    assert message in result.stderr


def test_a_name_that_cannot_be(cli: Any, corpus: Path) -> None:
    result = cli("encode", corpus, "-o", "o" * 300 + ".npy", "-m", "no/such/model/at/all")
    assert result.exit_code == 6, "the model must not be looked for"
    assert "cannot be written: File name too long. Choose a shorter name" in result.stderr


def test_a_folder_that_cannot_be_written(cli: Any, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, path: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(atomic._TellingFile, "__init__", refuse)
    result = cli("encode", corpus, "-o", "out.npy", "-m", "no/such/model/at/all")
    assert result.exit_code == 6
    assert "out.npy cannot be written: Permission denied" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk(corpus: Path, models: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*BERTHUB, "encode", str(corpus), "-o", "-", "-m", str(models / "tf2_v4")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 6
    assert done.stderr.startswith("error: standard output cannot be written: No space left on device. ")


def test_a_link_is_written_through(cli: Any, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "out.jsonl").symlink_to(tmp_path / "sub" / "target.jsonl")
    assert cli("encode", corpus, "-o", "out.jsonl").exit_code == 0
    assert (tmp_path / "out.jsonl").is_symlink()
    assert _files(tmp_path / "sub") == ["target.jsonl"]


def test_a_file_that_appears_meanwhile_is_kept(
    cli: Any, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from berthub.tables import json_writer

    def write_meanwhile(self: Any) -> None:
        (tmp_path / "out.jsonl").write_text("precious")

    monkeypatch.setattr(json_writer.JsonLinesWriter, "close", write_meanwhile)
    result = cli("encode", corpus, "-o", "out.jsonl")
    assert result.exit_code == 2
    assert "in the meantime" in result.stderr
    assert (tmp_path / "out.jsonl").read_text() == "precious"
    assert _files(tmp_path) == ["corpus.txt", "out.jsonl"]


BERTHUB = [sys.executable, "-m", "berthub.cli.main"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("name", ["out.parquet", "out.npy", "out.jsonl"])
def test_an_interrupted_job_leaves_nothing(
    models: Path, tmp_path: Path, name: str, number: signal.Signals, code: int
) -> None:
    words = [*BERTHUB, "encode", "-", "-o", str(tmp_path / name), "-m", str(models / "tf2_v4")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        # More than the pipes and the first block hold: when this has been taken, encoding has begun.
        process.stdin.write(b"the quick fox was quick\n" * 50_000)
        process.stdin.flush()
        assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
        process.send_signal(number)
        told = process.stderr.read()
        assert process.wait() == code
    assert b"Traceback" not in told
    assert _files(tmp_path) == []


def test_a_closed_pipe_is_no_error(models: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("the fox\n" * 20_000)
    words = [*BERTHUB, "encode", str(tmp_path / "corpus.txt"), "-o", "-", "-m", str(models / "tf2_v4")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"text":"the fox"')
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait() == 141
    assert told == b""
