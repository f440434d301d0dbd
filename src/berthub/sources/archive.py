"""Unpack an archive of unknown origin safely.

Nothing that a header says is trusted: names are checked before a path is made of them, bytes are counted
while they are copied, and permissions, owners and times are not taken over. Nothing remains on disk after a
failure. Time grows with the bytes that come out, which are bounded, and memory grows with the names alone, to some
70 MB at most (of a zip archive, with its directory and an object for each of at most `MAX_MEMBERS` entries too).
"""

import io
import re
import shutil
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from berthub.containers.regular_files import open_regular
from berthub.errors import ArchiveError
from berthub.sources import archive_tar, archive_zip
from berthub.sources.archive_tar import Readable

__all__ = ["MAX_COMPRESSION_RATIO", "MAX_MEMBERS", "MAX_UNPACKED_BYTES", "RATIO_FLOOR_BYTES", "unpack"]

MAX_MEMBERS = 10_000
"""The most files and folders that one archive may make, the folders that names only imply included."""
MAX_UNPACKED_BYTES = 32 << 30
MAX_COMPRESSION_RATIO = 200
RATIO_FLOOR_BYTES = 64 << 20
"""Up to this size the compression ratio is not looked at."""

_CHUNK = 1 << 20
# Small, since the bytes after a member are copied where it ends.
_GZIP_CHUNK = 1 << 14
_MAX_NAME = 1024
_MAX_PART_BYTES = 255
_MAX_DEPTH = 64
# Members come with up to three headers of their own, and a folder may come again.
_HEADERS_PER_MEMBER = 4
# Each member of a gzip file is a decoder of its own; honest files have one, or one for some 100,000 bytes.
_MAX_GZIP_MEMBERS = 100_000
_DRIVE = re.compile(r"[A-Za-z]:")
# What the decoders raise for data that is damaged; a full disk is not among them, so writing stays outside.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    LookupError,
    OverflowError,
    RuntimeError,
    struct.error,
)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .zip (or wheel), .tar, or gzipped .tar into the new folder `folder`.

    The kind is told by the content, not by the name. Raises `ArchiveError`, naming the member, for anything
    but regular files and folders with plain relative names, for names that collide (upper and lower case
    taken as one), for encrypted or damaged archives, and beyond the limits of this module. An error of the
    disk stays an OSError.
    """
    folder.mkdir()
    try:
        target = _Target(archive, folder)
        with open_regular(archive) as raw:
            head = raw.read(512)
            raw.seek(0)
            if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
                _unpack_zip(raw, target)
            elif head.startswith(b"\x1f\x8b"):
                _unpack_tar(_Inflated(raw), target)
            elif head[257:262] == b"ustar" or archive.suffix == ".tar":
                _unpack_tar(raw, target)
            else:
                raise ArchiveError(_not_an_archive(archive, head))
        if not target.has_files:
            raise target.error("it holds no files")
    except BaseException:
        shutil.rmtree(folder)
        raise


class _Target:
    """The folder that is being filled: it checks each name, makes each path, and counts."""

    def __init__(self, archive: Path, folder: Path) -> None:
        self.has_files = False
        self._archive = archive
        self._folder = folder
        self._allowed = min(MAX_UNPACKED_BYTES, max(RATIO_FLOOR_BYTES, MAX_COMPRESSION_RATIO * archive.stat().st_size))
        self._bytes = 0
        # Folded name -> the name as spelled, and whether it is a folder.
        self._made: dict[str, tuple[str, bool]] = {}
        self._folders: set[tuple[str, ...]] = {()}

    def error(self, why: str) -> ArchiveError:
        return ArchiveError(
            f"cannot unpack {self._archive.name}: {why}.\n"
            "Accepted are .zip, .whl, .tar and .tar.gz archives of regular files and folders. If the source "
            "can be trusted, unpack it by other means and give the folder."
        )

    def count(self, size: int) -> None:
        """Take `size` more unpacked bytes into account."""
        self._bytes += size
        if self._bytes > self._allowed:
            raise self.error(
                f"it unpacks to more than {self._allowed:,} bytes (the limit is {MAX_UNPACKED_BYTES:,}, and "
                f"beyond {RATIO_FLOOR_BYTES:,} also {MAX_COMPRESSION_RATIO} times the archive's own size)"
            )

    def add_folder(self, name: str) -> None:
        parts = self._parts(name.removesuffix("/"))
        self._make_folder(parts)

    def add_file(self, name: str, read: Callable[[int], bytes]) -> None:
        parts = self._parts(name)
        if not parts:
            raise self.error(f"{name!r} is a file without a name")
        self._make_folder(parts[:-1])
        self._claim(parts, is_folder=False)
        path = self._folder.joinpath(*parts)
        with path.open("xb") as out:
            while chunk := self._damage_checked(read, name):
                out.write(chunk)
        self.has_files = True

    def _damage_checked(self, read: Callable[[int], bytes], name: str) -> bytes:
        with _reading(self, f"{name!r} is damaged"):
            return read(_CHUNK)

    def _parts(self, name: str) -> tuple[str, ...]:
        if len(name) > _MAX_NAME:
            raise self.error(f"{name[:60]!r}... is a name of {len(name):,} characters")
        if "\0" in name or "\\" in name:
            raise self.error(f"{name!r} has a NUL or a backslash in its name")
        if name.startswith("/") or any(_DRIVE.match(part) for part in name.split("/")):
            raise self.error(f"{name!r} is an absolute name")
        while name.startswith("./"):
            name = name[2:]
        parts = () if name in ("", ".") else tuple(name.split("/"))
        if any(part in ("", ".", "..") for part in parts):
            raise self.error(f"{name!r} has an empty, '.' or '..' part in its name")
        if len(parts) > _MAX_DEPTH:
            raise self.error(f"{name[:60]!r}... lies in {len(parts) - 1:,} folders")
        if any(len(part.encode("utf-8", "surrogateescape")) > _MAX_PART_BYTES for part in parts):
            raise self.error(f"{name[:60]!r}... has a part of more than {_MAX_PART_BYTES} bytes in its name")
        return parts

    def _make_folder(self, parts: tuple[str, ...]) -> None:
        """Make the folder and those above it, once."""
        if parts in self._folders:
            return
        self._make_folder(parts[:-1])
        self._claim(parts, is_folder=True)
        self._folder.joinpath(*parts).mkdir()
        self._folders.add(parts)

    def _claim(self, parts: tuple[str, ...], *, is_folder: bool) -> None:
        name = "/".join(parts)
        # As file systems that ignore case, and those that compose characters, would take it.
        folded = unicodedata.normalize("NFC", name).casefold()
        known, known_folder = self._made.get(folded, (None, is_folder))
        if known is None:
            self._made[folded] = (name, is_folder)
        elif known != name:
            raise self.error(f"{name!r} and {known!r} differ only in case or in how accents are written")
        elif known_folder != is_folder:
            raise self.error(f"{name!r} is both a file and a folder")
        else:
            raise self.error(f"{name!r} is there twice")
        if len(self._made) > MAX_MEMBERS:
            raise self.error(f"it holds more than {MAX_MEMBERS:,} files and folders")


@contextmanager
def _told_apart(target: _Target, why: str) -> Iterator[None]:
    """Turn the errors that decoders raise for damaged data into an `ArchiveError`."""
    try:
        yield
    except ArchiveError:
        raise
    except _DAMAGE as error:
        raise target.error(f"{why} ({str(error) or type(error).__name__})") from error


@contextmanager
def _reading(target: _Target, why: str) -> Iterator[None]:
    """As `_told_apart`, where nothing is written: an OSError, from a wrong offset, is damage, too."""
    with _told_apart(target, why):
        try:
            yield
        except OSError as error:
            raise target.error(f"{why} ({error})") from error


def _unpack_zip(raw: IO[bytes], target: _Target) -> None:
    with _reading(target, "it is damaged"):
        opened = archive_zip.open_zip(raw, max_members=MAX_MEMBERS)
    with opened:
        with _reading(target, "it is damaged"):
            archive_zip.check_ranges(opened)
        for member in opened.infolist():
            # `filename` ends at a NUL and has its separators turned; this one is as it was written.
            name = member.orig_filename
            if kind := archive_zip.kind_of(member):
                raise target.error(f"{name!r} is {kind}")
            if member.flag_bits & 0x1:
                raise target.error(f"{name!r} is encrypted")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise target.error(f"{name!r} is compressed by method {member.compress_type}, not by deflate")
            if name.endswith("/"):
                target.add_folder(name)
                continue
            if archive_zip.is_folder(member):
                raise target.error(f"{name!r} is both a file and a folder")
            with _reading(target, f"{name!r} is damaged"):
                content = opened.open(member)
            with content:
                target.add_file(name, _Counted(content, target).read)


def _unpack_tar(raw: Readable, target: _Target) -> None:
    stream = _Counted(raw, target)
    with _told_apart(target, "it is damaged"):
        for member in archive_tar.members(stream, max_headers=_HEADERS_PER_MEMBER * MAX_MEMBERS):
            if member.kind == archive_tar.FOLDER:
                target.add_folder(member.name)
            elif member.kind == archive_tar.FILE:
                target.add_file(member.name, member.read)
            else:
                raise target.error(f"{member.name!r} is {member.kind}")
        # To the end, so that gzip compares its own checksum.
        while stream.read(_CHUNK):
            pass


class _Counted(io.RawIOBase):
    """A stream whose bytes are counted as they pass."""

    def __init__(self, raw: Readable, target: _Target) -> None:
        super().__init__()
        self._raw = raw
        self._target = target

    def read(self, size: int = -1) -> bytes:
        chunk = self._raw.read(size)
        self._target.count(len(chunk))
        return chunk


class _Inflated:
    """The content of a gzip file of one or more members; zlib compares their checksums and lengths."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._members = 1
        self._decoder = _gzip_decoder()
        self._input = b""

    def read(self, size: int) -> bytes:
        while True:
            if not self._input:
                self._input = self._raw.read(_GZIP_CHUNK)
            if self._decoder.eof:
                if not self._next_member():
                    return b""
            elif not self._input:
                raise EOFError("it ends before its end mark")
            chunk = self._decoder.decompress(self._input, size)
            self._input = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail
            if chunk:
                return chunk

    def _next_member(self) -> bool:
        """Begin the next gzip member, if there is one; zeros may stand before and after it."""
        while self._input and not self._input.strip(b"\0"):
            self._input = self._raw.read(_GZIP_CHUNK)
        self._input = self._input.lstrip(b"\0")
        if not self._input:
            return False
        self._members += 1
        if self._members > _MAX_GZIP_MEMBERS:
            raise ValueError(f"it has more than {_MAX_GZIP_MEMBERS:,} members of gzip")
        self._decoder = _gzip_decoder()
        return True


def _gzip_decoder() -> "zlib._Decompress":
    return zlib.decompressobj(16 + zlib.MAX_WBITS)


def _not_an_archive(archive: Path, head: bytes) -> str:
    looks = head[:40].decode("ascii", "replace")
    hint = "a web page, perhaps a log-in page" if head.lstrip()[:1] == b"<" else f"it begins with {looks!r}"
    return (
        f"{archive.name} is no archive: {hint}.\n"
        "Accepted are .zip, .whl, .tar and .tar.gz. Check the address or the file."
    )
