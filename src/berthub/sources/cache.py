"""The cache of fetched models: a folder whose entries become whole at once, whoever asks at the same time.

    CACHE/kaggle/NAME/files/...      the model
    CACHE/kaggle/NAME/entry.json     the SHA-256, size and time of each file
    CACHE/kaggle/NAME.lock           held by the process that makes the entry

An entry is made in a folder beside it, .NAME.*.part, and renamed last: what has its final name is whole. No file of an
entry is ever written again: a process may have mapped it, which would then compute with other numbers or be killed. An
entry that is made anew is renamed away and removed; what is mapped stays until it is let go of. (Windows refuses to
rename a folder with mapped files: there it is a `FetchError` that names the folder.)
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from berthub.atomic import remove_folder, unfinished_beside, written_file, written_folder
from berthub.containers.regular_files import open_regular
from berthub.errors import BerthubError, FetchError, InputError, WriteError
from berthub.sources.checksum import hash_file

__all__ = ["Cache", "Entry", "FileRecord", "Key", "default_cache_dir"]

_FILES = "files"
_RECORD = "entry.json"
_RECORD_VERSION = 1


@dataclass(frozen=True)
class Key:
    """The key of an entry: the kind of source, a readable name, and the text that tells it from all others."""

    kind: str
    label: str
    identity: str

    @classmethod
    def of_kaggle(cls, name: str) -> Self:
        """The key of a model on Kaggle, by its canonical handle `O/M/F/W/K`."""
        return cls("kaggle", name, name)

    @property
    def file_name(self) -> str:
        """A name for a folder: readable, and never the same for two identities."""
        slug = re.sub(r"[^A-Za-z0-9._]+", "-", self.label)[-60:].strip("-.")
        digest = hashlib.sha256(self.identity.encode("utf-8", "surrogatepass")).hexdigest()[:20]
        return f"{slug}-{digest}" if slug else digest


@dataclass(frozen=True)
class FileRecord:
    """The record of a file from when it was verified."""

    sha256: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Entry:
    """One cached model: its folder, the SHA-256 of the archive that it came as, and a record of each file."""

    folder: Path
    archive_sha256: str | None
    files: Mapping[str, FileRecord]

    @property
    def nbytes(self) -> int:
        """The size of all files together."""
        return sum(file.size for file in self.files.values())


Fill = Callable[[Path], tuple[Path, str | None]]
"""Given an empty folder to work in, it returns the folder of files (within) and their archive's SHA-256."""
Check = Callable[[Entry], None]
"""It raises for an entry that must not be kept."""


def default_cache_dir() -> Path:
    """The folder of cached models: the environment's BERTHUB_CACHE, else the user's cache folder."""
    chosen = os.environ.get("BERTHUB_CACHE")
    if chosen:
        return _absolute(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("berthub", appauthor=False))


class Cache:
    """The cache in one folder, by default `default_cache_dir()`, which is made when first needed."""

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        if root is not None and not os.fspath(root):
            raise InputError("cache_dir is empty: give a folder, or None for the default one")
        self.root = default_cache_dir() if root is None else _absolute(root)

    def find(self, key: Key) -> Entry | None:
        """The entry as it was recorded, if its files exist with their sizes; they are not read."""
        entry = _read_record(self._home(key))
        if entry is None or not all(_size(entry.folder / name) == file.size for name, file in entry.files.items()):
            return None
        return entry

    def load(self, key: Key) -> Entry | None:
        """The entry, if every file is unchanged; one whose time changed is hashed again."""
        home = self._home(key)
        entry = _read_record(home)
        if entry is None:
            return None
        now: dict[str, FileRecord] = {}
        for name, record in entry.files.items():
            unchanged = _unchanged(entry.folder / name, record)
            if unchanged is None:
                return None
            now[name] = unchanged
        if now != entry.files and os.access(home, os.W_OK):
            # A copied cache has other times; noted, so that it is hashed once and not at every load. Where the disk
            # is full nothing is noted, and the model is no worse for it.
            with contextlib.suppress(WriteError):
                _write_record(home, Entry(entry.folder, entry.archive_sha256, now))
        return entry

    def load_or_make(self, key: Key, fill: Fill, check: Check) -> Entry:
        """The entry, made with `fill` if it is missing or incomplete; a second process waits for the first.

        `check` sees the entry before it gets its name; if it or `fill` raises, nothing remains. Errors of the
        disk come as `FetchError`.
        """
        import filelock

        home = self._home(key)
        try:
            home.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(home.with_name(home.name + ".lock")):
                entry = self.load(key)
                if entry is not None:
                    check(entry)
                    return entry
                _clear(home)
                return _make(home, fill, check)
        except OSError as error:
            if isinstance(error, BerthubError) and not isinstance(error, WriteError):
                raise
            # The system's own error names the file.
            cause = error.__cause__ if isinstance(error, WriteError) else error
            raise FetchError(
                f"cannot put {key.label} into the cache folder {self.root}: {cause}.\n"
                "Check its free space and permissions, or choose another folder (cache_dir= or "
                "BERTHUB_CACHE)."
            ) from error

    def _home(self, key: Key) -> Path:
        return self.root / key.kind / key.file_name


def _make(home: Path, fill: Fill, check: Check) -> Entry:
    with written_folder(home, last=_RECORD) as unfinished:
        scratch = unfinished / "scratch"
        scratch.mkdir()
        folder, archive_sha256 = fill(scratch)
        folder.rename(unfinished / _FILES)
        if scratch.exists():
            shutil.rmtree(scratch)
        entry = Entry(unfinished / _FILES, archive_sha256, _records(unfinished / _FILES))
        check(entry)
        _write_record(unfinished, entry)
    return replace(entry, folder=home / _FILES)


def _clear(home: Path) -> None:
    """Remove leftovers of crashed processes, and an incomplete entry. Needs the lock."""
    for stale in unfinished_beside(home):
        shutil.rmtree(stale)
    if home.exists():
        remove_folder(home)


def _records(folder: Path) -> dict[str, FileRecord]:
    records: dict[str, FileRecord] = {}
    for path in sorted(folder.rglob("*")):
        name, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
        if stat.S_ISREG(mode):
            records[name] = _record(path, hash_file(path))
        elif not stat.S_ISDIR(mode):
            raise FetchError(f"{name} came as a link or a device, and only plain files are kept.")
    if not records:
        raise FetchError("the model came without a single file. Check the handle at its source.")
    return records


def _unchanged(path: Path, known: FileRecord) -> FileRecord | None:
    """The file's current record, or None if its content has changed."""
    try:
        now = _record(path, known.sha256)
        if now == known or (now.size == known.size and hash_file(path) == known.sha256):
            return now
    except (FileNotFoundError, _NotAFileError):
        return None
    except OSError as error:
        raise FetchError(
            f"{path}, in the cache, cannot be read: {error.strerror or error}. Remove the folder {path.parent} to have "
            "the model fetched anew, or choose another one (cache_dir= or BERTHUB_CACHE)."
        ) from error
    return None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:  # no such file, or none that may be looked at: not one to load from
        return None


class _NotAFileError(OSError):
    """A folder, a pipe or a device is where a file was."""


def _record(path: Path, sha256: str) -> FileRecord:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise _NotAFileError(f"{path} is no regular file")
    return FileRecord(sha256, found.st_size, found.st_mtime_ns)


def _read_record(home: Path) -> Entry | None:
    try:
        with open_regular(home / _RECORD) as file:
            record = json.loads(file.read())
        if record["version"] != _RECORD_VERSION:
            return None
        files = {str(name): FileRecord(**values) for name, values in record["files"].items()}
        return Entry(home / _FILES, record["archive_sha256"], files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Not there, or not as this version writes it: no entry, and the next load makes it anew.
        return None


def _write_record(home: Path, entry: Entry) -> None:
    record = {
        "version": _RECORD_VERSION,
        "archive_sha256": entry.archive_sha256,
        "files": {name: asdict(file) for name, file in entry.files.items()},
    }
    with written_file(home / _RECORD, overwrite=True) as file:
        file.write(json.dumps(record, indent=1).encode("ascii"))


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111 - no links, no raising
