"""Graph definitions for tests: constants and other operations, as TensorFlow 1 kept them."""

from collections.abc import Iterable, Mapping

from berthub.containers.protos import parse

_FLOAT, _BOOL = 1, 10


def graph_def(constants: Mapping[str, float | bool], operations: Iterable[tuple[str, str, str]] = ()) -> bytes:
    """A serialized GraphDef with these constants, and operations of (name, kind, input)."""
    graph = parse("GraphDef", b"", source="a new graph")
    for name, value in constants.items():
        node = graph.node.add(name=name, op="Const")
        tensor = node.attr.add(key="value").value.tensor
        if isinstance(value, bool):
            tensor.dtype = _BOOL
            tensor.bool_val.append(value)
        else:
            tensor.dtype = _FLOAT
            tensor.float_val.append(value)
    for name, kind, source in operations:
        graph.node.add(name=name, op=kind, input=[source] if source else [])
    serialized: bytes = graph.SerializeToString()
    return serialized
