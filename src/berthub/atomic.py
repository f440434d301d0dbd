"""Write files and folders atomically: beside their place, fsynced, then renamed.

The place holds what was there before, or all of the new, also after an error, a kill, or a power failure. A process
that has the old file open, or mapped, keeps its bytes. An error of the system becomes a `WriteError`.
"""

import contextlib
import errno
import io
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from berthub.errors import BerthubError, InputError, WriteError

__all__ = [
    "check_new_folder",
    "fsync_folder",
    "made_folder",
    "remove_folder",
    "unfinished_beside",
    "write_errors",
    "written_file",
    "written_folder",
    "written_into",
    "written_path",
]

_BUFFER = 1 << 20
_PART = ".part"
# File names end at 255 bytes; what is added to one here has 15.
_LONGEST_NAME = 200
# What file systems say that cannot bring a folder's own entries to the disk by themselves.
_NO_FSYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)

_ADVICE = {
    errno.ENOSPC: "free space there, or write to another disk",
    errno.EDQUOT: "your quota is used up: remove files of yours, or write to another disk",
    errno.EACCES: "choose another place, or have yourself allowed to write there",
    errno.EPERM: "choose another place, or have yourself allowed to write there",
    errno.EROFS: "choose a place that can be written to",
    errno.EFBIG: "the file would be larger than its disk, or the limit of this process (ulimit -f), allows",
    errno.EIO: "the disk reports a fault: look at the system's log, and write to another disk",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOENT: "make its folder first",
    errno.EMFILE: "this process has too many files open (ulimit -n)",
}


@contextlib.contextmanager
def written_file(target: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """A new binary file to write to, and read from, that becomes `target` when the block ends well.

    It has the rights of the file that it replaces, or those that the process gives to new files. Errors of writing are
    `WriteError`s that name the target. `InputError` without `overwrite` where the target has come into being meanwhile.
    """
    # Through a link its target is replaced, not the link.
    final = _resolved(target)
    unfinished = _beside(final)
    raw: _TellingFile | None = None
    try:
        with write_errors(target):
            # A name that cannot be is known before the work, not after it.
            with contextlib.suppress(FileNotFoundError):
                final.lstat()
            raw = _TellingFile(unfinished, target)
        file = io.BufferedRandom(raw, _BUFFER)
        yield cast(BinaryIO, file)
        with write_errors(target):
            file.flush()
            _take_rights(final, unfinished)
            os.fsync(raw.fileno())
            file.close()
            _replace(unfinished, final, target, overwrite=overwrite)
    except BaseException:
        if raw is not None:
            # Not through the buffer, which would be written first.
            with contextlib.suppress(OSError):
                raw.close()
        _remove([unfinished])
        raise


@contextlib.contextmanager
def written_path(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """As `written_file`, for libraries that make their file: a path beside the target, with the same extension.

    Folders above it are made. All errors of the system in the block are taken for errors of writing.
    """
    final = _resolved(target)
    unfinished = _beside(final, suffix=final.suffix)
    with write_errors(target), _made(final.parent):
        try:
            yield unfinished
            _take_rights(final, unfinished)
            _fsync(unfinished)
            _replace(unfinished, final, target, overwrite=overwrite)
        except BaseException:
            _remove([unfinished])
            raise


@contextlib.contextmanager
def written_folder(target: Path, *, last: str | None = None) -> Iterator[Path]:
    """A new folder to fill, that becomes `target` when the block ends well; folders above it are made.

    The target must be new or empty (`InputError`). An empty folder stays the one that it is, with its owner, its rights
    and perhaps its mount: it gets the files, of them last the one called `last`, without which they are nothing.
    Files in the folder are written in any way: they are fsynced here. All errors of the system in the block are taken
    for errors of writing.
    """
    check_new_folder(target)
    final = _resolved(target)
    if final.is_dir():
        with _filling(final, target, last=last) as unfinished:
            yield unfinished
        return
    unfinished = _beside(final)
    with write_errors(target), _made(final.parent):
        try:
            unfinished.mkdir()
            yield unfinished
            _fsync_all(unfinished)
            unfinished.rename(final)
            fsync_folder(final.parent)
        except BaseException:
            _remove([unfinished])
            raise


@contextlib.contextmanager
def written_into(folder: Path, *, last: str) -> Iterator[Path]:
    """A new folder to fill, whose entries go into `folder`, which is there, when the block ends well.

    They go one by one, the one called `last` at the end: it is to be what makes the others count. After a failure none
    is there. Errors are those of `written_folder`.
    """
    with _filling(_resolved(folder), folder, last=last) as unfinished:
        yield unfinished


def check_new_folder(target: Path) -> None:
    """`InputError` where `target` is a file, or a folder that holds something."""
    try:
        refused = target.exists() and (not target.is_dir() or any(target.iterdir()))
    except OSError as error:
        raise _write_error(target, error) from error
    if refused:
        raise InputError(f"{target} exists and is not an empty folder: choose another name, or remove it first")


def made_folder(folder: Path) -> None:
    """Make a folder, and those above it, where they are not there, and bring their names to the disk."""
    missing = [folder, *folder.parents]
    missing = missing[: next(index for index, each in enumerate(missing) if each.is_dir())]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
    for each in reversed(missing):
        fsync_folder(each.parent)


def remove_folder(target: Path) -> None:
    """Remove a folder: it is renamed first, so that nobody takes a half removed one for the whole."""
    final = _resolved(target)
    doomed = _beside(final)
    with write_errors(target):
        final.rename(doomed)
        shutil.rmtree(doomed)


def unfinished_beside(target: Path) -> Iterator[Path]:
    """Unfinished files that killed processes left beside `target`; valid while no other process writes it."""
    final = _resolved(target)
    begin = f".{_shortened(final.name)}."
    for path in final.parent.iterdir():
        if path.name.startswith(begin) and path.suffix == _PART and len(path.name) == len(begin) + 8 + len(_PART):
            yield path


@contextlib.contextmanager
def write_errors(target: Path | str, *foreign: type[Exception]) -> Iterator[None]:
    """Turn the system's errors in the block into a `WriteError` about `target`, except that of a closed pipe.

    `foreign` are errors of libraries that are no OSErrors, and mean the same.
    """
    try:
        yield
    except (BerthubError, BrokenPipeError):
        raise
    except Exception as error:
        if not isinstance(error, (OSError, *foreign)):
            raise
        raise _write_error(target, error) from error


class _TellingFile(io.FileIO):
    """A new file whose errors say which file could not be written, through whatever library they come."""

    def __init__(self, path: Path, target: Path) -> None:
        super().__init__(path, "x+")
        self._target = target

    def write(self, data: object, /) -> int:
        with write_errors(self._target):
            return super().write(data)  # type: ignore[arg-type]

    def seek(self, offset: int, whence: int = 0, /) -> int:
        with write_errors(self._target):
            return super().seek(offset, whence)

    def truncate(self, size: int | None = None, /) -> int:
        with write_errors(self._target):
            return super().truncate(size)

    def close(self) -> None:
        with write_errors(self._target):
            super().close()


@contextlib.contextmanager
def _filling(folder: Path, target: Path, *, last: str | None) -> Iterator[Path]:
    unfinished = folder / f".{secrets.token_hex(4)}{_PART}"
    moved: list[Path] = []
    try:
        with write_errors(target):
            unfinished.mkdir()
            yield unfinished
            _fsync_all(unfinished)
            for path in sorted(unfinished.iterdir(), key=lambda path: (path.name == last, path.name)):
                # Noted before: whatever ends the next line, the entry is removed.
                moved.append(folder / path.name)
                path.replace(moved[-1])
            unfinished.rmdir()
            fsync_folder(folder)
    except BaseException:
        _remove([*reversed(moved), unfinished])
        raise


def _write_error(target: Path | str, error: BaseException) -> WriteError:
    code = getattr(error, "errno", None)
    said = " ".join(str(error).split())
    if code is None:
        # Of libraries that tell the system's reason in words alone.
        code = next((each for each in _ADVICE if os.strerror(each) in said), None)
    reason = said[:300] if code is None else os.strerror(code)
    told = WriteError(f"{target} cannot be written: {reason}. {_advice(code)}")
    told.errno = code
    return told


def _advice(code: int | None) -> str:
    advice = _ADVICE.get(code or 0, "choose another place")
    return advice[0].upper() + advice[1:]


def _resolved(target: Path) -> Path:
    with write_errors(target):
        return target.resolve()


def _shortened(name: str) -> str:
    return name.encode("utf-8", "surrogateescape")[:_LONGEST_NAME].decode("utf-8", "ignore")


def _beside(final: Path, suffix: str = "") -> Path:
    return final.with_name(f".{_shortened(final.name)}.{secrets.token_hex(4)}{_PART}{suffix}")


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make the folder, and those above it; remove them again if the block fails."""
    missing = [folder, *folder.parents]
    missing = missing[: next(index for index, each in enumerate(missing) if each.exists())][::-1]
    try:
        for each in missing:
            each.mkdir(exist_ok=True)
        yield
        for each in missing:
            fsync_folder(each.parent)
    except BaseException:
        for each in reversed(missing):
            # One with something in it stays: it is somebody else's.
            with contextlib.suppress(OSError):
                each.rmdir()
        raise


def _take_rights(final: Path, unfinished: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        unfinished.chmod(stat.S_IMODE(final.stat().st_mode))


def _replace(unfinished: Path, final: Path, target: Path, *, overwrite: bool) -> None:
    if not overwrite and final.exists():
        raise InputError(f"{target} has come into being in the meantime, and is not overwritten: write to another file")
    unfinished.replace(final)
    fsync_folder(final.parent)


def _fsync_all(folder: Path) -> None:
    """Bring all that is in the folder to the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            _fsync(path)
        else:
            fsync_folder(path)
    fsync_folder(folder)


def _fsync(path: Path) -> None:
    # Windows brings only files to the disk that are open for writing.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the file system can do that."""
    if os.name == "nt":  # it opens no folders
        return
    try:
        _fsync(folder)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise


def _remove(paths: Iterable[Path]) -> None:
    """Remove those that exist, as far as the system lets; errors are ignored, since another one is being raised."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()
