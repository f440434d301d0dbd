from pathlib import Path
from typing import Any, get_args

from berthub.choices import ExportFormat
from berthub.exports import FORMATS
from berthub.formats import read
from support.exports import assert_same


def test_the_forms_are_those_of_the_library() -> None:
    assert list(get_args(ExportFormat)) == list(FORMATS)


def test_a_model_is_written_and_its_files_are_listed(cli: Any, models: Path, tmp_path: Path) -> None:
    result = cli("export", models / "tf2_v4", "--to", "google", "-o", "out/google")
    assert result.exit_code == 0, result.output
    files = sorted((tmp_path / "out" / "google").iterdir())
    assert len(files) == 4
    for file, line in zip(files, result.stdout.splitlines(), strict=True):
        assert line == f"out/google/{file.name}  {file.stat().st_size:,} bytes"
    assert_same(read(tmp_path / "out" / "google"), read(models / "tf2_v4"))


def test_the_options_count(cli: Any, models: Path, tmp_path: Path) -> None:
    arguments = ("export", models / "google_checkpoint", "--cased", "--encoder-only", "--to", "native", "-o", "out")
    assert cli(*arguments).exit_code == 0
    config = read(tmp_path / "out").config
    assert (config.lower_case, config.mlm) == (False, False)


def test_refusals(cli: Any, models: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    result = cli("export", models / "tf2_v4", "--to", "native", "-o", "mine")
    assert result.exit_code == 2
    assert "not an empty folder" in result.stderr
    result = cli("export", models / "hf_bert", "--to", "google", "-o", "out")
    assert result.exit_code == 4
    assert "activation is gelu_erf" in result.stderr
    assert not (tmp_path / "out").exists()
    result = cli("export", models / "hf_bert", "--to", "native", "-o", "out", "--sha256", "0" * 64)
    assert result.exit_code == 3
    assert not (tmp_path / "out").exists()
