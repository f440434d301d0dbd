"""Read settings that only a graph definition has, from its constants and operations; nothing is run."""

import re
import struct
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from berthub.containers.protos import by_key, check_count, parse
from berthub.errors import UnsupportedModelError

__all__ = ["Graph", "constant_tensor", "float_constant", "parse_graph"]

_FLOAT = 1
# Each has a name, a kind, and a type at least.
_BYTES_AN_OPERATION = 16
# How TensorFlow names the constant in `batch_normalization`, by which Keras computes a layer norm.
_EPSILON = re.compile(r"(?:.*/)?batchnorm(?:_\d+)?/add/y")
# What attention scores are multiplied by: one over the root of the width of a head.
_SCALE = re.compile(r"(?:.*/)?(?:self_)?attention(?:_\d+)?/(?:self/)?[Mm]ul(?:_\d+)?/y")
# The masked-language-model head, which may compute otherwise than the encoder.
_HEAD = re.compile(r"(?:.*/)?transform/.+")


class Graph:
    """The operations of a graph: all of them, or with `functions` those of these functions and of what they call."""

    def __init__(self, graph_def: bytes, *, source: Path, functions: Collection[str] = ()) -> None:
        graph = parse_graph(graph_def, source=source)
        bodies = by_key(
            ((function.signature.name, function.node_def) for function in graph.library.function),
            source=f"the graph in {source}",
        )
        self._source = source
        self._bodies = _called(bodies, functions)
        if not self._bodies:
            self._bodies = {**bodies, "": graph.node}

    def settings(self) -> dict[str, Any]:
        """`activation` and `layer_norm_eps` of the encoder, as far as they can be told."""
        return self._settings(self._nodes())

    def head_settings(self) -> dict[str, Any]:
        """`activation` and `layer_norm_eps` of the masked-language-model head, as far as they can be told."""
        return self._settings(node for node in self._all_nodes() if _HEAD.fullmatch(node.name))

    def head_size(self) -> int | None:
        """The width of an attention head, from what the scores are multiplied by."""
        sizes = {round(scale**-2) for scale in _constants(self._nodes(), _SCALE) if 0 < scale <= 1}
        return sizes.pop() if len(sizes) == 1 else None

    def normalizes(self) -> bool:
        """Whether there are layer norms: nothing else in an encoder takes a root."""
        return any(node.op in ("Rsqrt", "FusedBatchNormV3") for node in self._nodes())

    def normalizes_first(self) -> bool:
        """Whether the layers begin with their layer norm: then the queries are made of what comes out of it."""
        return any(
            node.op == "Einsum" and "/query/" in node.name and any("self_attention_layer_norm" in i for i in node.input)
            for node in self._nodes()
        )

    def attentions(self) -> int | None:
        """How many times a text passes an attention: the number of layers, also of those that share one block.

        None where that cannot be told: then there is no attention, or nothing that shows which calls belong together.
        """
        own = {name: sum(_is_attention(node) for node in body) for name, body in self._bodies.items()}
        most = max(own.values(), default=0)
        if most != 1:
            return most or None
        # A block that is a function of its own is called once for each layer.
        callers = [sum(own.get(name, 0) for node in body for name in _calls(node)) for body in self._bodies.values()]
        return max(callers) or 1

    def _settings(self, nodes: Iterable[Any]) -> dict[str, Any]:
        nodes = list(nodes)
        found: dict[str, Any] = {}
        # A float32 constant: 1e-12 is stored as 9.99999996e-13.
        epsilons = {float(f"{epsilon:.6g}") for epsilon in _constants(nodes, _EPSILON)}
        if len(epsilons) > 1:
            raise UnsupportedModelError(
                f"the layer norms in {self._source} have different epsilons: {sorted(epsilons)}"
            )
        if epsilons:
            (found["layer_norm_eps"],) = epsilons
        operations = {node.op for node in nodes}
        shown = {
            "gelu_erf": bool(operations & {"Erf", "Erfc"}),
            "gelu_tanh": {"Tanh", "Pow"} <= operations,  # the pooler alone has a Tanh too, but no third power
            "relu": "Relu" in operations,
        }
        if sum(shown.values()) == 1:
            (found["activation"],) = (name for name, is_shown in shown.items() if is_shown)
        return found

    def _all_nodes(self) -> Iterator[Any]:
        for body in self._bodies.values():
            yield from body

    def _nodes(self) -> Iterator[Any]:
        """The graph's nodes that belong to the encoder."""
        return (node for node in self._all_nodes() if not _HEAD.fullmatch(node.name))


def parse_graph(graph_def: bytes, *, source: Path) -> Any:
    """The graph definition in the file `source`, as a message; `CorruptFileError` unless it is one of a model."""
    where = f"the graph in {source}"
    graph = parse("GraphDef", graph_def, source=where)
    for operations in (graph.node, graph.library.function, *(each.node_def for each in graph.library.function)):
        check_count(operations, size=len(graph_def), least=_BYTES_AN_OPERATION, source=where)
    return graph


def float_constant(node: Any) -> float | None:
    """The value of a constant that is one float32; None for any other operation."""
    tensor = constant_tensor(node, _FLOAT)
    if tensor is None:
        return None
    if len(tensor.tensor_content) == 4:
        value: float = struct.unpack("<f", tensor.tensor_content)[0]
        return value
    return tensor.float_val[0] if len(tensor.float_val) == 1 else None


def constant_tensor(node: Any, dtype: int) -> Any:
    """The tensor of a constant of that type; None for any other operation, and for None."""
    if node is None or node.op != "Const":
        return None
    tensors = [entry.value.tensor for entry in node.attr if entry.key == "value"]
    return tensors[0] if len(tensors) == 1 and tensors[0].dtype == dtype else None


def _called(bodies: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The functions of these names, and all that they call."""
    found: dict[str, Any] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in bodies and name not in found:
            found[name] = bodies[name]
            waiting += [called for node in bodies[name] for called in _calls(node)]
    return found


def _calls(node: Any) -> Iterator[str]:
    for entry in node.attr:
        if entry.value.func.name:
            yield entry.value.func.name


def _is_attention(node: Any) -> bool:
    return node.op == "Softmax" and "attention" in node.name


def _constants(nodes: Iterable[Any], names: re.Pattern[str]) -> Iterator[float]:
    for node in nodes:
        if names.fullmatch(node.name) and (value := float_constant(node)) is not None:
            yield value
