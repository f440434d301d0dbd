"""Which backend Keras gets: the user's, else the one that is preferred, run after run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from berthub import keras_backend
from berthub.keras_backend import BACKENDS, choose_backend

# As Keras 3 writes it by itself, whatever it computes with.
WRITTEN_BY_KERAS = json.dumps(
    {"floatx": "float32", "epsilon": 1e-07, "backend": "tensorflow", "image_data_format": "channels_last"}
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of Keras, and no choice of a backend."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "")
    return tmp_path


def _chosen(monkeypatch: pytest.MonkeyPatch, installed: tuple[str, ...], prefer: str | None = None) -> str | None:
    monkeypatch.setattr(keras_backend.importlib.util, "find_spec", lambda name: name if name in installed else None)
    assert choose_backend(prefer=prefer) == bool(installed)
    return os.environ["KERAS_BACKEND"] or None


def test_what_keras_wrote_by_itself_outweighs_no_preference(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "keras.json").write_text(WRITTEN_BY_KERAS)
    assert _chosen(monkeypatch, BACKENDS, prefer="torch") == "torch"


@pytest.mark.parametrize(
    ("named", "installed", "prefer", "expected"),
    [
        # None: the file is obeyed, by Keras itself.
        ("tensorflow", BACKENDS, None, None),
        ("jax", BACKENDS, None, None),
        ("jax", BACKENDS, "torch", None),
        ("torch", BACKENDS, "torch", None),
        ("tensorflow", ("tensorflow", "jax"), "torch", None),
        ("jax", ("tensorflow", "torch"), "torch", "torch"),
        ("jax", ("tensorflow", "torch"), None, "tensorflow"),
        ("nothing", ("jax",), None, "jax"),
        (["torch"], ("jax",), None, "jax"),
        ("tensorflow", (), "torch", None),
    ],
)
def test_a_choice_in_the_file_is_obeyed_where_it_is_installed(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    named: object,
    installed: tuple[str, ...],
    prefer: str | None,
    expected: str | None,
) -> None:
    (home / "keras.json").write_text(json.dumps({"backend": named}))
    assert _chosen(monkeypatch, installed, prefer) == expected


@pytest.mark.parametrize("content", ["", "[]", "{", '{"floatx": "float32"}'])
def test_a_file_that_names_none(home: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    (home / "keras.json").write_text(content)
    assert _chosen(monkeypatch, BACKENDS, prefer="torch") == "torch"


def test_the_environment_outweighs_all(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "keras.json").write_text(json.dumps({"backend": "jax"}))
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert _chosen(monkeypatch, BACKENDS, prefer="torch") == "tensorflow"


def test_a_second_run_computes_with_what_the_first_did(home: Path) -> None:
    code = (
        "from berthub.keras_backend import choose_backend\n"
        "choose_backend(prefer='torch')\n"
        "import keras\n"
        "print(keras.config.backend())"
    )
    pytest.importorskip("torch")
    shown = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    ]
    assert json.loads((home / "keras.json").read_text())["backend"] == "tensorflow"
    assert shown == ["torch", "torch"]
