"""The folder of a job: what runners, and people who look at it, read and write there."""

import contextlib
import errno
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from berthub.atomic import fsync_folder, made_folder, unfinished_beside, write_errors, written_file
from berthub.errors import InputError

__all__ = ["STATE", "JobFolder", "LocalFolder"]

STATE = "_job"
"""The folder inside that holds the plan and the manifest; tools that read tables pass over names with a "_"."""

T = TypeVar("T")

# So often a small file is tried to be written into a folder that another process removes.
_TIMES = 10
# What file systems say that have no hard links.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


class JobFolder(ABC):
    """A folder of files, which are written whole or not at all; names hold slashes for folders inside.

    What cannot be written is a `WriteError`.
    """

    address: str

    def check(self) -> None:
        """Raise `InputError` where nothing can ever be written, as at an address of the web."""
        return

    @abstractmethod
    def begin(self) -> None:
        """Make the folder, if it is not there. No other method does: a folder that was removed stays removed."""

    @abstractmethod
    def names(self, inside: str = "") -> list[str]:
        """The names of the files directly in a folder, sorted; none where there is no folder."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """The content of a file, None where there is none."""

    def sizes(self) -> dict[str, int]:
        """The sizes of the files directly in the folder, by name."""
        return {name: size for name in self.names() if (size := self.size(name)) is not None}

    def size(self, name: str) -> int | None:
        """The size of a file, None where there is none."""
        if not self.exists(name):
            return None
        with self.opened(name) as file:
            return file.seek(0, os.SEEK_END)

    @abstractmethod
    def opened(self, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """Open a file for reading."""

    @abstractmethod
    def written(self, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """A file that gets its name, for good, when the block ends well; one that has the name is replaced."""

    @abstractmethod
    def note(self, name: str, data: bytes) -> None:
        """Write a small file that need not outlive a power failure; it is never seen half written."""

    @abstractmethod
    def claim(self, name: str, data: bytes) -> bool:
        """Write a small file, unless there is one with this name: whether it was written."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    @abstractmethod
    def remove_unfinished(self, name: str) -> None:
        """Remove what processes that were killed while they wrote a file left of it."""

    @abstractmethod
    def remove_folder(self, name: str) -> None:
        """Remove a folder inside, with the files in it, if it is there."""

    @abstractmethod
    def remove_empty(self, name: str) -> None:
        """Remove a folder inside that holds no files any more."""

    @abstractmethod
    def is_used(self) -> bool:
        """Whether the folder holds anything beside a job's state; `InputError` where it is a file."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file for good."""
        with self.written(name) as file:
            file.write(data)

    def write_new(self, name: str, data: bytes) -> bool:
        """Write a file for good, unless there is one with this name: whether it was written."""
        if self.exists(name):
            return False
        self.write(name, data)
        return True

    @abstractmethod
    def sweep(self) -> None:
        """Remove what processes that were killed left of any file, when no process has anything to write any more."""


class LocalFolder(JobFolder):
    """A folder of this machine's file system, which other machines may share."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._path = path

    def names(self, inside: str = "") -> list[str]:
        """The names of the files directly in a folder, sorted, without hidden ones."""
        with self._errors():
            try:
                found = list(os.scandir(self._path / inside))
            except FileNotFoundError:
                return []
            return sorted(entry.name for entry in found if not entry.name.startswith(".") and entry.is_file())

    def begin(self) -> None:
        """Make the folder, that of the job's state in it, and those above; it outlives a power failure."""
        with self._errors():
            made_folder(self._path / STATE)

    def sizes(self) -> dict[str, int]:
        """The sizes of the files directly in the folder, by name."""
        found: dict[str, int] = {}
        with self._errors():
            for entry in list(os.scandir(self._path)):
                # One may be removed meanwhile.
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_file():
                        found[entry.name] = entry.stat().st_size
        return found

    def size(self, name: str) -> int | None:
        """The size of a file, None where there is none."""
        with self._errors():
            try:
                return (self._path / name).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        with self._errors():
            return (self._path / name).exists()

    def read(self, name: str) -> bytes | None:
        """The content of a file, None where there is none."""
        with self._errors():
            try:
                return (self._path / name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[BinaryIO]:
        """Open a file for reading; `InputError` where that fails."""
        try:
            file = (self._path / name).open("rb")
        except OSError as error:
            raise InputError(f"{self._path / name} cannot be read: {error.strerror or error}") from error
        with file:
            yield file

    @contextlib.contextmanager
    def written(self, name: str) -> Iterator[BinaryIO]:
        """A file that is written beside, fsynced and renamed, before its folder is fsynced."""
        self._make_parent(name)
        with written_file(self._path / name, overwrite=True) as file:
            yield file

    def note(self, name: str, data: bytes) -> None:
        """Write a small file beside, and rename it."""

        def write(path: Path, unfinished: Path) -> None:
            unfinished.write_bytes(data)
            unfinished.replace(path)

        self._beside(name, write)

    def claim(self, name: str, data: bytes) -> bool:
        """Write a small file beside, and link it to its name, which fails where the name is there."""

        def write(path: Path, unfinished: Path) -> bool:
            unfinished.write_bytes(data)
            return _link(unfinished, path)

        return self._beside(name, write)

    def write_new(self, name: str, data: bytes) -> bool:
        """Write a file beside, fsync it, and link it to its name, before its folder is fsynced."""

        def write(path: Path, unfinished: Path) -> bool:
            with unfinished.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            written = _link(unfinished, path)
            fsync_folder(path.parent)
            return written

        return self._beside(name, write)

    def _beside(self, name: str, write: Callable[[Path, Path], T]) -> T:
        """Call `write` with a path and another one beside it, which is removed afterwards."""
        path = self._path / name
        with write_errors(path):
            for left in reversed(range(_TIMES)):
                self._make_parent(name)
                unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
                try:
                    return write(path, unfinished)
                except FileNotFoundError:
                    # A runner that has just finished the job has swept the folder; or the folder is gone.
                    if not left or not (self._path / STATE).is_dir():
                        raise
                finally:
                    with contextlib.suppress(OSError):
                        unfinished.unlink()
        raise AssertionError

    def sweep(self) -> None:
        """Remove the unfinished files of all names."""
        for folder in (self._path, self._path / STATE):
            with self._errors(), contextlib.suppress(FileNotFoundError):
                for entry in list(os.scandir(folder)):
                    if entry.name.startswith(".") and entry.name.endswith(".part") and entry.is_file():
                        Path(entry.path).unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._errors():
            (self._path / name).unlink(missing_ok=True)

    def remove_unfinished(self, name: str) -> None:
        """Remove the files beside this one that were to become it."""
        with self._errors(), contextlib.suppress(FileNotFoundError):
            for path in list(unfinished_beside(self._path / name)):
                path.unlink(missing_ok=True)

    def remove_folder(self, name: str) -> None:
        """Remove a folder inside, with the files in it; one that another process fills meanwhile stays."""
        path = self._path / name
        with self._errors(), contextlib.suppress(FileNotFoundError):
            for entry in list(os.scandir(path)):
                if not entry.is_dir(follow_symlinks=False):
                    Path(entry.path).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.rmdir()

    def remove_empty(self, name: str) -> None:
        """Remove a folder inside that holds no files any more."""
        with contextlib.suppress(OSError):
            (self._path / name).rmdir()

    def is_used(self) -> bool:
        """Whether the folder holds anything beside a job's state; `InputError` where it is a file."""
        with self._errors():
            if self._path.exists() and not self._path.is_dir():
                raise InputError(f"{self._path} is a file: a job writes a folder, name another")
            return self._path.exists() and any(path.name != STATE for path in self._path.iterdir())

    def _make_parent(self, name: str) -> None:
        """Make the folder inside that of the job's state where a file belongs."""
        folder = (self._path / name).parent
        if folder.parent == self._path / STATE:
            with self._errors(), contextlib.suppress(FileExistsError):
                folder.mkdir()
                fsync_folder(folder.parent)

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return write_errors(self._path)


def _link(unfinished: Path, path: Path) -> bool:
    """Give a file a name that must be new: whether it was."""
    try:
        os.link(unfinished, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Of two processes that come here at the same moment, the second one replaces what the first one wrote.
        if path.exists():
            return False
        unfinished.replace(path)
    return True
