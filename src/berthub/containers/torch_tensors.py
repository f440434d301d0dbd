"""The tensors that a pickle of PyTorch describes: what it may name, and what that stands for."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.containers.float_types import as_float32
from berthub.containers.pickles import Known, Maker
from berthub.errors import CorruptFileError, UnsupportedModelError

__all__ = ["Storage", "Tensor", "TensorNames", "arrays_of"]

# torch's storage class -> the type of its numbers.
_STORAGES: dict[str, str] = {
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "DoubleStorage": "f8",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_DTYPES = (
    "float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool",
)  # fmt: skip
_LARGEST, _MOST_DIMENSIONS = 1 << 48, 8
# How often the numbers of one storage may be used by different tensors: each may become a copy.
_MOST_USES = 4


@dataclass(frozen=True, slots=True)
class _Type:
    """What a pickle names and does not call: a storage class, or a dtype."""

    name: str


@dataclass(frozen=True, slots=True)
class Storage:
    """Numbers in a row: `count` of one type (NumPy's code, or bfloat16), in the file under `key`.

    `first` of them are passed over in a storage that is a part of another one, which files of 2017 may have.
    """

    key: str
    dtype: str
    count: int
    first: int = 0

    @property
    def itemsize(self) -> int:
        """The bytes of one number."""
        return 2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of a storage; `offset` and `stride` count numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class TensorNames:
    """What a pickle of PyTorch may name: `known` for functions and classes, `storage` for what lies outside of it."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._storages: dict[str, Storage] = {}
        self.known: Known = {
            "collections.OrderedDict": Maker(self._ordered),
            "torch.Size": Maker(self._size),
            "torch._utils._rebuild_tensor": Maker(self._tensor),
            "torch._utils._rebuild_tensor_v2": Maker(self._tensor),
            "torch._utils._rebuild_parameter": Maker(self._parameter),
            "torch._utils._rebuild_parameter_with_state": Maker(self._parameter),
            **{f"torch.{name}": _Type(dtype) for name, dtype in _STORAGES.items()},
            **{f"torch.{name}": _Type(name) for name in _DTYPES},
        }

    @property
    def storages(self) -> dict[str, Storage]:
        """Those that the pickle has named, by their keys."""
        return self._storages

    def storage(self, called: Any) -> Storage:
        """The storage that a pickle calls ("storage", its class, key, device, count), and a part of it perhaps."""
        match called:
            case ("storage", _Type(dtype), str(key), str(), int(count), *view) if (
                dtype in _STORAGES.values() and _is_count(count) and len(key) <= 64 and len(view) <= 1
            ):
                storage = Storage(key, dtype, count)
            case _:
                raise self._damaged("a storage is described otherwise than PyTorch does")
        known = self._storages.setdefault(key, storage)
        if known != storage:
            raise self._damaged(f"the storage {key!r} is described in two ways")
        match view:
            case [] | [None]:
                return storage
            case [(str(), int(first), int(count))] if _is_count(first) and _is_count(count):
                if first + count <= storage.count:
                    return Storage(key, dtype, count, first)
        raise self._damaged(f"a part of the storage {key!r} is not in it")

    def _ordered(self, arguments: tuple[Any, ...]) -> dict[Any, Any]:
        if arguments:
            raise UnsupportedModelError(
                f"{self._source}: an OrderedDict is made with arguments, as by Python 2: save it anew, as safetensors"
            )
        return {}

    def _size(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        match arguments:
            case (tuple() as sizes,):
                return sizes
        raise self._damaged("a torch.Size is described otherwise than PyTorch does")

    def _tensor(self, arguments: tuple[Any, ...]) -> Tensor:
        match arguments:
            case (Storage() as storage, int(offset), tuple() as shape, tuple() as stride, *more) if len(more) <= 3:
                pass
            case _:
                raise self._damaged("a tensor is described otherwise than PyTorch does")
        numbers = (offset, *shape, *stride)
        if not all(_is_count(number) for number in numbers) or len(shape) != len(stride):
            raise self._damaged(
                f"a tensor at {_shown(offset)} has the shape {_shown(shape)} and strides {_shown(stride)}"
            )
        if len(more) == 3 and more[2]:
            raise UnsupportedModelError(f"{self._source}: a tensor is stored negated or conjugated, which is not read")
        size = math.prod(shape)
        last = offset + sum((length - 1) * step for length, step in zip(shape, stride, strict=True))
        if not size or len(shape) > _MOST_DIMENSIONS:
            raise self._damaged(f"a tensor has the shape {_shown(shape)}, which is no weight's")
        if last >= storage.count or size > storage.count:
            raise self._damaged(
                f"a tensor of shape {shape} and strides {stride} at {offset:,} is not in its storage of "
                f"{storage.count:,} numbers"
            )
        return Tensor(storage, offset, shape, stride)

    def _parameter(self, arguments: tuple[Any, ...]) -> Tensor:
        match arguments:
            case (Tensor() as tensor, *more) if len(more) <= 3:
                return tensor
        raise self._damaged("a parameter is described otherwise than PyTorch does")

    def _damaged(self, fault: str) -> CorruptFileError:
        return CorruptFileError(f"{self._source} is damaged: {fault}")


def arrays_of(
    value: Any, read: Callable[[Storage], npt.NDArray[np.uint8]], *, source: str, swapped: bool = False
) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a state dictionary, by name, or of the one under `state_dict` in a training's file.

    `read` gives the bytes of a storage; `swapped` says that they are in the order of big-endian machines. Equal tensors
    of one storage are one array. What is no tensor is passed over.
    """
    tensors = {name: each for name, each in _state(value, source).items() if isinstance(each, Tensor)}
    uses: dict[str, int] = {}
    for tensor in set(tensors.values()):
        uses[tensor.storage.key] = uses.get(tensor.storage.key, 0) + math.prod(tensor.shape)
    counts = {tensor.storage.key: tensor.storage.count + tensor.storage.first for tensor in tensors.values()}
    if often := next((key for key, count in uses.items() if count > _MOST_USES * counts[key]), None):
        raise CorruptFileError(f"{source} is no model's: many different tensors lie on the storage {often!r}")
    data: dict[str, npt.NDArray[np.uint8]] = {}
    made: dict[Tensor, npt.NDArray[Any]] = {}
    for tensor in tensors.values():
        if tensor not in made:
            key = tensor.storage.key
            if key not in data:
                data[key] = read(tensor.storage)
            made[tensor] = _array(tensor, data[key], swapped)
    return {name: made[tensor] for name, tensor in tensors.items()}


def _state(value: Any, source: str) -> dict[str, Any]:
    if isinstance(value, dict) and not any(isinstance(each, Tensor) for each in value.values()):
        value = value.get("state_dict", value)
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise UnsupportedModelError(f"{source} holds no state dictionary, from the names of weights to tensors")
    if not any(isinstance(each, Tensor) for each in value.values()):
        names = ", ".join(repr(name[:50]) for name in list(value)[:8])
        raise UnsupportedModelError(f"{source} holds no tensors, but {names or 'nothing'}: it is no file of weights")
    return value


def _array(tensor: Tensor, data: npt.NDArray[np.uint8], swapped: bool) -> npt.NDArray[Any]:
    storage = tensor.storage
    bfloat16 = storage.dtype == "bfloat16"
    dtype = np.dtype("u2" if bfloat16 else storage.dtype).newbyteorder(">" if swapped else "<")
    size = dtype.itemsize
    array: npt.NDArray[Any] = np.ndarray(
        tensor.shape,
        dtype,
        data.data,
        offset=size * (storage.first + tensor.offset),
        strides=[size * step for step in tensor.stride],
    )
    return as_float32(array, bfloat16=bfloat16)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _LARGEST


def _shown(value: Any) -> str:
    """A number or a tuple of few numbers; whatever else stands there may be endless."""
    if type(value) is int:
        return f"{value:,}"
    if isinstance(value, tuple) and len(value) <= _MOST_DIMENSIONS and all(type(each) is int for each in value):
        return str(value)
    return "something that is no small tuple of numbers"
