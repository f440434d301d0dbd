"""How is an archive of unknown origin unpacked without harm?

Nothing that a header says is trusted: names are checked before a path is made of them, bytes are counted
while they are copied, and permissions, owners and times are not taken over. Nothing remains on disk after a
failure.
"""

import gzip
import io
import re
import shutil
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, Self

from berthub.errors import ArchiveError

__all__ = ["MAX_COMPRESSION_RATIO", "MAX_MEMBERS", "MAX_UNPACKED_BYTES", "RATIO_FLOOR_BYTES", "unpack"]

MAX_MEMBERS = 10_000
"""The most files and folders that one archive may make, the folders that names only imply included."""
MAX_UNPACKED_BYTES = 32 << 30
MAX_COMPRESSION_RATIO = 200
RATIO_FLOOR_BYTES = 64 << 20
"""Up to this size the compression ratio is not looked at."""

_CHUNK = 1 << 20
# Extended headers are read into memory at once; honest ones hold a long name or a few numbers.
_MAX_HEADER_BYTES = 1 << 20
_MAX_NAME = 1024
_EXTENDED_HEADERS = frozenset(
    (
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    )
)
_TAR_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}
_FILE_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}
_DRIVE = re.compile(r"[A-Za-z]:")
# What the decoders raise for data that is damaged; a full disk is not among them, so writing stays outside.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    gzip.BadGzipFile,
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
        with archive.open("rb") as raw:
            head = raw.read(512)
            raw.seek(0)
            if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
                _unpack_zip(raw, target)
            elif head.startswith(b"\x1f\x8b"):
                with gzip.GzipFile(fileobj=raw) as inflated:
                    _unpack_tar(inflated, target)
            elif head[257:262] == b"ustar" or archive.suffix == ".tar":
                _unpack_tar(raw, target)
            else:
                raise ArchiveError(_not_an_archive(archive, head))
        if not target.has_files:
            raise target.error("it holds no files")
    except BaseException:
        shutil.rmtree(folder)
        raise


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


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
        self._claim(parts, is_folder=True)
        self._folder.joinpath(*parts).mkdir(parents=True, exist_ok=True)

    def add_file(self, name: str, read: Callable[[int], bytes]) -> None:
        parts = self._parts(name)
        if not parts:
            raise self.error(f"{name!r} is a file without a name")
        self._claim(parts, is_folder=False)
        path = self._folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
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
        return parts

    def _claim(self, parts: tuple[str, ...], *, is_folder: bool) -> None:
        for length in range(1, len(parts) + 1):
            name = "/".join(parts[:length])
            folder = is_folder or length < len(parts)
            # As file systems that ignore case, and those that compose characters, would take it.
            folded = unicodedata.normalize("NFC", name).casefold()
            known, known_folder = self._made.get(folded, (None, folder))
            if known is None:
                self._made[folded] = (name, folder)
            elif known != name:
                raise self.error(f"{name!r} and {known!r} differ only in case or in how accents are written")
            elif known_folder != folder:
                raise self.error(f"{name!r} is both a file and a folder")
            elif not folder:
                raise self.error(f"{name!r} is there twice")
        if len(self._made) > MAX_MEMBERS:
            raise self.error(f"it holds more than {MAX_MEMBERS:,} files and folders")


@contextmanager
def _told_apart(target: _Target, why: str) -> Iterator[None]:
    """Turn what decoders raise for damaged data into an `ArchiveError`."""
    try:
        yield
    except ArchiveError:
        raise
    except _DAMAGE as error:
        raise target.error(f"{why} ({str(error) or type(error).__name__})") from error


@contextmanager
def _reading(target: _Target, why: str) -> Iterator[None]:
    """The same where nothing is written: a wrong offset makes the system refuse to seek, with an OSError."""
    with _told_apart(target, why):
        try:
            yield
        except OSError as error:
            raise target.error(f"{why} ({error})") from error


def _unpack_zip(raw: IO[bytes], target: _Target) -> None:
    with _reading(target, "it is damaged"):
        opened = zipfile.ZipFile(raw)
    with opened:
        for member in opened.infolist():
            # `filename` is cut at a NUL and has its separators turned; this one is as it was written.
            name = member.orig_filename
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise target.error(f"{name!r} is {_FILE_KINDS.get(kind, 'of an unknown kind')}")
            if member.flag_bits & 0x1:
                raise target.error(f"{name!r} is encrypted")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise target.error(f"{name!r} is compressed by method {member.compress_type}, not by deflate")
            if name.endswith("/"):
                target.add_folder(name)
                continue
            if kind == stat.S_IFDIR:
                raise target.error(f"{name!r} is both a file and a folder")
            with _reading(target, f"{name!r} is damaged"):
                content = opened.open(member)
            with content:
                target.add_file(name, _Counted(content, target).read)


def _unpack_tar(raw: _Readable, target: _Target) -> None:
    stream = _Counted(raw, target)
    with (
        _told_apart(target, "it is damaged"),
        tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as opened,
    ):
        for member in opened:
            if member.isdir():
                target.add_folder(member.name)
            elif member.issparse() or not member.isreg() or member.size < 0:
                raise target.error(f"{member.name!r} is {_TAR_KINDS.get(member.type, 'of an unknown kind')}")
            else:
                content = opened.extractfile(member)
                assert content is not None  # it is None for what is neither file nor link, ruled out above
                target.add_file(member.name, content.read)
        # To the end, so that gzip compares its own checksum.
        while stream.read(_CHUNK):
            pass


class _Counted(io.RawIOBase):
    """A stream whose bytes are counted as they pass."""

    def __init__(self, raw: _Readable, target: _Target) -> None:
        super().__init__()
        self._raw = raw
        self._target = target

    def read(self, size: int = -1) -> bytes:
        chunk = self._raw.read(size)
        self._target.count(len(chunk))
        return chunk


class _Header(tarfile.TarInfo):
    """A tar header that is refused, where `tarfile` would stop without a word or read without a limit."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        if len(buf) < tarfile.BLOCKSIZE:
            raise ValueError("it ends before its end mark")
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError:
            if any(buf):
                # tarfile takes a bad header behind a good one for the end of the archive.
                raise ValueError("it has a damaged header") from None
            raise
        if header.size < 0 or (header.type in _EXTENDED_HEADERS and header.size > _MAX_HEADER_BYTES):
            raise ValueError(f"it has a header of {header.size:,} bytes")
        return header


def _not_an_archive(archive: Path, head: bytes) -> str:
    looks = head[:40].decode("ascii", "replace")
    hint = "a web page, perhaps a log-in page" if head.lstrip()[:1] == b"<" else f"it begins with {looks!r}"
    return (
        f"{archive.name} is no archive: {hint}.\n"
        "Accepted are .zip, .whl, .tar and .tar.gz. Check the address or the file."
    )
