"""The dense layers on the encoder of a Keras model, found in the graph of the function that was exported with it."""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from berthub.containers.protos import by_key, check_count
from berthub.formats.tensorflow.graph import constant_tensor, parse_graph
from berthub.formats.tensorflow.keras_export_names import MARK
from berthub.formats.tensorflow.saved_model_objects import SavedObjects, Variable, leaves
from berthub.head import HiddenActivation

__all__ = ["DenseLayer", "ExportedHead", "exported_head"]

_MARKED = re.compile(rf"(?:.*/)?{MARK}(\w+?)(?:_\d+)?")
_ACTIVATIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid", "Relu": "relu", "Tanh": "tanh"}
_HIDDEN: Mapping[str, HiddenActivation] = {"relu": "relu", "tanh": "tanh"}
_OUTPUT = ("linear", "sigmoid", "softmax")
# A dense layer on every token: TensorFlow makes one matrix of all tokens for it.
_AROUND_TOKENS = ("Reshape", "Transpose")
_TENSORDOT = re.compile(r"(?:.*/)?Tensordot(?:_\d+)?/.+|(?:.*/)?Tensordot(?:_\d+)?")
_INT32, _LEAST_LENGTH = 3, 3
_BYTES_A_NAME = 4


@dataclass(frozen=True)
class DenseLayer:
    """The variables of a dense layer, and what is computed of its outputs."""

    kernel: Variable
    bias: Variable | None
    activation: str


@dataclass(frozen=True)
class ExportedHead:
    """Dense layers, the lowest first, on the output of the encoder called `output`; `first`: on its first token."""

    layers: tuple[DenseLayer, ...]
    output: str
    first: bool
    length: int | None

    @property
    def hidden(self) -> list[HiddenActivation]:
        """The activations of all layers but the last."""
        return [_HIDDEN[layer.activation] for layer in self.layers[:-1]]


def exported_head(graph_def: bytes, objects: SavedObjects, *, source: Path) -> ExportedHead | None:
    """The head in the functions of the graph; None where they have none, or not the same, or more than dense layers."""
    library = parse_graph(graph_def, source=source).library.function
    for function in library:
        for named in (function.signature.input_arg, function.ret):
            check_count(named, size=len(graph_def), least=_BYTES_A_NAME, source=str(source))
    found: set[ExportedHead | None] = set()
    for function in library:
        # Others only call one of these.
        if any(_MARKED.fullmatch(node.name) for node in function.node_def):
            signature = objects.functions.get(function.signature.name)
            found.add(None if signature is None else _Function(function, signature, objects, source).head())
    return found.pop() if len(found) == 1 else None


class _Function:
    def __init__(self, function: Any, signature: Any, objects: SavedObjects, source: Path) -> None:
        where = f"a function of {source}"
        self._nodes = by_key(((node.name, node) for node in function.node_def), source=where)
        self._signature = signature
        self._outputs = [entry.value for entry in function.ret]
        arguments = [argument.name for argument in function.signature.input_arg]
        bound = list(signature.bound_inputs)
        held = zip(arguments[len(arguments) - len(bound) :], bound, strict=False)
        self._variables = {name: variable for name, node in held for variable in objects.variables([node])}

    def head(self) -> ExportedHead | None:
        nodes = dict(self._nodes)
        name = _name(self._outputs[0]) if len(self._outputs) == 1 else None
        layers: list[DenseLayer] = []
        activations: list[str] = []
        bias: Variable | None = None
        first = False
        # Each step uses up one operation, so that a damaged circle ends, too.
        while name is not None and (node := nodes.pop(name, None)) is not None and node.input:
            mark = _MARKED.fullmatch(node.name)
            if mark is not None and node.op == "Identity":
                done = not activations and bias is None
                return self._checked(layers, mark[1], first=first) if done else None
            if node.op in _ACTIVATIONS and bias is None and not first:
                activations.append(_ACTIVATIONS[node.op])
            elif node.op in ("BiasAdd", "AddV2") and bias is None and len(node.input) == 2 and not first:
                bias = self._variable(node.input[1])
                if bias is None:
                    return None
            elif node.op == "MatMul" and len(node.input) == 2 and not first:
                kernel = self._variable(node.input[1])
                if kernel is None or len(activations) > 1 or _flags(node, "transpose_a", "transpose_b"):
                    return None
                layers.insert(0, DenseLayer(kernel, bias, activations[0] if activations else "linear"))
                activations, bias = [], None
            elif node.op == "StridedSlice" and layers and not first and self._takes_first(node):
                first = True
            elif not (node.op == "Identity" or (node.op in _AROUND_TOKENS and _TENSORDOT.fullmatch(node.name))):
                return None
            name = _name(node.input[0])
        return None

    def _checked(self, layers: list[DenseLayer], output: str, *, first: bool) -> ExportedHead | None:
        fits = layers and layers[-1].activation in _OUTPUT and all(each.activation in _HIDDEN for each in layers[:-1])
        return ExportedHead(tuple(layers), output, first, self._length()) if fits else None

    def _variable(self, place: str) -> Variable | None:
        """The variable that is read there."""
        for _ in range(4):
            name = _name(place)
            if name in self._variables:
                return self._variables[name]
            node = self._nodes.get(name)
            if node is None or node.op not in ("ReadVariableOp", "Identity", *_AROUND_TOKENS) or not node.input:
                return None
            place = node.input[0]
        return None

    def _takes_first(self, node: Any) -> bool:
        """Whether it is `[:, 0]` or `[:, 0, :]`."""
        begin, end, strides = (list(self._integers(place)) for place in [*node.input[1:], "", "", ""][:3])
        masks = {entry.key: entry.value.i for entry in node.attr}
        whole = 1 if len(begin) == 2 else 5
        return (
            len(begin) in (2, 3)
            and begin[1] == 0
            and end[1:2] == [1]
            and set(strides) == {1}
            and masks.get("begin_mask", 0) & whole == masks.get("end_mask", 0) & whole == whole
            and masks.get("shrink_axis_mask") == 2
            and not masks.get("new_axis_mask")
            and not masks.get("ellipsis_mask")
        )

    def _integers(self, place: str) -> Iterator[int]:
        tensor = constant_tensor(self._nodes.get(_name(place)), _INT32)
        content = b"" if tensor is None else tensor.tensor_content
        for (value,) in struct.iter_unpack("<i", content[: len(content) // 4 * 4]):
            yield value

    def _length(self) -> int | None:
        """The length of the texts, where the function takes those of one length alone."""
        shapes = [leaf.tensor_spec_value.shape.dim for _, leaf in leaves(self._signature.canonicalized_input_signature)]
        lengths = {shape[1].size for shape in shapes if len(shape) == 2}
        length = lengths.pop() if len(lengths) == 1 else None
        return length if length is not None and length >= _LEAST_LENGTH else None


def _flags(node: Any, *names: str) -> bool:
    return any(entry.value.b for entry in node.attr if entry.key in names)


def _name(place: str) -> str:
    return place.split(":", 1)[0]
