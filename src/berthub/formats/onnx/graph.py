"""A foreign ONNX graph as data: its tensors, and which node makes and which nodes take a value. It is not run."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.containers.files import memory_map, read_bytes
from berthub.containers.float_types import as_float32
from berthub.containers.places import check_apart
from berthub.containers.protos import check_count, parse
from berthub.errors import CorruptFileError, ModelNotFoundError, UnsupportedModelError

__all__ = ["Node", "OnnxGraph"]

# Of TensorProto: the types that are read, as they lie in `raw_data`, and the place outside of the file.
_TYPES = {1: "<f4", 6: "<i4", 7: "<i8", 10: "<f2", 11: "<f8", 16: "<u2"}
_BFLOAT16, _EXTERNAL = 16, 1
# A type that weights of quantized models have -> what people call it.
_QUANTIZED = {2: "uint8", 3: "int8", 17: "float8", 21: "uint4", 22: "int4"}
_NUMBER = re.compile(r"[0-9]{1,15}")
# The smallest node has a kind, an input, an output and a name, the smallest attribute a name, a type and a value, and
# the smallest tensor a name, a shape, a type and a number.
_BYTES_A_NODE, _BYTES_AN_ATTRIBUTE, _BYTES_A_TENSOR, _BYTES_A_NAME = 32, 16, 14, 6
# A name may be handed on so many times: through identities, casts and transpositions.
_MOST_STEPS = 16


class Node:
    """An operation of the graph."""

    __slots__ = ("_attributes", "foreign", "inputs", "kind", "name", "outputs")

    def __init__(self, message: Any) -> None:
        self.kind: str = message.op_type
        self.name: str = message.name
        self.inputs: tuple[str, ...] = tuple(message.input)
        self.outputs: tuple[str, ...] = tuple(message.output)
        self.foreign = message.domain not in ("", "ai.onnx")
        self._attributes = message.attribute

    def attribute(self, name: str) -> Any:
        """The message of an attribute; None where the node has none of that name."""
        return next((each for each in self._attributes if each.name == name), None)


class OnnxGraph:
    """The nodes and tensors of `path`; tensors may lie in other files of its folder.

    `CorruptFileError` for a damaged file, `UnsupportedModelError` for a quantized model.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        data = read_bytes(path)
        graph = parse("OnnxForeignModel", data, source=str(path)).graph
        size = len(data)
        check_count(graph.node, size=size, least=_BYTES_A_NODE, source=str(path))
        check_count(graph.initializer, size=size, least=_BYTES_A_TENSOR, source=str(path))
        for least, found in (
            (_BYTES_A_NAME, range(sum(len(node.input) + len(node.output) for node in graph.node))),
            (_BYTES_AN_ATTRIBUTE, range(sum(len(node.attribute) for node in graph.node))),
        ):
            check_count(found, size=size, least=least, source=str(path))
        self.nodes = [Node(node) for node in graph.node]
        self.outputs = [output.name for output in graph.output]
        self._maps: dict[str, npt.NDArray[np.uint8]] = {}
        self._places: dict[str, list[tuple[str, int, int]]] = {}
        self.tensors: dict[str, npt.NDArray[Any]] = {}
        for encoded in graph.initializer:
            self._add(encoded, "")
        for node in self.nodes:
            value = node.attribute("value") if node.kind == "Constant" else None
            if value is not None and value.t and len(node.outputs) == 1:
                self._add(value.t, node.outputs[0])
        for name, places in self._places.items():
            check_apart(places, source=str(path.parent / name))
        self.makers = {output: node for node in self.nodes for output in node.outputs}
        self.takers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                self.takers.setdefault(name, []).append(node)

    def tensor(self, name: str) -> npt.NDArray[Any] | None:
        """The tensor that the value is: stored, or a stored one cast, transposed or under another name; or None."""
        transposed = False
        for _ in range(_MOST_STEPS):
            if name in self.tensors:
                found = self.tensors[name]
                return found.T if transposed else found
            node = self.makers.get(name)
            if node is None or node.kind not in ("Identity", "Cast", "Transpose") or not node.inputs:
                return None
            if node.kind == "Transpose":
                turned = node.attribute("perm")
                if turned is not None and list(turned.ints) != [1, 0]:
                    return None
                transposed = not transposed
            name = node.inputs[0]
        return None

    def number(self, name: str) -> float | None:
        """The value, if it is one stored number."""
        found = self.tensor(name)
        return float(found.reshape(-1)[0]) if found is not None and found.size == 1 else None

    def of_kind(self, *kinds: str) -> Iterator[Node]:
        """The nodes of these kinds."""
        return (node for node in self.nodes if node.kind in kinds)

    def _add(self, encoded: bytes, name: str) -> None:
        tensor = parse("OnnxTensor", encoded, source=f"{self.path}: a tensor")
        name = name or tensor.name
        if name in self.tensors:
            raise CorruptFileError(f"{self.path} is damaged: two of its tensors are called {name!r}")
        shape = tuple(tensor.dims[:9])
        where = f"{self.path}: {name[:200]!r} of shape {shape}"
        if any(size < 0 for size in shape) or len(shape) > 8:
            raise CorruptFileError(f"{where} is no tensor")
        if tensor.data_type in _QUANTIZED and len(shape) > 1:
            raise UnsupportedModelError(
                f"{self.path} is a quantized model: {name[:200]!r} is stored as {_QUANTIZED[tensor.data_type]}, and "
                "from it the weights cannot be had as they were. Give the model of float32 or float16 (model.onnx), "
                'and load it with precision="int8" for speed'
            )
        if tensor.data_type not in _TYPES:
            return
        dtype = np.dtype(_TYPES[tensor.data_type])
        if tensor.data_location == _EXTERNAL:
            data = self._outside(name, tensor.external_data, where)
        elif tensor.raw_data:
            # A copy that can be written to: without that, OpenVINO refuses to share its memory.
            data = np.frombuffer(bytearray(tensor.raw_data), np.uint8)
        else:
            data = _listed(tensor, dtype)
        if len(data) != dtype.itemsize * math.prod(shape):
            raise CorruptFileError(f"{where} has {len(data):,} bytes")
        array: npt.NDArray[Any] = np.ndarray(shape, dtype, data.data)
        self.tensors[name] = as_float32(array, bfloat16=tensor.data_type == _BFLOAT16)

    def _outside(self, name: str, entries: Any, where: str) -> npt.NDArray[np.uint8]:
        """The bytes of a tensor in another file of the same folder; no other is read, whatever the model names."""
        place = {entry.key: entry.value for entry in entries[:9]}
        file = place.get("location", "")
        if Path(file).name != file or not file or len(place) < len(entries):
            raise CorruptFileError(f"{where} lies at {place}; only files in the model's own folder are read")
        if file not in self._maps:
            if not (self.path.parent / file).is_file():
                raise ModelNotFoundError(
                    f"{self.path} keeps its weights in {file}, which is not beside it: fetch that file, too"
                )
            self._maps[file] = memory_map(self.path.parent / file)
        data = self._maps[file]
        numbers = {key: place[key] for key in ("offset", "length") if key in place}
        if not all(_NUMBER.fullmatch(number) for number in numbers.values()):
            raise CorruptFileError(f"{where} lies at {place}, which is no place in a file")
        offset = int(numbers.get("offset", 0))
        length = int(numbers.get("length", max(len(data) - offset, 0)))
        self._places.setdefault(file, []).append((name, offset, length))
        return data[offset : offset + length]


def _listed(tensor: Any, dtype: np.dtype[Any]) -> npt.NDArray[np.uint8]:
    """The bytes of a tensor whose numbers are listed in the message, as small constants may be."""
    values = {"f": tensor.float_data, "i": tensor.int64_data or tensor.int32_data}.get(dtype.kind, ())
    if dtype.itemsize == 2:
        values = tensor.int32_data
        dtype = np.dtype("<u2")
    try:
        return np.frombuffer(bytearray(np.array(list(values), dtype).tobytes()), np.uint8)
    except OverflowError as error:
        raise CorruptFileError(f"a tensor holds a number that its type cannot: {error}") from error
