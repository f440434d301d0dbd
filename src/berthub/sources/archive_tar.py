"""Read a tar archive of unknown origin: its members, as a stream.

The standard library's reader searches extended headers with patterns whose time grows with the square of the
header's length (before Python 3.11.10 and 3.12.6), so that some hundred bytes hold a process for hours. Here a
record's syntax and length are looked at before anything is searched, and only what names a member is kept.
"""

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

__all__ = ["FILE", "FOLDER", "Member", "Readable", "members"]

FILE, FOLDER = "a file", "a folder"

# Honest extended headers hold a long name or a few numbers.
_MAX_EXTENDED_BYTES = 1 << 20
# A record begins with its own length, in digits.
_MAX_DIGITS = 7
_CHUNK = 1 << 20
_RECORDS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_LONG_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_KINDS = {
    tarfile.REGTYPE: FILE,
    tarfile.AREGTYPE: FILE,
    tarfile.CONTTYPE: FILE,
    tarfile.DIRTYPE: FOLDER,
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


class Readable(Protocol):
    """A source of bytes; an empty answer is the end."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes."""
        ...


@dataclass(frozen=True)
class Member:
    """One member: its name as written, what it is (`FILE`, `FOLDER`, or in words), and a file's content.

    `read(size)` gives at most `size` bytes, and none at the end; what is not read before the next member is asked for
    is skipped.
    """

    name: str
    kind: str
    read: Callable[[int], bytes]


def members(stream: Readable, *, max_headers: int) -> Iterator[Member]:
    """The members of a tar archive up to its end mark.

    Raises ValueError or EOFError for damage, and for more than `max_headers` headers of any kind.
    """
    shared: dict[str, str] = {}  # of global headers, which hold for all members after them
    own: dict[str, str] = {}
    for _ in range(max_headers):
        header = _header(stream)
        if header is None:
            return
        if header.type in _RECORDS:
            found = _records(_extension(stream, header))
            (shared if header.type == tarfile.XGLTYPE else own).update(found)
        elif header.type in _LONG_NAMES:
            name = _extension(stream, header).partition(b"\0")[0]
            if header.type == tarfile.GNUTYPE_LONGNAME:
                own.setdefault("path", name.decode("utf-8", "surrogateescape"))
        else:
            said, own = shared | own, {}
            yield from _member(stream, header, said)
    raise ValueError(f"it has more than {max_headers:,} headers")


def _member(stream: Readable, header: tarfile.TarInfo, said: dict[str, str]) -> Iterator[Member]:
    kind = _KINDS.get(header.type, "of an unknown kind")
    if "sparse" in said:
        kind = _KINDS[tarfile.GNUTYPE_SPARSE]
    content = _Content(stream, _size(said["size"]) if "size" in said else header.size)
    if kind == FILE:
        yield Member(said.get("path", header.name), FILE, content.read)
        content.skip()
    else:
        yield Member(said.get("path", header.name), kind, lambda _: b"")


class _Content:
    """The content of a member, which the stream has in blocks."""

    def __init__(self, stream: Readable, size: int) -> None:
        self._stream = stream
        self._left = size
        self._padding = -size % tarfile.BLOCKSIZE

    def read(self, size: int) -> bytes:
        chunk = _exactly(self._stream, min(size, self._left))
        self._left -= len(chunk)
        return chunk

    def skip(self) -> None:
        while self.read(_CHUNK):
            pass
        _exactly(self._stream, self._padding)


def _header(stream: Readable) -> tarfile.TarInfo | None:
    """The next header; None at the end mark."""
    block = _up_to(stream, tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE:
        raise ValueError("it ends before its end mark")
    if not any(block):
        return None
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        raise ValueError("it has a damaged header") from None
    if header.size < 0:
        raise ValueError(f"it has a header of {header.size:,} bytes")
    return header


def _extension(stream: Readable, header: tarfile.TarInfo) -> bytes:
    if header.size > _MAX_EXTENDED_BYTES:
        raise ValueError(f"it has a header of {header.size:,} bytes")
    content = _exactly(stream, header.size)
    _exactly(stream, -header.size % tarfile.BLOCKSIZE)
    return content


def _records(content: bytes) -> dict[str, str]:
    """Read an extended header, records `LENGTH KEY=VALUE`: a member's path, its size, whether it is sparse."""
    found: dict[str, str] = {}
    begin = 0
    while begin < len(content) and content[begin] != 0:
        space = content.find(b" ", begin, begin + _MAX_DIGITS + 1)
        digits = content[begin:space]
        if space < 0 or not digits.isdigit():
            raise ValueError("it has an extended header with a record of no length")
        end = begin + int(digits)
        equals = content.find(b"=", space, end)
        if end > len(content) or equals < 0 or content[end - 1] != 0x0A:
            raise ValueError("it has an extended header with a damaged record")
        key = content[space + 1 : equals]
        if key in (b"path", b"size"):
            found[key.decode()] = content[equals + 1 : end - 1].decode("utf-8", "surrogateescape")
        elif key.startswith(b"GNU.sparse."):
            found["sparse"] = "yes"
        begin = end
    return found


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError(f"it has an extended header with the size {text[:20]!r}")
    return int(text)


def _up_to(stream: Readable, size: int) -> bytes:
    """That many bytes, or those that are left."""
    chunk = stream.read(size)
    while len(chunk) < size and (more := stream.read(size - len(chunk))):
        chunk += more
    return chunk


def _exactly(stream: Readable, size: int) -> bytes:
    chunk = _up_to(stream, size) if size else b""
    if len(chunk) < size:
        raise EOFError("it ends in the middle of a member")
    return chunk
