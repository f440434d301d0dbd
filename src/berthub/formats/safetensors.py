"""Arrays of a safetensors file as views of the mapped file.

The safetensors library checks the header (https://huggingface.co/docs/safetensors), but its own loader copies.
The format leaves no holes between tensors, so their places follow from their order and sizes.
"""

import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.errors import CorruptFileError, ModelError, UnsupportedModelError
from berthub.formats.files import memory_map

__all__ = ["read_safetensors", "write_safetensors"]

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),  # NumPy has no bfloat16: its bits are the upper half of a float32's
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}


def read_safetensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All tensors by name: views for float32 and integers, float32 copies for other float types."""
    return dict(_tensors(path, memory_map(path)))


def write_safetensors(path: Path, arrays: Mapping[str, npt.NDArray[np.float32]], metadata: Mapping[str, str]) -> None:
    """Write float32 arrays."""
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path, metadata=dict(metadata))


def _tensors(path: Path, data: npt.NDArray[np.uint8]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            (header,) = struct.unpack("<Q", data[:8].tobytes())
            offset = 8 + header
            for name in file.offset_keys():
                tensor = file.get_slice(name)
                dtype, shape = _DTYPES.get(tensor.get_dtype()), tuple(tensor.get_shape())
                if dtype is None:
                    raise UnsupportedModelError(f"{path}: {name!r} is of type {tensor.get_dtype()}, which is not read")
                size = math.prod(shape) * dtype.itemsize
                if not size or len(shape) > 8:  # NumPy has limits of its own; a weight has at most three dimensions
                    raise CorruptFileError(f"{path}: {name!r} has the shape {shape}, which is no weight's")
                array = np.ndarray(shape, dtype, data[offset : offset + size].data)
                offset += size
                yield name, _as_float32(array, tensor.get_dtype())
    except SafetensorError as error:
        raise CorruptFileError(f"{path} is damaged or no safetensors file: {error}") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}") from error


def _as_float32(array: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    if dtype == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    if dtype in ("F16", "F64"):
        return array.astype(np.float32)
    return array
