"""SavedModels that no exporter at hand writes: other names, other places of the encoder, other graphs."""

import shutil
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.containers.protos import parse
from support.bundles import write_bundle

__all__ = ["Operation", "edit_metadata", "graph_def", "write_saved_model"]

Operation = tuple[str, str] | tuple[str, str, float | str | list[str]]
"""What it is, its name, and of a constant the value, of a call the function, of others what goes in."""

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def write_saved_model(
    folder: Path,
    variables: Mapping[str, npt.NDArray[Any]],
    *,
    vocabulary: Path,
    attribute: str = "vocab_file",
    at: Sequence[str] = (),
    beside: Mapping[str, npt.NDArray[Any]] | None = None,
    operations: Sequence[Operation] = (),
) -> Path:
    """A SavedModel of an encoder with these variables, in the order given; its folder.

    The encoder hangs at the path `at` of the root, whose own variables are those `beside`. The encoder's function
    has these operations.
    """
    saved = parse("SavedModel", b"", source="a new model")
    meta_graph = saved.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    meta_graph.asset_file_def.add(filename=vocabulary.name)
    nodes = meta_graph.object_graph_def.nodes
    nodes.add()
    arrays: dict[str, npt.NDArray[Any]] = {}

    def add(parent: int, name: str) -> int:
        nodes.add()
        nodes[parent].children.add(node_id=len(nodes) - 1, local_name=name)
        return len(nodes) - 1

    def add_variables(parent: int, path: str, named: Mapping[str, npt.NDArray[Any]]) -> None:
        items = add(parent, "variables")
        for number, (name, array) in enumerate(named.items()):
            nodes[add(items, str(number))].variable.name = name
            arrays[f"{path}variables/{number}{_VALUE}"] = array

    add_variables(0, "", beside or {})
    encoder, path = 0, ""
    for name in at:
        encoder, path = add(encoder, name), f"{path}{name}/"
    if not at:
        del nodes[0].children[:]
    add_variables(encoder, path, variables)
    nodes[add(encoder, attribute)].asset.asset_file_def_index = 0
    nodes[add(encoder, "__call__")].function.concrete_functions.append("call")
    meta_graph.graph_def = graph_def({"call": operations})
    write_bundle(folder / "variables" / "variables", arrays)
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
    (folder / "assets").mkdir()
    shutil.copy(vocabulary, folder / "assets")
    return folder


def graph_def(functions: Mapping[str, Sequence[Operation]]) -> bytes:
    """A graph definition with these functions."""
    graph = parse("GraphDef", b"", source="a new graph")
    for name, operations in functions.items():
        function = graph.library.function.add()
        function.signature.name = name
        for kind, label, *value in operations:
            node = function.node_def.add(op=kind, name=label)
            match value:
                case [float() as number]:
                    attribute = node.attr.add(key="value").value
                    attribute.tensor.dtype = 1
                    attribute.tensor.tensor_content = struct.pack("<f", np.float32(number))
                case [list() as inputs]:
                    node.input.extend(inputs)
                case [str() as called]:
                    node.attr.add(key="f").value.func.name = called
    return graph.SerializeToString()


def edit_metadata(folder: Path, edit: Callable[[str], str]) -> None:
    """Replace what Keras noted about each object in `keras_metadata.pb`."""
    path = folder / "keras_metadata.pb"
    metadata = parse("KerasMetadata", path.read_bytes(), source=str(path))
    for node in metadata.nodes:
        node.metadata = edit(node.metadata)
    path.write_bytes(metadata.SerializeToString())
