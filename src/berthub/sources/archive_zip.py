"""Read a zip archive of unknown origin: its members, with their content bounded.

The standard library reads the headers; what it takes on trust is looked at here: how long the directory is, before an
object is made for each entry, and whether two members claim the same bytes.
"""

import io
import stat
import zipfile
from typing import IO

__all__ = ["check_ranges", "is_folder", "kind_of", "open_zip"]

_ENTRY_MARK = b"PK\x01\x02"
_LOCAL_HEADER_BYTES = 30
_MAX_DIRECTORY_BYTES = 32 << 20
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def open_zip(raw: IO[bytes], *, max_members: int) -> zipfile.ZipFile:
    """Open a zip archive; raises ValueError for a directory of more entries, `BadZipFile` for damage."""
    watched = _Watched(raw, max_members)
    opened = zipfile.ZipFile(watched)
    watched.watching = False
    return opened


def kind_of(member: zipfile.ZipInfo) -> str | None:
    """The kind of a member, in words, if it is neither a file nor a folder."""
    kind = stat.S_IFMT(member.external_attr >> 16)
    return None if kind in (0, stat.S_IFREG, stat.S_IFDIR) else _KINDS.get(kind, "of an unknown kind")


def is_folder(member: zipfile.ZipInfo) -> bool:
    """Whether a member's permissions say that it is a folder, whatever its name says."""
    return stat.S_IFMT(member.external_attr >> 16) == stat.S_IFDIR


def check_ranges(opened: zipfile.ZipFile) -> None:
    """Raise ValueError if members share bytes: a few bytes could be unpacked many times."""
    end, before = 0, ""
    for member in sorted(opened.infolist(), key=lambda member: member.header_offset):
        if member.header_offset < end:
            raise ValueError(f"{before!r} and {member.orig_filename!r} share bytes")
        end = member.header_offset + _LOCAL_HEADER_BYTES + member.compress_size
        before = member.orig_filename
    if end > opened.start_dir:
        raise ValueError(f"{before!r} reaches into the directory")


class _Watched(io.RawIOBase):
    """A file that watches its reads while `zipfile` opens it: the directory comes in one read."""

    def __init__(self, raw: IO[bytes], max_members: int) -> None:
        super().__init__()
        self._raw = raw
        self._max_members = max_members
        self.watching = True

    def read(self, size: int = -1) -> bytes:
        if self.watching and size > _MAX_DIRECTORY_BYTES:
            raise ValueError(f"it has a directory of {size:,} bytes")
        chunk = self._raw.read(size)
        if self.watching and chunk.count(_ENTRY_MARK) > self._max_members:
            raise ValueError(f"it holds more than {self._max_members:,} files and folders")
        return chunk

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True
