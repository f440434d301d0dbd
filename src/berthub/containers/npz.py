"""Read the arrays of an `.npz` file strictly: as `numpy.savez` writes them, uncompressed, and none twice.

`numpy.load` makes an array before it knows that the file holds so much, unpacks whatever a member grows to, and takes
the last of two members of one name.
"""

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.containers.files import open_file
from berthub.errors import CorruptFileError, ModelError

__all__ = ["read_npz"]

_SUFFIX = ".npy"


def read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays by name; `CorruptFileError` for anything that `numpy.savez` does not write."""
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            size = path.stat().st_size
            if sum(member.file_size for member in members) > size or any(_is_packed(member) for member in members):
                raise CorruptFileError(f"{path} is damaged: its members are compressed, or lie on the same bytes")
            names = [member.filename for member in members]
            if twice := {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set():
                raise CorruptFileError(f"{path} is damaged: it holds {', '.join(sorted(twice))} twice")
            return {
                member.filename.removesuffix(_SUFFIX): _array(archive.read(member), f"{path}: {member.filename}")
                for member in members
            }
    except ModelError:
        raise
    except Exception as error:  # of a damaged file zipfile and NumPy raise whatever comes: struct.error, TokenError ...
        raise CorruptFileError(f"{path} is damaged: {type(error).__name__}: {error}") from error


def _is_packed(member: zipfile.ZipInfo) -> bool:
    return member.compress_type != zipfile.ZIP_STORED or not member.filename.endswith(_SUFFIX)


def _array(data: bytes, source: str) -> npt.NDArray[Any]:
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, by_columns, dtype = read_header(file)
    held = len(data) - file.tell()
    if (
        dtype.kind not in "biuf"
        or not dtype.isnative
        or any(size < 0 for size in shape)
        or math.prod(shape) * dtype.itemsize != held
    ):
        raise CorruptFileError(f"{source} is damaged: {held:,} bytes for {dtype} of shape {shape}")
    flat = np.frombuffer(bytearray(data[file.tell() :]), dtype)
    return flat.reshape(shape, order="F" if by_columns else "C")
