"""Reads back what `berthub.formats.onnx.writer` wrote: the weights out of the graph, which is not run."""

import importlib.util
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from berthub.checkpoint import Checkpoint
from berthub.errors import CorruptFileError, MissingDependencyError
from berthub.formats.files import memory_map, read_bytes
from berthub.formats.native import described_checkpoint
from berthub.formats.onnx.writer import DATA, MODEL

__all__ = ["read_onnx"]

FORMAT = "ONNX folder"

_NUMBER = re.compile(r"[0-9]{1,15}")


def read_onnx(folder: Path, given: Mapping[str, Any] | None = None) -> Checkpoint:
    """The model in a folder with `berthub.json` and `model.onnx`; `MissingDependencyError` without the onnx library."""
    return described_checkpoint(folder, dict(_arrays(folder)), given, form=FORMAT, source=MODEL)


def _arrays(folder: Path) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """The weights among the initializers of the graph: the constants are integers, or single numbers."""
    if importlib.util.find_spec("onnx") is None:
        raise MissingDependencyError("ONNX models are read with the onnx library: pip install 'berthub[onnx]'")
    from onnx import ModelProto, TensorProto

    path, model = folder / MODEL, ModelProto()
    try:
        model.ParseFromString(read_bytes(path))
    except DecodeError as error:
        raise CorruptFileError(f"{path} is damaged: no valid ONNX model ({error})") from error
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or not tensor.dims:
            continue
        shape = tuple(tensor.dims)
        where = f"{path}: {tensor.name!r} of shape {shape}"
        if any(size < 0 for size in shape) or len(shape) > 8:
            raise CorruptFileError(f"{where} is no weight")
        if tensor.data_location == TensorProto.EXTERNAL:
            data = _outside(folder, {entry.key: entry.value for entry in tensor.external_data}, where)
        else:
            # A copy that can be written to: without that, OpenVINO refuses to share its memory.
            data = np.frombuffer(bytearray(tensor.raw_data), np.uint8)
        if len(data) != 4 * math.prod(shape):
            raise CorruptFileError(f"{where} has {len(data):,} bytes")
        yield tensor.name, np.ndarray(shape, np.dtype("<f4"), data.data)


def _outside(folder: Path, place: Mapping[str, str], where: str) -> npt.NDArray[np.uint8]:
    """The bytes that lie in the file beside the model. No other file is read, whatever the model names."""
    numbers = [place.get(key, "") for key in ("offset", "length")]
    if place.get("location") != DATA or not all(_NUMBER.fullmatch(number) for number in numbers):
        raise CorruptFileError(f"{where} lies at {dict(place)}; only places in {DATA} are read")
    offset, length = map(int, numbers)
    return memory_map(folder / DATA)[offset : offset + length]
