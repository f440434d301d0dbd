"""Reading the two files of a training's state; whatever they hold, the error is a `CorruptFileError`."""

import io
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.errors import CorruptFileError

__all__ = ["Pointer", "check_progress", "read_arrays", "read_pointer"]

# What Python's zipfile raises for damage, beside its own error.
_ZIP_ERRORS = (
    zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError, OverflowError, IndexError,
    struct.error, zlib.error,
)  # fmt: skip
_ENDING = ".npy"


@dataclass(frozen=True)
class Pointer:
    """What `latest.json` says: the names of the state's file and of the best model's folder lie beside it."""

    conditions: Mapping[str, Any]
    progress: Mapping[str, Any]
    state: str
    best: str | None


def read_pointer(path: Path) -> Pointer:
    """The description of the newest state."""
    try:
        stored = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptFileError(f"{path.name} is no JSON: {error}") from error
    match stored:
        case {"conditions": dict(conditions), "progress": dict(progress), "state": str(state), "best": best}:
            if not _is_name(state) or not (best is None or (isinstance(best, str) and _is_name(best))):
                raise CorruptFileError(f"{path.name} names what does not lie beside it: {state!r}, {best!r}")
            return Pointer(conditions, progress, state, best)
        case _:
            raise CorruptFileError(f"{path.name} holds something else than the description of a state")


def check_progress(stored: Mapping[str, Any]) -> None:
    """`CorruptFileError` for values that no training has; unknown names are left to whoever makes something of them."""
    counts = {name: stored.get(name, 0) for name in ("epoch", "step", "examples", "best_epoch", "fit")}
    sums = {name: stored.get(name, 0.0) for name in ("total", "seconds")}
    history, best_score = stored.get("history", []), stored.get("best_score")
    faults = [name for name, value in counts.items() if not _is_whole(value)]
    faults += [name for name, value in sums.items() if not _is_number(value) or not math.isfinite(value)]
    if best_score is not None and not _is_number(best_score):
        faults.append("best_score")
    if not _is_history(history):
        faults.append("history")
    if not faults and max(len(history), counts["best_epoch"]) > counts["epoch"]:
        faults.append("epoch")
    if faults:
        raise CorruptFileError(f"the progress has values that it cannot have: {', '.join(faults)}")


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an archive that `numpy.savez` wrote, read-only.

    Unlike `numpy.load` this never allocates more than the file has bytes.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > path.stat().st_size:
                raise CorruptFileError(f"{path.name} says that it holds more bytes than it has")
            arrays = {}
            for member in members:
                name = member.filename.removesuffix(_ENDING)
                if name == member.filename or name in arrays or member.compress_type != zipfile.ZIP_STORED:
                    raise CorruptFileError(f"{path.name} has an entry that a state does not have: {member.filename!r}")
                arrays[name] = _array(archive.read(member), f"{name} in {path.name}")
            return arrays
    except _ZIP_ERRORS as error:
        if isinstance(error, CorruptFileError):
            raise
        raise CorruptFileError(f"{path.name} is no archive of arrays: {error}") from error


def _array(content: bytes, what: str) -> npt.NDArray[Any]:
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise CorruptFileError(f"{what} is an array in version {version} of NumPy's format, not (1, 0)")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    except CorruptFileError:
        raise
    # Its header is Python's source, and may fail in every way in which that can.
    except Exception as error:
        raise CorruptFileError(f"{what} is no array: {type(error).__name__}: {error}") from error
    if dtype.kind not in "biuf" or any(size < 0 for size in shape):
        raise CorruptFileError(f"{what} is an array of {dtype} and shape {shape}, and no state has such")
    count = math.prod(shape)
    if count * dtype.itemsize != len(content) - file.tell():
        raise CorruptFileError(f"{what} has not the bytes for its shape {shape}")
    flat = np.frombuffer(content, dtype, count, file.tell()) if count else np.empty(0, dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _is_name(name: str) -> bool:
    return name not in ("", ".", "..") and not set("/\\\0") & set(name)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53)


def _is_history(history: Any) -> bool:
    return isinstance(history, list) and all(
        isinstance(entry, dict) and "epoch" in entry and all(map(_is_number, entry.values())) for entry in history
    )
