"""Settings that show only in a graph definition: constants and operations are looked at, nothing is run."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from berthub.errors import UnsupportedModelError
from berthub.formats.protos import parse

__all__ = ["graph_settings"]

_FLOAT = 1


def graph_settings(graph_def: bytes, *, source: Path) -> dict[str, Any]:
    """The activation and the layer norms' epsilon, as far as the graph tells."""
    operations: set[str] = set()
    epsilons: set[float] = set()
    for node in _nodes(parse("GraphDef", graph_def, source=f"the graph in {source}")):
        operations.add(node.op)
        # How TensorFlow names the constant in `batch_normalization`, by which Keras computes a layer norm.
        if node.op == "Const" and node.name.endswith("batchnorm/add/y"):
            epsilons.update(_floats(node))
    settings: dict[str, Any] = {}
    if len(epsilons) > 1:
        raise UnsupportedModelError(f"the layer norms in {source} have different epsilons: {sorted(epsilons)}")
    for epsilon in epsilons:
        # A float32 constant: 1e-12 is stored as 9.99999996e-13.
        settings["layer_norm_eps"] = float(f"{epsilon:.6g}")
    if operations & {"Erf", "Erfc"}:
        settings["activation"] = "gelu_erf"
    elif "Tanh" in operations and "Pow" in operations:  # the pooler alone has a Tanh too, but no third power
        settings["activation"] = "gelu_tanh"
    elif "Relu" in operations:
        settings["activation"] = "relu"
    return settings


def _nodes(graph: Any) -> Iterator[Any]:
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def _floats(node: Any) -> Iterator[float]:
    for entry in node.attr:
        tensor = entry.value.tensor
        if entry.key != "value" or tensor.dtype != _FLOAT:
            continue
        if len(tensor.tensor_content) == 4:
            yield struct.unpack("<f", tensor.tensor_content)[0]
        elif len(tensor.float_val) == 1:
            yield tensor.float_val[0]
