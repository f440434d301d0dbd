"""Read the tensors of a file that `torch.save` wrote, as views of the mapped file; nothing of its pickle is run.

Since PyTorch 1.6 such a file is a zip archive: `data.pkl`, a pickle that describes the tensors, and a member for each
storage, not compressed. Before, it was a row of pickles (a number that marks the form, its version, facts about the
machine, the description, and the keys of the storages), and then the storages.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.containers.files import memory_map
from berthub.containers.pickles import read_pickle
from berthub.containers.torch_tensors import Storage, TensorNames, arrays_of
from berthub.containers.zip_members import member_bytes, zip_members
from berthub.errors import CorruptFileError, UnsupportedModelError

__all__ = ["read_torch"]

_ZIP = b"PK\3\4"
_PICKLE = b"\x80"
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_COUNT = struct.Struct("<q")


def read_torch(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a state dictionary by name: views for float32 and integers, float32 copies for other float types.

    `UnsupportedModelError`, and nothing is run, for a pickle that asks for any object but tensors and plain containers,
    and for TorchScript; `CorruptFileError` for a damaged file, and for one that claims more than it holds.
    """
    data = memory_map(path)
    head = data[: len(_ZIP)].tobytes()
    if head == _ZIP:
        return _zipped(path, data)
    if head[:1] == _PICKLE:
        return _in_a_row(path, data)
    raise CorruptFileError(
        f"{path} is damaged or not of torch.save: it begins with {head!r}, where a zip archive or a pickle is expected"
    )


def _zipped(path: Path, data: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
    members = zip_members(data, path)
    roots = [name.removesuffix("data.pkl") for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise CorruptFileError(f"{path} is no file of torch.save: it has {len(roots)} members FOLDER/data.pkl")
    root = roots[0]
    if f"{root}constants.pkl" in members:
        raise UnsupportedModelError(
            f"{path} is a TorchScript archive, which is a program. Save the weights alone: "
            "torch.save(torch.jit.load(path).state_dict(), another_path)"
        )
    order = b"little"
    if (member := members.get(f"{root}byteorder")) is not None:
        order = member_bytes(data, member, path).tobytes()
        if order not in (b"little", b"big"):
            raise CorruptFileError(f"{path} is damaged: its order of bytes is {order[:20]!r}")
    names = TensorNames(str(path))
    pickled = member_bytes(data, members[f"{root}data.pkl"], path)
    value, end = read_pickle(pickled.data, source=str(path), known=names.known, persistent=names.storage)
    if end != len(pickled):
        raise CorruptFileError(f"{path} is damaged: {len(pickled) - end:,} bytes are left after its pickle")

    def read(storage: Storage) -> npt.NDArray[np.uint8]:
        whole = names.storages[storage.key]
        member = members.get(f"{root}data/{storage.key}")
        size = whole.count * whole.itemsize
        if member is None or member.size != size:
            raise CorruptFileError(
                f"{path} is damaged: the storage {storage.key!r} should have {size:,} bytes, and it has "
                f"{member.size if member else 0:,}"
            )
        return member_bytes(data, member, path)

    return arrays_of(value, read, source=str(path), swapped=order == b"big")


def _in_a_row(path: Path, data: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
    source, names = str(path), TensorNames(str(path))
    magic, at = read_pickle(data.data, source=source, known=names.known, persistent=names.storage)
    if magic != _MAGIC or type(magic) is not int:
        raise UnsupportedModelError(
            f"{path} is a pickle, but not of torch.save: no weights are read from it. Give model.safetensors, or what "
            "torch.save(model.state_dict(), path) writes"
        )
    version, at = read_pickle(data.data, at, source=source)
    if version != _VERSION or type(version) is not int:
        raise UnsupportedModelError(f"{path} is of a version of PyTorch's format that is not read; {_VERSION} is")
    machine, at = read_pickle(data.data, at, source=source)
    if not isinstance(machine, dict):
        raise CorruptFileError(f"{path} is damaged: it should tell of the machine that it was written on")
    value, at = read_pickle(data.data, at, source=source, known=names.known, persistent=names.storage)
    keys, at = read_pickle(data.data, at, source=source)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or len(set(keys)) < len(keys):
        raise CorruptFileError(f"{path} is damaged: the keys of its storages should be a list of different texts")
    if set(keys) != names.storages.keys():
        raise CorruptFileError(f"{path} is damaged: the storages that it lists are not those that its tensors have")
    places: dict[str, tuple[int, int]] = {}
    for key in keys:
        storage = names.storages[key]
        held = data[at : at + _COUNT.size].tobytes()
        begin, size = at + _COUNT.size, storage.count * storage.itemsize
        if len(held) < _COUNT.size or _COUNT.unpack(held)[0] != storage.count or begin + size > len(data):
            raise CorruptFileError(
                f"{path} is damaged or truncated: at byte {at:,} should be the {storage.count:,} numbers of the "
                f"storage {key!r}"
            )
        places[key] = begin, begin + size
        at = begin + size
    if at != len(data):
        raise CorruptFileError(f"{path} is damaged: {len(data) - at:,} bytes are left after its storages")
    # The storages are in the order of little-endian machines, whatever machine wrote them.
    return arrays_of(value, lambda storage: data[slice(*places[storage.key])], source=source)
