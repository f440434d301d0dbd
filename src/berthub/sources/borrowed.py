"""Use a model where another program's cache has it, and notice if its files are damaged.

When it is used first, its files are compared with their hashes, and their sizes and times are noted in berthub's own
cache (`CACHE/borrowed/NAME.json`). From then on a file is hashed again only if its size or time has changed.
"""

import contextlib
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from berthub.atomic import written_file
from berthub.containers.regular_files import open_regular
from berthub.errors import WriteError
from berthub.sources.cache import Entry, FileRecord, Key
from berthub.sources.checksum import hash_file
from berthub.sources.user_caches import Snapshot

__all__ = ["DamagedError", "borrow", "was_asked"]

_VERSION = 1


class DamagedError(Exception):
    """Files of another cache are not what they should be: `names`."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(f"{len(names)} damaged files")
        self.names = names


def borrow(root: Path, key: Key, snapshot: Snapshot) -> Entry:
    """The entry of a model that stays where it is; `root` is the folder of berthub's cache.

    Raises `DamagedError`, and `OSError` for a file that cannot be read.
    """
    stored = _read(root, key, snapshot)
    known = _records(stored)
    files: dict[str, FileRecord] = {}
    damaged = []
    for name, expected in snapshot.files.items():
        path = snapshot.folder / name
        found = path.stat()
        before = known.get(name)
        if before and (before.size, before.mtime_ns) == (found.st_size, found.st_mtime_ns):
            files[name] = before
            continue
        sha256 = hash_file(path)
        if expected and expected != (sha256 if len(expected) == 64 else _git_hash(path, found.st_size)):
            damaged.append(name)
        files[name] = FileRecord(sha256, found.st_size, found.st_mtime_ns)
    if damaged:
        raise DamagedError(tuple(damaged))
    if files != known or stored.get("asked") is not snapshot.asked:
        _write(root, key, snapshot, files)
    return Entry(snapshot.folder, None, files)


def was_asked(root: Path, key: Key, snapshot: Snapshot) -> bool:
    """Whether the repository was asked before, at this very commit, and has no more files of the model."""
    stored = _read(root, key, snapshot)
    return stored.get("asked") is True and snapshot.files.keys() == _records(stored).keys()


def _path(root: Path, key: Key) -> Path:
    return root / "borrowed" / f"{key.kind}-{key.file_name}.json"


def _read(root: Path, key: Key, snapshot: Snapshot) -> dict[str, Any]:
    """The note on this very snapshot; empty where there is none."""
    try:
        with open_regular(_path(root, key)) as file:
            stored = json.loads(file.read())
        same = (stored["version"], stored["folder"]) == (_VERSION, str(snapshot.folder))
    except (OSError, ValueError, KeyError, TypeError):
        # Not there, or not as this version writes it: the files are compared again.
        return {}
    return stored if same else {}


def _records(stored: dict[str, Any]) -> dict[str, FileRecord]:
    try:
        return {str(name): FileRecord(**record) for name, record in stored["files"].items()}
    except (KeyError, TypeError, AttributeError):
        return {}


def _write(root: Path, key: Key, snapshot: Snapshot, files: dict[str, FileRecord]) -> None:
    record = {
        "version": _VERSION,
        "folder": str(snapshot.folder),
        "asked": snapshot.asked,
        "files": {name: asdict(file) for name, file in files.items()},
    }
    # Where nothing can be written the files are hashed at every load, and the model is no worse for it.
    with contextlib.suppress(WriteError, OSError):
        _path(root, key).parent.mkdir(parents=True, exist_ok=True)
        with written_file(_path(root, key), overwrite=True) as file:
            file.write(json.dumps(record, indent=1).encode("ascii"))


def _git_hash(path: Path, size: int) -> str:
    """The hash that git gives a file's content."""
    digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    with open_regular(path) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
