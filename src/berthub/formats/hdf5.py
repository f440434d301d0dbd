"""Arrays of an HDF5 file, as Keras writes them, as views of the mapped file.

h5py tells where they are; what it would follow out of the file (external storage, links) or unpack is not read.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.errors import CorruptFileError, MissingDependencyError, ModelError, UnsupportedModelError
from berthub.formats.files import memory_map

__all__ = ["read_hdf5"]

# Larger ones have a place of their own in the file; smaller ones may be inside the dataset's description.
_LARGEST_INLINE = 1 << 16


def read_hdf5(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All number arrays by their paths: views for float32 and integers, float32 copies for other float types."""
    try:
        import h5py  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingDependencyError(f"reading {path.name} needs h5py: pip install h5py") from error
    data = memory_map(path)
    arrays: dict[str, npt.NDArray[Any]] = {}

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = _array(name, item, data, path)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(collect)
    except ModelError:
        raise
    except (OSError, RuntimeError, ValueError, TypeError, LookupError, OverflowError, UnicodeError) as error:
        raise CorruptFileError(f"{path} is damaged or no HDF5 file: {error}") from error
    return arrays


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
    if bfloat16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    if dtype.kind != "f" or dtype == np.dtype("<f4"):
        return array
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
        return array.astype(np.float32)
