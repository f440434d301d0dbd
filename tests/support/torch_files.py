"""Write files of PyTorch by hand: pickles instruction by instruction, and the two forms of files around them."""

import io
import struct
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

PROTOCOL = b"\x80\x02"


def integer(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def many(*items: bytes) -> bytes:
    """A tuple."""
    return b"(" + b"".join(items) + b"t"


def integers(values: Sequence[int]) -> bytes:
    return many(*map(integer, values))


def storage(key: str = "0", count: int = 6, kind: str = "FloatStorage", *view: bytes) -> bytes:
    described = (text("storage"), name("torch", kind), text(key), text("cpu"), integer(count), *view)
    return many(*described) + b"Q"


def tensor(
    shape: Sequence[int] = (2, 3),
    stride: Sequence[int] = (3, 1),
    offset: int = 0,
    stored: bytes | None = None,
    *more: bytes,
) -> bytes:
    """Instructions that leave a tensor: of the storage 0 of six numbers, if no other one is `stored`."""
    described = (storage() if stored is None else stored, integer(offset), integers(shape), integers(stride), b"\x89")
    return name("torch._utils", "_rebuild_tensor_v2") + many(*described, ordered(), *more) + b"R"


def ordered() -> bytes:
    return name("collections", "OrderedDict") + b")R"


def state(**entries: bytes) -> bytes:
    """A pickle of a dictionary."""
    return PROTOCOL + b"}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u."


NUMBERS = struct.pack("<6f", *range(6))


def write_zip(
    path: Path,
    pickled: bytes,
    storages: Mapping[str, bytes] = {"0": NUMBERS},
    *,
    members: Mapping[str, bytes] = {},
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """The form of today; `members` are others, by their whole names."""
    named = {"m/data.pkl": pickled, **{f"m/data/{key}": data for key, data in storages.items()}, **members}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for member, data in named.items():
            archive.writestr(member, data)
    return path


def save_arrays(path: Path, arrays: Mapping[str, npt.NDArray[np.float32]], *, older: bool) -> None:
    """What `torch.save` of these tensors writes, each with a storage of its own."""
    stored = {str(number): np.ascontiguousarray(array, "<f4").tobytes() for number, array in enumerate(arrays.values())}
    described = {
        name_: tensor(
            array.shape,
            [int(np.prod(array.shape[axis + 1 :])) for axis in range(array.ndim)],
            0,
            storage(key, array.size),
        )
        for key, (name_, array) in zip(stored, arrays.items(), strict=True)
    }
    if not older:
        write_zip(path, state(**described), stored)
        return
    keys = plain(b"](" + b"".join(map(text, stored)) + b"e")
    held = b"".join(struct.pack("<q", len(data) // 4) + data for data in stored.values())
    path.write_bytes(row(state(**described), keys=keys, storages=held))


def plain(value: bytes) -> bytes:
    """A pickle of this one value."""
    return PROTOCOL + value + b"."


MAGIC = plain(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")


def row(
    pickled: bytes,
    *,
    magic: bytes = MAGIC,
    version: bytes = plain(integer(1001)),
    machine: bytes = plain(b"}"),
    keys: bytes = plain(b"]" + text("0") + b"a"),
    storages: bytes = struct.pack("<q", 6) + NUMBERS,
) -> bytes:
    """The older form: a row of pickles, and the storages."""
    return magic + version + machine + pickled + keys + storages


def encrypted(path: Path) -> Path:
    """The archive, with the flag of encryption at each member."""
    data = bytearray(path.read_bytes())
    for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + place] |= 1
            at = data.find(signature, at + 4)
    path.write_bytes(data)
    return path


def archive_of(*members: tuple[str, bytes]) -> bytes:
    """An archive in which members may have the same name."""
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(file, "w") as archive:
        for member, data in members:
            archive.writestr(member, data)
    return file.getvalue()
