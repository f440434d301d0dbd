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
from typing import BinaryIO, Literal, TypeVar

from berthub.errors import InputError
from berthub.tables.addresses import local_path, suffixes_of
from berthub.tables.zstd_stream import ZSTD, DamagedZstdError, ZstdStream

__all__ = ["Opened", "open_file", "open_standard_input"]

_GZIP = b"\x1f\x8b"
_PACKED = {".gz": "gzip", ".zst": "zstd"}
_BUFFER = 1 << 20

T = TypeVar("T")


@dataclass(frozen=True, eq=False, kw_only=True)
class Opened:
    """An open file called `name`: `stream` reads its content, `raw` its bytes; the same if it is not packed.

    `packed` is "gzip" or "zstd", or empty. `size` is that of a regular or remote file when it was opened, None of
    anything else.
    """

    name: str
    stream: BinaryIO
    raw: BinaryIO
    packed: Literal["gzip", "zstd", ""]
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

    def packed_inside(self, kind: str) -> InputError:
        """The error for a file that must not be packed, since it is read from several places."""
        command = "gunzip" if self.packed == "gzip" else "unzstd"
        article = "an" if kind[0] in "AEIO" else "a"
        return InputError(
            f"{self.name} is {article} {kind} file inside {self.packed}, which has to be unpacked: {command} it first"
        )

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors of the system and of the compressed formats into an `InputError`."""
        try:
            yield
        except EOFError as error:
            raise InputError(
                f"{self.name} is cut off: the {self.packed or 'gzip'} data end too early. Fetch or copy it again"
            ) from error
        except (gzip.BadGzipFile, zlib.error, DamagedZstdError) as error:
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
        said = _PACKED.get((suffixes_of(address) or [""])[-1])
        if said is not None and opened.packed != said:
            raise InputError(f"{name} is no {said} file, which its name says: rename it, or fetch it again")
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
    plain = Opened(name=name, stream=file, raw=file, packed="", size=size)
    with plain.errors():
        # No text begins with these bytes.
        start = file.peek(len(ZSTD))  # type: ignore[union-attr]
    # GzipFile and ZstdStream read lines in Python.
    if start.startswith(_GZIP):
        unpacked = io.BufferedReader(gzip.GzipFile(fileobj=file, mode="rb"), _BUFFER)
        return Opened(name=name, stream=unpacked, raw=file, packed="gzip", size=size)
    if start.startswith(ZSTD):
        return Opened(
            name=name, stream=io.BufferedReader(ZstdStream(file), _BUFFER), raw=file, packed="zstd", size=size
        )
    return plain
