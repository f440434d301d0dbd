"""Open regular files only: reading a pipe or a device may take for ever."""

import io
import os
import stat
from pathlib import Path

__all__ = ["NotRegularFileError", "open_regular"]

# A pipe that nobody writes to would be waited for, and a terminal taken over.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


class NotRegularFileError(OSError):
    """The path is not a regular file, but `kind`, in words."""

    def __init__(self, path: Path, kind: str) -> None:
        super().__init__(f"{path} is no regular file, but {kind}")
        self.kind = kind


def open_regular(path: Path) -> io.BufferedReader:
    """Open a regular file for reading. `NotRegularFileError` for anything else; other `OSError`s are not changed."""
    # Before and after: opening a device may have effects, and what the name stands for may change in between.
    _check(path, path.stat().st_mode)
    descriptor = os.open(path, _FLAGS)
    try:
        _check(path, os.fstat(descriptor).st_mode)
        return open(descriptor, "rb")  # noqa: PTH123 - it is open already
    except BaseException:
        os.close(descriptor)
        raise


def _check(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise NotRegularFileError(path, _KINDS.get(stat.S_IFMT(mode), "of an unknown kind"))
