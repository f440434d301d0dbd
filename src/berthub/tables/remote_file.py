"""A remote file as a seekable stream: blocks of it are requested, kept for a while, and requested again on errors."""

import io
from collections import OrderedDict
from typing import Any, BinaryIO

from berthub.errors import InputError
from berthub.tables.addresses import FileStamp, Remote, remote, shown_address, stamp_of

__all__ = ["open_remote"]

# One request. Larger ones gain little where an answer takes some tens of milliseconds to begin.
_BLOCK = 1 << 22
# The columns of a Parquet file are read from as many places at once.
_KEPT = 8
_BUFFER = 1 << 20


def open_remote(address: str) -> tuple[BinaryIO, FileStamp]:
    """Open a remote file for reading, with its stamp; it takes at most about 32 MB of memory."""
    found = remote(address)
    info = found.info()
    name = shown_address(address)
    if info.get("type") == "directory":
        raise InputError(f"{name} cannot be read: it is a folder")
    if info.get("size") is None:
        raise InputError(f"the server does not say how large {name} is: download it, and read the copy")
    stamp = stamp_of(info)
    return io.BufferedReader(_RemoteFile(found, stamp), _BUFFER), stamp


class _RemoteFile(io.RawIOBase):
    """The bytes of a remote file."""

    def __init__(self, found: Remote, stamp: FileStamp) -> None:
        self._remote = found
        self._stamp = stamp
        self._place = 0
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        # Without a cache, and so without a state that a failed request could spoil.
        self._file = found.retried(lambda: found.system.open(found.path, "rb", cache_type="none", block_size=_BLOCK))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._stamp.size}[whence]
        if start + offset < 0:
            raise ValueError(f"negative seek position {start + offset}")
        self._place = start + offset
        return self._place

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer as far as one block goes."""
        if self._place >= self._stamp.size:
            return 0
        number, offset = divmod(self._place, _BLOCK)
        part = memoryview(self._block(number))[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)

    def close(self) -> None:
        if not self.closed:
            self._kept.clear()
            # A file in memory is the content itself.
            if not isinstance(self._file, io.BytesIO):
                self._file.close()
        super().close()

    def _block(self, number: int) -> bytes:
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        start = number * _BLOCK
        end = min(start + _BLOCK, self._stamp.size)
        data: bytes = self._remote.retried(lambda: self._fetched(start, end))
        # Not every store can be told to serve one version of a file only.
        if len(data) != end - start or (end == self._stamp.size and stamp_of(self._remote.info()) != self._stamp):
            raise InputError(
                f"{shown_address(self._remote.address)} was changed while it was read. Read it again when nobody "
                "writes to it, or read a copy"
            )
        self._kept[number] = data
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return data

    def _fetched(self, start: int, end: int) -> bytes:
        if isinstance(self._file, io.BytesIO):
            # The file systems in memory hand out one object to all, with one position.
            return bytes(self._file.getbuffer()[start:end])
        self._file.seek(start)
        parts = []
        while start < end and (data := self._file.read(end - start)):
            parts.append(data)
            start += len(data)
        return b"".join(parts)
