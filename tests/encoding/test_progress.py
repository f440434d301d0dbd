import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.encoding import progress

TEXTS = [f"hello {number % 7}" for number in range(40)]


@pytest.fixture(scope="module")
def encoder(models: Path) -> hub.Encoder:
    return hub.load(models / "hf_bert", engine="numpy")


@pytest.mark.parametrize("name", ["progress", "show_progress_bar"])
def test_the_texts_are_counted_on_stderr(
    name: str, encoder: hub.Encoder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_PAUSE", 0.0)
    expected = encoder.embed(TEXTS)
    assert capsys.readouterr() == ("", "")
    np.testing.assert_array_equal(encoder.embed(TEXTS, **{name: True}), expected)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    # After each batch a line, and one at the end.
    assert len(lines) >= 2
    assert all("of 40 texts" in line for line in lines)
    assert lines[-1].startswith("40 of 40 texts in ")
    encoder.encode(TEXTS, window=4, progress=True)
    assert capsys.readouterr().err.splitlines()[-1].startswith("40 of 40 texts in ")


def test_a_stream_is_counted_with_and_without_a_total(encoder: hub.Encoder, capsys: pytest.CaptureFixture[str]) -> None:
    for texts, shown in ((TEXTS, "40 of 40 texts"), (iter(TEXTS), "40 texts")):
        assert sum(len(chunk.texts) for chunk in encoder.stream(texts, chunk_size=7, progress=True)) == 40
        assert capsys.readouterr().err.splitlines()[-1].startswith(shown)


def test_predictions_are_counted(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    encoder = hub.load(models / "keras2_classifier", engine="numpy")
    texts = ["hello", "a b c", "hello"]
    expected = encoder.predict_proba(texts)
    assert capsys.readouterr().err == ""
    np.testing.assert_array_equal(encoder.predict_proba(iter(texts), progress=True), expected)
    assert capsys.readouterr().err.startswith("3 of 3 texts in ")
    encoder.predict("hello", progress=True)
    assert capsys.readouterr().err.startswith("1 of 1 texts in ")


def test_a_terminal_gets_a_bar(
    encoder: hub.Encoder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    encoder.embed(TEXTS, progress=True)
    assert "40/40" in capsys.readouterr().err


def test_progress_is_a_choice(encoder: hub.Encoder) -> None:
    with pytest.raises(hub.BerthubError, match="True or False"):
        encoder.embed(TEXTS, progress="yes")


def test_the_logger_tells_what_takes_time_and_is_silent_by_itself(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="berthub"):
        hub.load(models / "hf_bert").embed(["hello"])
    messages = [record.getMessage() for record in caplog.records]
    assert [message.split()[0] for message in messages] == ["loading", "loaded", "compiled"]
    assert all(record.name.startswith("berthub.") for record in caplog.records)
    assert not any(isinstance(handler, logging.StreamHandler) for handler in logging.getLogger("berthub").handlers)
    assert logging.getLogger("berthub").level == logging.NOTSET
    code = f"import berthub; berthub.load({str(models / 'hf_bert')!r}).embed(['hello'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
