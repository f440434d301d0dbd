"""Find the members of a zip archive in the mapped file: where they are not compressed, their bytes are views of it."""

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from berthub.containers.places import check_apart
from berthub.errors import CorruptFileError, ModelError, UnsupportedModelError

__all__ = ["Member", "member_bytes", "zip_members"]

_LOCAL = struct.Struct("<4s5H3L2H")
_ENCRYPTED = 0x1
# Weights are hardly made smaller by packing. So all of an archive may unpack to so many times its size.
_MOST_UNPACKED = 4


@dataclass(frozen=True, slots=True)
class Member:
    """A member: where its header and its bytes are, how many these are when they are unpacked, and their checksum."""

    name: str
    header: int
    begin: int
    packed: int
    size: int
    is_packed: bool
    checksum: int


def zip_members(data: npt.NDArray[np.uint8], path: Path) -> dict[str, Member]:
    """The members by name.

    `CorruptFileError` for an archive that names one twice, has two on the same bytes, or unpacks to more than 4 times
    its size; `UnsupportedModelError` for an encrypted one.
    """
    try:
        with zipfile.ZipFile(_MappedFile(data)) as archive:
            members = [_member(data[: archive.start_dir], info, path) for info in archive.infolist()]
    except ModelError:
        raise
    except Exception as error:  # of a damaged archive zipfile raises whatever comes: struct.error, ValueError ...
        raise CorruptFileError(f"{path} is damaged: {type(error).__name__}: {error}") from error
    found = {member.name: member for member in members}
    if len(found) < len(members):
        raise CorruptFileError(f"{path} is damaged: it holds a member twice")
    if sum(member.size for member in members if member.is_packed) > _MOST_UNPACKED * len(data):
        raise CorruptFileError(f"{path} is no model's: it would unpack to more than {_MOST_UNPACKED} times its size")
    places = ((member.name, member.header, member.begin + member.packed - member.header) for member in members)
    check_apart(places, source=str(path))
    return found


def member_bytes(data: npt.NDArray[np.uint8], member: Member, path: Path) -> npt.NDArray[np.uint8]:
    """The bytes of a member, compared with its checksum: a view of the file, or unpacked."""
    found = data[member.begin : member.begin + member.packed]
    if member.is_packed:
        unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            unpacked = unpacking.decompress(found.data, member.size + 1)
        except zlib.error as error:
            raise CorruptFileError(f"{path} is damaged: {member.name!r} cannot be unpacked ({error})") from error
        if len(unpacked) != member.size:
            raise CorruptFileError(f"{path} is damaged: {member.name!r} does not unpack to {member.size:,} bytes")
        found = np.frombuffer(unpacked, np.uint8)
    # PyTorch stores zeros where the user switched checksums off.
    if member.checksum and zlib.crc32(found.data) != member.checksum:
        raise CorruptFileError(f"{path} is damaged: {member.name!r} does not have its checksum")
    return found


def _member(data: npt.NDArray[np.uint8], info: zipfile.ZipInfo, path: Path) -> Member:
    name = info.orig_filename
    if info.flag_bits & _ENCRYPTED:
        raise UnsupportedModelError(f"{path}: {name[:200]!r} is encrypted, which is not read: decrypt the file first")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnsupportedModelError(f"{path}: {name[:200]!r} is compressed in an unusual way: save the model anew")
    start = info.header_offset
    header = data[start : start + _LOCAL.size].tobytes()
    if start < 0 or len(header) < _LOCAL.size:
        raise CorruptFileError(f"{path} is damaged: {name[:200]!r} begins at byte {start:,}, outside of the file")
    signature, *_, name_length, extra_length = _LOCAL.unpack(header)
    begin = start + _LOCAL.size + name_length + extra_length
    stored = data[start + _LOCAL.size : start + _LOCAL.size + name_length].tobytes()
    is_packed = info.compress_type == zipfile.ZIP_DEFLATED
    if (
        signature != b"PK\3\4"
        or stored not in (name.encode(), name.encode("cp437", "replace"))
        or info.compress_size < 0
        or begin + info.compress_size > len(data)
        or (not is_packed and info.compress_size != info.file_size)
    ):
        raise CorruptFileError(f"{path} is damaged: {name[:200]!r} is not where its list of members says")
    return Member(name, start, begin, info.compress_size, info.file_size, is_packed, info.CRC)


class _MappedFile(io.RawIOBase):
    """The mapped bytes as a file, as zipfile wants one; nothing is copied but what is read."""

    def __init__(self, data: npt.NDArray[np.uint8]) -> None:
        self._data, self._at = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        if at < 0:
            raise ValueError(f"a place before the file: {at}")
        self._at = at
        return at

    def read(self, size: int | None = -1) -> bytes:
        end = len(self._data) if size is None or size < 0 else self._at + size
        found = self._data[self._at : end].tobytes()
        self._at += len(found)
        return found
