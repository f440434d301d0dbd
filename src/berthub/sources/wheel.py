"""Check a wheel against its RECORD, which lists every file with its hash, and find the model in it."""

import base64
import csv
import hashlib
import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from berthub.containers.regular_files import open_regular
from berthub.errors import ArchiveError, HandleError
from berthub.sources.kinds import Handle, PyPIWheel
from berthub.sources.names import is_archive
from berthub.sources.selection import model_folders

__all__ = ["archive_inside", "check_record", "folder_inside"]

_MAX_RECORD_BYTES = 16 << 20
# In characters: a path of any system is shorter.
_LONGEST_NAME = 4096
# The format of wheels asks for SHA-256 or better.
_ALGORITHMS = ("sha256", "sha384", "sha512")
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")
# So many folders below the topmost one the readers look for a model themselves.
_FOUND_BY_READERS = 3
_MOST_SHOWN = 8
_SIZE = re.compile(r"[0-9]{1,18}")


def check_record(folder: Path, *, name: str) -> None:
    """Compare an unpacked wheel with its `*.dist-info/RECORD`; `name` is the wheel's, for messages.

    Raises `ArchiveError`, naming the files, where one differs, is missing or is not listed, and where there is no
    RECORD or one that cannot be read.
    """
    found = sorted(folder.glob("*.dist-info/RECORD"))
    if len(found) != 1:
        raise _error(name, f"it has {len(found)} files *.dist-info/RECORD, and a wheel has one")
    record = found[0].relative_to(folder).as_posix()
    listed = _read(found[0], name)
    unlisted = {record, *(record.removesuffix("RECORD") + signature for signature in _SIGNATURES)}
    faults = []
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for file in sorted(files - unlisted):
        if file not in listed:
            faults.append(f"{file} is not listed")
        elif why := _difference(folder / file, *listed[file]):
            faults.append(f"{file} {why}")
    faults.extend(f"{file} is missing" for file in sorted(listed.keys() - files - unlisted))
    if faults:
        more = f"\n  and {len(faults) - 8} more" if len(faults) > 8 else ""
        raise _error(name, "it is not what its RECORD lists:\n  " + "\n  ".join(faults[:8]) + more)


def archive_inside(folder: Path, handle: Handle) -> Path | None:
    """The archive in an unpacked wheel that holds the model: the one that the handle names, or the only one.

    None where the wheel has the model itself.
    """
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    archives = [name for name in names if is_archive(name)]
    if isinstance(handle, PyPIWheel) and handle.path is not None:
        if is_archive(handle.path) and handle.path not in archives:
            raise _not_inside(handle, names)
        return folder / handle.path if handle.path in archives else None
    return folder / archives[0] if len(archives) == 1 and not model_folders(names) else None


def folder_inside(folder: Path, names: Collection[str], handle: PyPIWheel) -> Path:
    """The folder of the model among the files of an unpacked wheel; of several, `HandleError` lists the folders.

    Where it has none the wheel's own folder comes back: whoever reads it will say what it looked for.
    """
    if handle.path is not None and not is_archive(handle.path):
        if any(name.startswith(f"{handle.path}/") for name in names):
            return folder / handle.path
        raise _not_inside(handle, names)
    found = model_folders(names)
    if len(found) > 1:
        raise HandleError(
            f"{handle} holds {len(found)} models: name one of them, as\n  "
            + "\n  ".join(str(replace(handle, path=path)) for path in found[:_MOST_SHOWN])
            + (f"\n  and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else "")
        )
    return folder / found[0] if found and found[0].count("/") >= _FOUND_BY_READERS else folder


def _not_inside(handle: PyPIWheel, names: Collection[str]) -> HandleError:
    there = model_folders(names) or sorted(name for name in names if ".dist-info/" not in name)
    more = f" and {len(there) - _MOST_SHOWN} more" if len(there) > _MOST_SHOWN else ""
    return HandleError(
        f"{replace(handle, path=None)} has no folder and no archive {handle.path}. It has "
        f"{', '.join(there[:_MOST_SHOWN])}{more}."
    )


def _read(path: Path, name: str) -> dict[str, tuple[str, str]]:
    """The hash and the size of each file, as written in RECORD."""
    if path.stat().st_size > _MAX_RECORD_BYTES:
        raise _error(name, f"its RECORD has more than {_MAX_RECORD_BYTES:,} bytes")
    listed: dict[str, tuple[str, str]] = {}
    try:
        for row in csv.reader(path.read_text(encoding="utf-8").splitlines(), strict=True):
            if len(row) != 3 or row[0] in listed or len(row[0]) > _LONGEST_NAME:
                raise _error(name, f"a line of its RECORD is malformed or there twice: {','.join(row)[:80]!r}")
            listed[row[0]] = (row[1], row[2])
    except (csv.Error, UnicodeError) as error:
        raise _error(name, f"its RECORD cannot be read ({error})") from error
    return listed


def _difference(path: Path, written: str, size: str) -> str | None:
    algorithm, _, digest = written.partition("=")
    if algorithm not in _ALGORITHMS:
        return f"has no hash of {', '.join(_ALGORITHMS)}"
    actual = path.stat().st_size
    if size and not (_SIZE.fullmatch(size) and int(size) == actual):
        return f"has {actual:,} bytes, not {size[:20]}"
    with open_regular(path) as file:
        found = hashlib.file_digest(file, algorithm).digest()
    same = base64.urlsafe_b64encode(found).rstrip(b"=") == digest.encode("ascii", "replace")
    return None if same else f"has another {algorithm}"


def _error(name: str, why: str) -> ArchiveError:
    return ArchiveError(
        f"the wheel {name} is damaged or was changed: {why}.\nFetch it anew. If it is no wheel but another archive, "
        "name it .zip."
    )
