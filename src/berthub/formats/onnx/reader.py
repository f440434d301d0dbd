"""Read the weights of a model that `berthub.formats.onnx.writer` wrote; its graph is not run."""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.checkpoint import Checkpoint
from berthub.containers.files import memory_map, read_bytes
from berthub.containers.places import check_apart
from berthub.containers.protos import check_count, parse
from berthub.errors import CorruptFileError
from berthub.formats.native import described_checkpoint
from berthub.formats.onnx.writer import DATA, MODEL
from berthub.vocabulary import Vocabulary

__all__ = ["read_onnx"]

FORMAT = "ONNX folder"

_NUMBER = re.compile(r"[0-9]{1,15}")
# Of TensorProto: a type and a place.
_FLOAT, _EXTERNAL = 1, 1
# The smallest weight has more: a name, a shape, a type and a number.
_BYTES_A_TENSOR = 14


def read_onnx(folder: Path, given: Mapping[str, Any] | None = None, vocabulary: Vocabulary | None = None) -> Checkpoint:
    """The model in a folder with `berthub.json` and `model.onnx`."""
    return described_checkpoint(folder, dict(_arrays(folder)), given, vocabulary, format=FORMAT, source=MODEL)


def _arrays(folder: Path) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """The weights among the initializers of the graph: the constants are integers, or single numbers."""
    path, names = folder / MODEL, set[str]()
    places: list[tuple[str, int, int]] = []
    for encoded in _initializers(path):
        tensor = parse("OnnxTensor", encoded, source=f"{path}: a tensor")
        if tensor.name in names:
            raise CorruptFileError(f"{path} is damaged: two of its tensors are called {tensor.name!r}")
        names.add(tensor.name)
        if tensor.data_type != _FLOAT or not tensor.dims:
            continue
        shape = tuple(tensor.dims[:9])
        where = f"{path}: {tensor.name!r} of shape {shape}"
        if any(size < 0 for size in shape) or len(shape) > 8:
            raise CorruptFileError(f"{where} is no weight")
        if tensor.data_location == _EXTERNAL:
            offset, data = _outside(folder, tensor.external_data, where)
            places.append((tensor.name, offset, len(data)))
        else:
            # A copy that can be written to: without that, OpenVINO refuses to share its memory.
            data = np.frombuffer(bytearray(tensor.raw_data), np.uint8)
        if len(data) != 4 * math.prod(shape):
            raise CorruptFileError(f"{where} has {len(data):,} bytes")
        yield tensor.name, np.ndarray(shape, np.dtype("<f4"), data.data)
    check_apart(places, source=str(folder / DATA))


def _initializers(path: Path) -> Any:
    """The tensors of the graph, each still encoded."""
    data = read_bytes(path)
    found = parse("OnnxModel", data, source=str(path)).graph.initializer
    check_count(found, size=len(data), least=_BYTES_A_TENSOR, source=str(path))
    return found


def _outside(folder: Path, entries: Any, where: str) -> tuple[int, npt.NDArray[np.uint8]]:
    """The place and bytes of a tensor in the file beside the model. No other file is read, whatever the model names."""
    place = {entry.key: entry.value for entry in entries[:9]}
    numbers = [place.get(key, "") for key in ("offset", "length")]
    known = place.get("location") == DATA and all(_NUMBER.fullmatch(number) for number in numbers)
    if not known or len(place) < len(entries):
        raise CorruptFileError(f"{where} lies at {place}; only places in {DATA} are read")
    offset, length = map(int, numbers)
    return offset, memory_map(folder / DATA)[offset : offset + length]
