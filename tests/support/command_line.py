"""The command line, run in this process with the tiny model as its default: fixtures for the folders that use it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import berthub
from berthub import Encoder
from berthub.cli.main import app

__all__ = ["cli", "encoder"]

Cli = Callable[..., Any]


@pytest.fixture(scope="session")
def encoder(models: Path) -> Encoder:
    return berthub.load(models / "tf2_v4", precision="float32")


@pytest.fixture
def cli(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`cli("encode", ...)` gives the result, with `exit_code`, `stdout` and `stderr`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BERTHUB_MODEL", str(models / "tf2_v4"))
    monkeypatch.setenv("BERTHUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BERTHUB_OFFLINE", "1")
    # Whoever runs the tests may have set it, as pytest-xdist does.
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*arguments: object, stdin: bytes = b"") -> Any:
        words = [str(argument) for argument in arguments]
        if words[0] == "encode" and "--precision" not in words:
            words += ["--precision", "float32"]
        return CliRunner().invoke(app, words, input=stdin, catch_exceptions=False)

    return run
