"""Read the arrays of an HDF5 file, as Keras writes them, as views of the mapped file.

h5py tells where they are; what it would follow out of the file (external storage, links) or unpack is not read.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.containers.files import map_file, open_file
from berthub.containers.float_types import as_float32
from berthub.containers.places import check_apart
from berthub.errors import CorruptFileError, MissingDependencyError, ModelError, UnsupportedModelError

__all__ = ["read_hdf5"]

# Larger ones have a place of their own in the file; smaller ones may be inside the dataset's description.
_LARGEST_INLINE = 1 << 16
# Keras nests groups ten deep, and the largest encoders have some thousand; the library looks each up from the root.
_DEEPEST, _MOST_OBJECTS = 64, 1 << 14


def read_hdf5(path: Path, *, scalars: bool = False) -> dict[str, npt.NDArray[Any]]:
    """All number arrays by their paths: views for float32 and integers, float32 copies for other float types.

    With `scalars` there may be single numbers beside them, such as the counters of an optimizer; they are left out.

    `CorruptFileError` for a damaged file, and one in which two names stand for the same bytes;
    `UnsupportedModelError` for links, chunks and other files.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError(f"reading {path.name} needs h5py: pip install h5py") from error
    arrays: dict[str, npt.NDArray[Any]] = {}
    places: list[tuple[str, int, int]] = []
    try:
        with open_file(path) as opened, h5py.File(opened, "r") as file:
            data = map_file(opened, path)
            for name, dataset in _datasets(file, path):
                if scalars and dataset.shape == ():
                    continue
                place = dataset.id.get_offset()
                arrays[name] = _array(name, dataset, data, path)
                if place is not None:
                    places.append((name, place, dataset.id.get_storage_size()))
    except ModelError:
        raise
    except Exception as error:  # of a damaged file h5py and NumPy raise whatever comes: TokenError, SystemError ...
        raise CorruptFileError(f"{path} is damaged or no HDF5 file: {type(error).__name__}: {error}") from error
    check_apart(places, source=str(path))
    return arrays


def _datasets(file: Any, path: Path) -> Iterator[tuple[str, Any]]:
    """The datasets below the root, each with its path; every object has one name."""
    import h5py

    # An object's place in the file -> its name.
    names: dict[tuple[int, int], str] = {_address(file): "the root"}
    waiting = [("", 1, file)]
    while waiting:
        inside, depth, group = waiting.pop()
        for name in group:
            where = f"{inside}{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise UnsupportedModelError(f"{path}: {where!r} is a link to another name or file, which is not read")
            item = group[name]
            if (known := names.setdefault(_address(item), where)) != where:
                raise CorruptFileError(f"{path} is damaged: {known!r} and {where!r} are the same object")
            if len(names) > _MOST_OBJECTS or depth > _DEEPEST:
                raise UnsupportedModelError(
                    f"{path} has more than {_MOST_OBJECTS:,} objects, or groups more than {_DEEPEST} deep: no encoder"
                )
            if isinstance(item, h5py.Dataset):
                yield where, item
            elif isinstance(item, h5py.Group):
                waiting.append((f"{where}/", depth + 1, item))


def _address(item: Any) -> tuple[int, int]:
    import h5py

    info = h5py.h5o.get_info(item.id)
    return info.fileno, info.addr


def _array(name: str, dataset: Any, data: npt.NDArray[np.uint8], path: Path) -> npt.NDArray[Any]:
    if dataset.chunks is not None or dataset.external or dataset.is_virtual:
        raise UnsupportedModelError(f"{path}: {name!r} is stored in chunks or outside of the file, which is not read")
    dtype, shape = dataset.dtype, dataset.shape
    bfloat16 = dtype == np.dtype("V2") and dataset.attrs.get("dtype") == "bfloat16"
    if bfloat16:
        dtype = np.dtype("<u2")
    if dtype.kind not in "biuf" or not shape or len(shape) > 8 or not math.prod(shape):
        raise CorruptFileError(f"{path}: {name!r} is {dtype} of shape {shape}, which is no weight")
    size, offset = math.prod(shape) * dtype.itemsize, dataset.id.get_offset()
    if offset is None and size <= _LARGEST_INLINE and dataset.id.get_storage_size() == size:
        array: npt.NDArray[Any] = np.asarray(dataset[()]).view(dtype)
    elif offset is None or offset + size > len(data):
        raise CorruptFileError(f"{path} is truncated: {name!r} of shape {shape} is not in its {len(data):,} bytes")
    else:
        array = np.ndarray(shape, dtype, data[offset : offset + size].data)
    return as_float32(array, bfloat16=bfloat16)
