"""The folder of a job in an object store, or in another file system that fsspec knows."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeVar, cast

from berthub.errors import InputError, WriteError
from berthub.jobs.folder import STATE, JobFolder
from berthub.tables.addresses import is_web_url, remote, shown_address

__all__ = ["RemoteFolder"]

T = TypeVar("T")


class RemoteFolder(JobFolder):
    """A folder whose files are objects: each is sent whole, by one request, and is there whole or not at all."""

    def __init__(self, address: str) -> None:
        self._remote = remote(address.rstrip("/"))
        self.address = shown_address(address).rstrip("/")
        self._given = address

    def __reduce__(self) -> Any:
        # The connections of a file system belong to its process.
        return RemoteFolder, (self._given,)

    def begin(self) -> None:
        """Nothing: a folder is there when something is in it."""

    def check(self) -> None:
        """Raise `InputError` for an address of the web, which has no way to write."""
        if is_web_url(self._given):
            raise InputError(
                f"{shown_address(self._given)} can only be read: write to a folder, or to an object store such as s3://bucket/vectors/"
            )

    def names(self, inside: str = "") -> list[str]:
        """The names of the objects directly in a folder, sorted."""
        return sorted(self._listed(inside))

    def sizes(self) -> dict[str, int]:
        """The sizes of the objects directly in the folder, by name."""
        return {name: entry["size"] for name, entry in self._listed("").items()}

    def _listed(self, inside: str) -> dict[str, Any]:
        def found() -> list[Any]:
            self._system.invalidate_cache()
            try:
                return list(self._system.ls(self._path(inside), detail=True))
            except FileNotFoundError:
                return []

        entries = {entry["name"].rpartition("/")[2]: entry for entry in self._asked(found) if entry["type"] == "file"}
        return {name: entry for name, entry in entries.items() if name and not name.startswith(".")}

    def size(self, name: str) -> int | None:
        """The size of an object, None where there is none."""

        def found() -> int | None:
            self._system.invalidate_cache()
            try:
                return cast(int, self._system.info(self._path(name))["size"])
            except FileNotFoundError:
                return None

        return self._asked(found)

    def exists(self, name: str) -> bool:
        """Whether there is an object of this name."""

        def found() -> bool:
            self._system.invalidate_cache()
            return bool(self._system.isfile(self._path(name)))

        return self._asked(found)

    def read(self, name: str) -> bytes | None:
        """The content of an object, None where there is none."""

        def content() -> bytes | None:
            try:
                return cast(bytes, self._system.cat_file(self._path(name)))
            except FileNotFoundError:
                return None

        return self._asked(content)

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[BinaryIO]:
        """A copy of an object, which is removed in the end; `InputError` for one that cannot be read."""
        with tempfile.TemporaryFile() as copy:
            with tempfile.TemporaryDirectory() as scratch:
                path = f"{scratch}/copy"
                self._asked(lambda: self._system.get_file(self._path(name), path))
                with open(path, "rb") as file:  # noqa: PTH123
                    while chunk := file.read(1 << 20):
                        copy.write(chunk)
            copy.seek(0)
            yield cast(BinaryIO, copy)

    @contextlib.contextmanager
    def written(self, name: str) -> Iterator[BinaryIO]:
        """A file of this machine, which is sent when the block ends well."""
        with tempfile.NamedTemporaryFile(prefix="berthub-") as file:
            yield cast(BinaryIO, file)
            file.flush()
            self._sent(lambda: self._system.put_file(file.name, self._path(name)), name)

    def note(self, name: str, data: bytes) -> None:
        """Send a small object."""
        self._sent(lambda: self._system.pipe_file(self._path(name), data), name)

    def claim(self, name: str, data: bytes) -> bool:
        """Send a small object, unless there is one.

        Where the store cannot refuse a name that is there, two that do this at the same moment both succeed.
        """
        if self.exists(name):
            return False

        def created() -> bool:
            try:
                self._system.pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                return False
            return True

        try:
            return self._asked(created)
        except InputError:
            # Of the stores that speak S3, some do not know this condition.
            self.note(name, data)
            return True

    def write_new(self, name: str, data: bytes) -> bool:
        """Send a file, unless there is one with this name, as `claim` does."""
        return self.claim(name, data)

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""

        def removed() -> None:
            with contextlib.suppress(FileNotFoundError):
                self._system.rm_file(self._path(name))

        if self.exists(name):
            self._sent(removed, name)

    def remove_unfinished(self, name: str) -> None:
        """Nothing: an object that was not sent whole is not there."""

    def remove_folder(self, name: str) -> None:
        """Remove the objects of a folder."""
        for each in self.names(name):
            self.remove(f"{name}/{each}")
        self.remove_empty(name)

    def sweep(self) -> None:
        """Nothing: an object that was not sent whole is not there."""

    def remove_empty(self, name: str) -> None:
        """Remove a folder where the file system has such things; object stores have none."""

        def removed() -> None:
            self._system.invalidate_cache()
            with contextlib.suppress(FileNotFoundError, OSError, NotImplementedError):
                if self._system.isdir(self._path(name)) and not self._system.ls(self._path(name)):
                    self._system.rmdir(self._path(name))

        self._asked(removed)

    def is_used(self) -> bool:
        """Whether the folder holds anything beside a job's state."""

        def found() -> list[str]:
            self._system.invalidate_cache()
            try:
                entries = self._system.ls(self._path(""), detail=True)
            except FileNotFoundError:
                return []
            own = self._path("").rstrip("/")
            names = (entry["name"].rstrip("/") for entry in entries)
            return [name for name in names if name != own and name.rpartition("/")[2] != STATE]

        return bool(self._asked(found))

    @property
    def _system(self) -> Any:
        return self._remote.system

    def _path(self, name: str) -> str:
        return f"{self._remote.path.rstrip('/')}/{name}" if name else self._remote.path

    def _asked(self, request: Callable[[], T]) -> T:
        return cast(T, self._remote.retried(request))

    def _sent(self, request: Callable[[], Any], name: str) -> None:
        try:
            self._remote.retried(request)
        except InputError as error:
            said = str(error).replace("cannot be read", "cannot be written")
            raise WriteError(f"{self.address}/{name}: {said}") from error
