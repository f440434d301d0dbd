"""The folder of a job: what runners, and people who look at it, read and write there."""

import contextlib
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from berthub.atomic import unfinished_beside, write_errors, written_file
from berthub.errors import InputError

__all__ = ["STATE", "JobFolder", "LocalFolder"]

STATE = "_job"
"""The folder inside that holds the plan and the manifest; tools that read tables pass over names with a "_"."""


class JobFolder(ABC):
    """A folder of files, which are written whole or not at all; names hold slashes for folders inside.

    What cannot be written is a `WriteError`.
    """

    address: str

    @abstractmethod
    def names(self, inside: str = "") -> list[str]:
        """The names of the files directly in a folder, sorted; none where there is no folder."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """The content of a file, None where there is none."""

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
        self._make_parent(name)
        path = self._path / name
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        with write_errors(path):
            try:
                unfinished.write_bytes(data)
                unfinished.replace(path)
            except BaseException:
                with contextlib.suppress(OSError):
                    unfinished.unlink()
                raise

    def claim(self, name: str, data: bytes) -> bool:
        """Write a small file beside, and link it to its name, which fails where the name is there."""
        self._make_parent(name)
        path = self._path / name
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        with write_errors(path):
            try:
                unfinished.write_bytes(data)
                os.link(unfinished, path)
            except FileExistsError:
                return False
            finally:
                with contextlib.suppress(OSError):
                    unfinished.unlink()
        return True

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
        with self._errors():
            (self._path / name).parent.mkdir(parents=True, exist_ok=True)

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return write_errors(self._path)
