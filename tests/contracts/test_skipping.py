"""Tests whose library is missing are skipped, with the reason; nothing of them is imported, and nothing fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.needs import SESSIONS, VARIABLE, needs, why_elsewhere, why_skipped

_TESTS = Path(__file__).parent.parent


def test_missing_libraries_are_named_and_none_is_imported() -> None:
    assert why_skipped("sys", "json") is None
    assert why_skipped("sys", "nolib", "nolib2") == "needs nolib and nolib2: pip install -e '.[dev-all]'"
    assert needs("sys").args == (False,)
    assert needs("nolib").args == (True,)


@pytest.mark.parametrize("name", SESSIONS)
def test_what_takes_minutes_is_skipped_outside_of_its_session(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = request.node
    monkeypatch.delenv(VARIABLE, raising=False)
    assert why_elsewhere(item) is None
    item.add_marker(name)
    assert why_elsewhere(item) == f"takes minutes: nox -s {name}"
    monkeypatch.setenv(VARIABLE, "another")
    assert why_elsewhere(item) == f"takes minutes: nox -s {name}"
    monkeypatch.setenv(VARIABLE, f"another,{name}")
    assert why_elsewhere(item) is None
    session = (_TESTS.parent / "noxfile.py").read_text(encoding="utf-8").split(f"def {name}(")[1].split("@nox")[0]
    assert f'"-m", "{name}"' in session
    assert f'env={{"{VARIABLE}": "{name}"}}' in session


def test_modules_of_a_folder_are_skipped_before_they_are_imported(tmp_path: Path) -> None:
    for library in ("nolib", "json"):
        folder = tmp_path / f"with_{library}"
        folder.mkdir()
        (folder / "conftest.py").write_text(
            f"from support.needs import module_needs\npytest_pycollect_makemodule = module_needs({library!r})\n"
        )
        (folder / "test_it.py").write_text(f"import {library}\n\n\ndef test_it() -> None:\n    pass\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", "--import-mode=importlib", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(_TESTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "needs nolib: pip install -e '.[dev-all]'" in done.stdout
    assert "1 passed, 1 skipped" in done.stdout
