"""What the README and the guides show runs as it stands there, with a tiny model behind every handle."""

import contextlib
import importlib.util
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from berthub.cli.main import app
from berthub.engines.openvino import multiplies_bytes_exactly
from support.databases import postgres
from support.needs import why_skipped

_ROOT = Path(__file__).parent.parent.parent
_DOCUMENTS = [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]
# library -> what a program says that needs it.
_NEEDED = {
    "duckdb": re.compile("import duckdb"),
    "keras": re.compile(r"KerasLayer|TextClassifier|TextRegressor|TokenClassifier|import keras|to=\"keras\""),
    "onnx": re.compile(r"to=\"onnx\""),
    "sentence_transformers": re.compile("sentence_transformer"),
    "sklearn": re.compile("sklearn"),
    "tensorflow": re.compile(r"to=\"savedmodel\"|engine=\"tensorflow\"|return_tensors=\"tf\""),
    "torch": re.compile(r"return_tensors=\"pt\""),
}
# A program that needs libraries of which berthub knows nothing: it stands on the document's first one alone.
_NEEDS = re.compile(r"needs=([\w,]+)")
# Commands that are marked `follows` stand on the programs above them, and run behind these, in the same folder.
_BLOCK = re.compile(r"^```(\S+)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _blocks(path: Path, language: str) -> list[str]:
    return [code for options, code in _marked(path, language) if not _NEEDS.search(options)]


def _marked(path: Path, language: str) -> list[tuple[str, str]]:
    found = _BLOCK.findall(path.read_text(encoding="utf-8"))
    return [(options, code) for name, options, code in found if name == language and _can_run(options)]


def _can_run(options: str) -> bool:
    """Unless it is marked as no program, or needs a processor that computes in bytes, and this one does not."""
    return "no-run" not in options and ("int8" not in options or multiplies_bytes_exactly())


def _with_libraries() -> Iterator[object]:
    for path in _DOCUMENTS:
        for number, (options, code) in enumerate(_marked(path, "python")):
            if needed := _NEEDS.search(options):
                libraries = needed[1].split(",")
                yield pytest.param(path, libraries, code, id=f"{path.stem}-{number}-{libraries[0]}")


@pytest.fixture(autouse=True)
def _tiny_model(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(handle: object = None, **options: object) -> Path:
        # What an example has saved is loaded from where it is.
        return Path(str(handle)) if handle is not None and Path(str(handle)).is_dir() else models / "tf2_v4_mlm"

    homes = ["encoding.load", "exports", "preprocessing.preprocessor", "sources.resolve", "tokenization.tokenizer"]
    if importlib.util.find_spec("keras"):
        homes += ["training.layer_kinds", "training.layer_model", "training.tasks.fine_tuner"]
    for home in homes:
        monkeypatch.setattr(f"berthub.{home}.resolve", resolve)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_text("id,text\n1,The fox was quick.\n2,It was not.\n")
    (tmp_path / "data").mkdir()
    for number in range(2):
        ids = range(1500 * number, 1500 * (number + 1))
        texts = [f"The fox was {index} years old." for index in ids]
        pq.write_table(pa.table({"id": ids, "text": texts}), tmp_path / "data" / f"{number}.parquet")


@pytest.mark.slow
@pytest.mark.parametrize("path", _DOCUMENTS, ids=lambda path: path.name)
def test_python_examples_run(path: Path) -> None:
    names: dict[str, object] = {}
    for language, options, code in _BLOCK.findall(path.read_text(encoding="utf-8")):
        if language == "sh" and "follows" in options:
            _run_commands(code)
        if language != "python" or not _can_run(options) or _NEEDS.search(options):
            continue
        # What comes behind it builds on it.
        if reason := why_skipped(*[library for library, words in _NEEDED.items() if words.search(code)]):
            pytest.skip(reason)
        exec(compile(code, str(path), "exec"), names)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "libraries", "code"), list(_with_libraries()))
def test_python_examples_with_other_libraries_run(
    path: Path,
    libraries: list[str],
    code: str,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if reason := why_skipped(*libraries):
        pytest.skip(reason)
    if "pyspark" in libraries and shutil.which("java") is None:
        pytest.skip("needs Java, for Spark")
    if "pyspark" in libraries:
        monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        # Its other processes load it.
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "mine").symlink_to(models / "tf2_v4_mlm")
    names: dict[str, Any] = {"__name__": "__main__"}
    with postgres(tmp_path) if "psycopg" in libraries else contextlib.nullcontext():
        for part in (_blocks(path, "python")[0], code):
            exec(compile(part, str(path), "exec"), names)
    for folder in {"shared", "encoded"}.intersection(each.name for each in tmp_path.iterdir()):
        assert sorted(pq.read_table(folder)["id"].to_pylist()) == list(range(3000))
    if "query" in names:
        table = pq.read_table("vectors")
        vectors = np.stack(table["embedding"].to_numpy())
        nearest = np.argmax(vectors @ names["query"] / np.linalg.norm(vectors, axis=1))
        assert str(table["id"][int(nearest)]) in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("path", _DOCUMENTS, ids=lambda path: path.name)
def test_commands_run(path: Path) -> None:
    for options, code in _marked(path, "sh"):
        if "follows" not in options:
            _run_commands(code)


def _run_commands(code: str) -> None:
    for line in code.replace("\\\n", " ").splitlines():
        # The README's set-up commands end in one of ours; CI runs the one for the tests.
        words = shlex.split(line.rpartition("/bin/berthub ")[2] if "/bin/berthub " in line else line, comments=True)
        if words and words[0] == "berthub":
            words = words[1:]
        elif "/bin/berthub " not in line:
            continue
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, f"{line}\n{result.output}"


def test_the_set_up_commands_are_there() -> None:
    commands = "".join(_blocks(_ROOT / "README.md", "sh"))
    assert re.search(r"^python3 -m venv .* install \. && .*berthub encode", commands, re.MULTILINE)
    assert re.search(r"^python3 -m venv .* && .*pytest$", commands, re.MULTILINE)


def test_links_lead_somewhere() -> None:
    for path in [*_DOCUMENTS, _ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
