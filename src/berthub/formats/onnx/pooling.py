"""Tell from a foreign ONNX graph how it makes one vector of a text, where no file beside it says so."""

from pathlib import Path

from berthub.choices import Pooling
from berthub.embedding import UNSAID, Embedding
from berthub.formats.onnx.graph import Node, OnnxGraph
from berthub.formats.sentence_transformers.files import MODULES, VECTOR

__all__ = ["graph_embedding"]

# What only renames, reshapes or bounds on the way.
_PASSING = ("Identity", "Cast", "Expand", "Clip", "Max", "Unsqueeze", "Squeeze", "Reshape", "Flatten")
_MOST_STEPS = 16


def graph_embedding(graph: OnnxGraph, *, above: Path) -> Embedding:
    """The vector of the graph's output `sentence_embedding`; nothing is said where there is none.

    Files of sentence-transformers in the folder `above` say more, and are read by themselves.
    """
    if VECTOR not in graph.outputs or (above / MODULES).is_file():
        return UNSAID
    node = _maker(graph, VECTOR)
    normalize = False
    if node is not None and node.kind in ("LpNormalization", "Div") and _is_norm(graph, node):
        normalize = True
        node = _maker(graph, node.inputs[0])
    pooling = None if node is None else _pooling(graph, node)
    if pooling is None:
        return Embedding(unsupported=(f"the output {VECTOR} of {graph.path.name}, whose pooling is not known",))
    return Embedding(poolings=(pooling,), normalize=normalize)


def _pooling(graph: OnnxGraph, node: Node) -> Pooling | None:
    match node.kind:
        case "ReduceMax":
            return "max"
        case "Gather" if len(node.inputs) == 2 and graph.number(node.inputs[1]) == 0:
            axis = node.attribute("axis")
            return "cls" if axis is not None and axis.i == 1 else None
        case "Div":
            above, below = (_maker(graph, name) for name in node.inputs)
            sums = above is not None and below is not None and above.kind == below.kind == "ReduceSum"
            return "mean" if sums else None
    return None


def _is_norm(graph: OnnxGraph, node: Node) -> bool:
    if node.kind == "LpNormalization":
        return True
    below = _maker(graph, node.inputs[1]) if len(node.inputs) == 2 else None
    return below is not None and below.kind in ("ReduceL2", "Sqrt")


def _maker(graph: OnnxGraph, name: str) -> Node | None:
    node = graph.makers.get(name)
    for _ in range(_MOST_STEPS):
        if node is None or node.kind not in _PASSING or not node.inputs:
            return node
        node = graph.makers.get(node.inputs[0])
    return None
