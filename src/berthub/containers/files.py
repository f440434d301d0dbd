"""Reading the plain files of a model folder: bytes, JSON, vocabularies and memory maps, with errors that name them."""

import errno
import mmap
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from berthub.containers.regular_files import NotRegularFileError, open_regular
from berthub.containers.strict_json import parse_json
from berthub.errors import CorruptFileError, ModelError, ModelNotFoundError

__all__ = [
    "asset",
    "assets",
    "map_file",
    "memory_map",
    "open_file",
    "read_bytes",
    "read_json",
    "read_json_list",
    "read_lines",
]


def assets(folder: Path) -> dict[str, Path]:
    """The files in a SavedModel's `assets`, by name."""
    return {path.name: path for path in sorted((folder / "assets").glob("*")) if path.is_file()}


def asset(folder: Path, name: str) -> Path:
    """The file of that name in a SavedModel's `assets`; `ModelNotFoundError` if it is missing.

    The name comes from another file: looked up, it cannot lead out of the folder.
    """
    files = assets(folder)
    if name not in files:
        raise ModelNotFoundError(f"the vocabulary {name[:200]!r} of the model is not in {folder / 'assets'}")
    return files[name]


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading; every file of a model is opened here.

    `ModelError` if it cannot be read, and for what is no regular file: reading a pipe or a device may take for ever.
    """
    try:
        return open_regular(path)
    except NotRegularFileError as error:
        raise ModelError(f"{path} cannot be read: it is {error.kind}, and a model's files are regular files") from error
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:  # a name that no file can have
        raise ModelError(f"{str(path)!r} cannot be read: {error}") from error


def read_bytes(path: Path) -> bytes:
    """The whole file; `ModelError` if it cannot be read."""
    with open_file(path) as file:
        try:
            return file.read()
        except OSError as error:
            raise _unreadable(path, error) from error


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in the file; `CorruptFileError` if it holds anything else, or is not strict JSON."""
    value = parse_json(read_bytes(path), source=str(path))
    if not isinstance(value, dict):
        raise CorruptFileError(f"{path} holds a JSON {type(value).__name__}, where an object is expected")
    return value


def read_json_list(path: Path) -> list[Any]:
    """The JSON array in the file; `CorruptFileError` if it holds anything else."""
    value = parse_json(read_bytes(path), source=str(path))
    if not isinstance(value, list):
        raise CorruptFileError(f"{path} holds a JSON {type(value).__name__}, where an array is expected")
    return value


def read_lines(path: Path) -> list[str]:
    r"""The lines of a UTF-8 text file, without their ends and surrounding blanks.

    Lines end in `\n` alone, as in Google's `load_vocab`: vocabularies hold characters such as U+2028, at which
    `str.splitlines` would break them.
    """
    try:
        # A byte order mark, which some editors put before a text, is none of it.
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if read_bytes(path)[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise CorruptFileError(f"{path} is UTF-16 text, and a vocabulary is UTF-8: save it as UTF-8") from error
        raise CorruptFileError(f"{path} is no UTF-8 text: {error.reason} at byte {error.start:,}") from error
    lines = [line.strip() for line in text.split("\n")]
    if lines and not lines[-1]:
        lines.pop()
    return lines


def memory_map(path: Path) -> npt.NDArray[np.uint8]:
    """The file's bytes, mapped, not read.

    The map is read-only, and so are arrays on it.
    """
    with open_file(path) as file:
        return map_file(file, path)


def map_file(file: BinaryIO, path: Path) -> npt.NDArray[np.uint8]:
    """Map a file that is open already; `path` is its name in errors."""
    try:
        if not os.fstat(file.fileno()).st_size:  # an empty file cannot be mapped
            return np.empty(0, np.uint8)
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> ModelError:
    if error.errno == errno.ENAMETOOLONG:
        return ModelError(f"a file called {path.name[:50]!r} ... cannot be read: {error.strerror}")
    return ModelError(f"{path} cannot be read: {error.strerror or error}")
