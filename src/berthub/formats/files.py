"""Reading the plain files of a model folder: bytes, JSON, vocabularies and memory maps, with errors that name them."""

import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.errors import CorruptFileError, ModelError, ModelNotFoundError

__all__ = ["asset", "assets", "memory_map", "read_bytes", "read_json", "read_lines"]


def assets(folder: Path) -> dict[str, Path]:
    """The files in a SavedModel's `assets`, by name."""
    return {path.name: path for path in sorted((folder / "assets").glob("*")) if path.is_file()}


def asset(folder: Path, name: str) -> Path:
    """The file called so in a SavedModel's `assets`; `ModelNotFoundError` if it is missing.

    The name comes from another file: looked up, it cannot lead out of the folder.
    """
    files = assets(folder)
    if name not in files:
        raise ModelNotFoundError(f"the vocabulary {name!r} of the model is not in {folder / 'assets'}")
    return files[name]


def read_bytes(path: Path) -> bytes:
    """The whole file; `ModelError` if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in the file; `CorruptFileError` if it holds anything else."""
    try:
        value = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(f"{path} is no valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise CorruptFileError(f"{path} holds a JSON {type(value).__name__}, where an object is expected")
    return value


def read_lines(path: Path) -> list[str]:
    r"""The lines of a UTF-8 text file, without their ends and surrounding blanks.

    Lines end in `\n` alone, as in Google's `load_vocab`: vocabularies hold characters such as U+2028, at which
    `str.splitlines` would break them.
    """
    try:
        text = read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorruptFileError(f"{path} is no UTF-8 text: {error.reason} at byte {error.start:,}") from error
    lines = [line.strip() for line in text.split("\n")]
    if lines and not lines[-1]:
        lines.pop()
    return lines


def memory_map(path: Path) -> npt.NDArray[np.uint8]:
    """The file's bytes, mapped, not read.

    The map is read-only, and so are arrays on it.
    """
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:  # an empty file cannot be mapped
                return np.empty(0, np.uint8)
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
