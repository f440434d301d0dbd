"""Open input files: unpack compressed ones, and name the file in every error."""

import contextlib
import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from berthub.errors import InputError
from berthub.tables.addresses import local_path, suffixes_of

__all__ = ["Opened", "open_file", "open_standard_input"]

_GZIP = b"\x1f\x8b"
_BUFFER = 1 << 20

T = TypeVar("T")


@dataclass(frozen=True, eq=False, kw_only=True)
class Opened:
    """An open file called `name`: `stream` reads its content, `raw` its bytes on the disk; the same if not `packed`.

    `size` is that of a regular file on the disk when it was opened, None of anything else.
    """

    name: str
    stream: BinaryIO
    raw: BinaryIO
    packed: bool
    size: int | None

    def whole(self, parts: Iterator[T]) -> Iterator[T]:
        """Pass on what is read; `InputError` where the file cannot be read to the end that it had when opened."""
        with self.errors():
            yield from parts
            end = self.size if self.size is None else self.raw.tell()
        if end != self.size:
            raise InputError(
                f"{self.name} was changed while it was read: it had {self.size:,} bytes at first, and ends at {end:,}. "
                "Read it again when nobody writes to it, or read a copy"
            )

    def done(self, end: int) -> int:
        """How many bytes on the disk have been read when `end` bytes of the stream have."""
        return self.raw.tell() if self.packed and self.size is not None else end

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors of the system and of the gzip format into an `InputError`."""
        try:
            yield
        except EOFError as error:
            raise InputError(f"{self.name} is cut off: the gzip data end too early. Fetch or copy it again") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{self.name} is damaged: {error}. Fetch or copy it again") from error
        except OSError as error:
            raise InputError(f"{self.name} cannot be read: {error.strerror or error}") from error


@contextlib.contextmanager
def open_file(address: str | Path, name: str) -> Iterator[Opened]:
    """Open a file for reading, local or remote; what cannot be opened raises `InputError`."""
    address = str(address)
    file, size = _bytes_of(address, name)
    with file:
        opened = _opened(file, name, size)
        if suffixes_of(address)[-1:] == [".gz"] and not opened.packed:
            raise InputError(f"{name} is no gzip file, which its name says: rename it, or fetch it again")
        yield opened


def _bytes_of(address: str, name: str) -> tuple[BinaryIO, int | None]:
    path = local_path(address)
    if path is None:
        from berthub.tables.remote_file import open_remote

        remote, stamp = open_remote(address)
        return remote, stamp.size
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}") from error
    status = os.fstat(file.fileno())
    return file, status.st_size if stat.S_ISREG(status.st_mode) else None


@contextlib.contextmanager
def open_standard_input() -> Iterator[Opened]:
    """Open standard input for reading, and leave it open at the end."""
    file = sys.stdin.buffer
    if hasattr(file, "peek"):
        yield _opened(file, "standard input", None)
        return
    buffered = io.BufferedReader(file)  # type: ignore[type-var]
    try:
        yield _opened(buffered, "standard input", None)
    finally:
        buffered.detach()


def _opened(file: io.BufferedReader | BinaryIO, name: str, size: int | None) -> Opened:
    plain = Opened(name=name, stream=file, raw=file, packed=False, size=size)
    with plain.errors():
        # No text begins with these two bytes.
        if not file.peek(2).startswith(_GZIP):  # type: ignore[union-attr]
            return plain
    # Its own lines are read in Python.
    unpacked = io.BufferedReader(gzip.GzipFile(fileobj=file, mode="rb"), _BUFFER)
    return Opened(name=name, stream=unpacked, raw=file, packed=True, size=size)
