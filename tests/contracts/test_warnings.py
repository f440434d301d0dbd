"""The filters of warnings are the process's, and not for a library to set: it runs in servers with many threads."""

import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import berthub as hub
from berthub.cli.main import app
from berthub.head import Head

_SOURCES = Path(hub.__file__).parent
_TOUCHING = re.compile(r"\b(catch_warnings|simplefilter|filterwarnings|resetwarnings|showwarning)\b")
# What scikit-learn, SciPy and seqeval say of scores that are undefined, which they cannot be asked not to.
_ALLOWED = {"evaluation/scores.py"}
_TEXTS = ["a dog", "the " * 100]


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever of berthub touches the filters fails."""

    def check(name: str) -> None:
        caller = sys._getframe(2).f_globals.get("__name__", "")
        touches = caller.startswith("berthub.") and f"{caller[8:].replace('.', '/')}.py" not in _ALLOWED
        assert not touches, f"{caller} calls warnings.{name}"

    class Guarded(warnings.catch_warnings):  # some libraries make classes of it
        def __init__(self, *given: Any, **named: Any) -> None:
            check("catch_warnings")
            super().__init__(*given, **named)

    monkeypatch.setattr(warnings, "catch_warnings", Guarded)
    for name in ("simplefilter", "filterwarnings", "resetwarnings"):
        original = getattr(warnings, name)

        def touching(*given: Any, _name: str = name, _original: Any = original, **named: Any) -> Any:
            check(_name)
            return _original(*given, **named)

        monkeypatch.setattr(warnings, name, touching)


@pytest.fixture(scope="module")
def folder(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkpoint = hub.load(models / "tf2_v4", engine="numpy").checkpoint
    kernel = np.ones((checkpoint.config.hidden_size, 2), np.float32)
    head = Head(
        task="classify", labels=("a", "b"), pooling="mean", max_length=16, kernel=kernel, bias=np.zeros(2, np.float32)
    )
    folder = tmp_path_factory.mktemp("saved") / "model"
    fine_tuned = hub.Checkpoint(
        config=checkpoint.config,
        weights=checkpoint.weights,
        vocabulary=checkpoint.vocabulary,
        origin=checkpoint.origin,
        head=head,
    )
    tokenizer = hub.Tokenizer.from_checkpoint(fine_tuned)
    hub.Encoder(fine_tuned, tokenizer, hub.load(models / "tf2_v4", engine="numpy")._engine).save(folder)
    return folder


def test_no_file_touches_the_filters() -> None:
    found = {
        path.relative_to(_SOURCES).as_posix()
        for path in _SOURCES.rglob("*.py")
        if _TOUCHING.search(path.read_text(encoding="utf-8"))
    }
    assert found == _ALLOWED


@pytest.mark.usefixtures("guarded")
def test_public_methods_warn_and_stages_do_not(folder: Path) -> None:
    encoder = hub.load(folder, engine="numpy")
    assert encoder.max_length == 16
    calls = [encoder.encode, encoder.embed, encoder.predict, lambda texts: [*encoder.stream(texts)]]
    for call in calls:
        with pytest.warns(hub.TruncationWarning, match="1 of 2 texts"):
            call(_TEXTS)
    # Warnings are errors in tests.
    assert encoder.stages.logits(_TEXTS).truncated.tolist() == [False, True]


@pytest.mark.usefixtures("guarded")
def test_the_command_line_counts_what_was_truncated(folder: Path, tmp_path: Path) -> None:
    given = tmp_path / "texts.csv"
    given.write_text("text,label\na dog,a\n" + "the " * 100 + ",b\n")
    calls = {
        "encode": ["encode", given, "-m", folder, "-o", tmp_path / "vectors.jsonl"],
        "predict": ["predict", folder, given, "-o", tmp_path / "predicted.jsonl"],
        "evaluate": ["evaluate", folder, given],
    }
    for command, words in calls.items():
        done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert done.exit_code == 0, (command, done.output)
        assert "1 text truncated to 16" in " ".join(done.output.split()), (command, done.output)
