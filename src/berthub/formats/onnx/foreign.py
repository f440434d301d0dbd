"""Read ONNX models that other programs exported from transformers: as weights of a Hugging Face folder, never run.

PyTorch's exporters (also as optimum and transformers use them) keep the names of embeddings, layer norms and biases,
and fold the kernels into constants without a name. What is added to a kernel's product is the bias of the same layer:
so the graph tells each kernel's name. `config.json` beside the graph has the settings; those that the graph has as
constants, too, are compared.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.checkpoint import Checkpoint
from berthub.errors import ModelNotFoundError
from berthub.formats.huggingface.reader import read_huggingface
from berthub.formats.onnx.checks import check_graph, check_kinds
from berthub.formats.onnx.graph import Node, OnnxGraph
from berthub.formats.onnx.pooling import graph_embedding
from berthub.vocabulary import Vocabulary

__all__ = ["MARKS", "read_foreign_onnx"]

FORMAT = "ONNX model"
MARKS = ("config.json", "*.onnx|onnx/*.onnx")
"""What such a folder holds; at Hugging Face the graphs are in a folder of their own."""

_MODEL = "model.onnx"
_NAMED = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*\.(?:weight|bias|gamma|beta)")
# The bias of a language model's head hangs on the head, and its kernel on the decoder inside.
_OUTSIDE = re.compile(r"(?:.*\.)?(?:predictions|lm_head)\.bias")
_SCOPED = re.compile(r"/(?P<scope>.+)/MatMul(?:_\d+)?")
_AGAIN = re.compile(r"_\d+$")

Arrays = dict[str, npt.NDArray[Any]]


def read_foreign_onnx(
    folder: Path, given: Mapping[str, Any] | None = None, vocabulary: Vocabulary | None = None
) -> Checkpoint:
    """The encoder in a folder with `config.json` and a graph, with its head as far as berthub has its like."""
    path = _graph_file(folder)
    graph = OnnxGraph(path)
    check_kinds(graph)
    arrays = _arrays(graph)
    if not arrays:
        raise ModelNotFoundError(
            f"{path} has no weights under the names of transformers. What PyTorch exported is read (also by optimum "
            "and transformers), and what berthub exported; tf2onnx and others give the weights other names: load the "
            "model that was exported itself"
        )
    checkpoint = read_huggingface(folder, given, vocabulary, arrays=arrays)
    check_graph(graph, checkpoint.config)
    origin = dataclasses.replace(checkpoint.origin, format=FORMAT)
    embedding = graph_embedding(graph, above=folder)
    return dataclasses.replace(checkpoint, origin=origin, embedding=embedding)


def _graph_file(folder: Path) -> Path:
    """The file of the graph: `model.onnx`, or the only one."""
    places = [folder, folder / "onnx"]
    for place in places:
        if (place / _MODEL).is_file():
            return place / _MODEL
    found = [path for place in places for path in sorted(place.glob("*.onnx")) if path.is_file()]
    if len(found) != 1:
        names = ", ".join(path.name for path in found[:12])
        raise ModelNotFoundError(f"{folder} should hold one graph, or one called {_MODEL}; it holds {names}")
    return found[0]


def _arrays(graph: OnnxGraph) -> Arrays:
    """The weights under transformers' names, kernels [out, in] as there."""
    arrays: Arrays = {}
    # An initializer that equals another one is stored once, and has its name from an identity.
    names = [*graph.tensors, *(node.outputs[0] for node in graph.of_kind("Identity") if node.outputs)]
    for name in names:
        if _NAMED.fullmatch(name) is None:
            continue
        tensor = graph.tensor(name)
        if tensor is not None and tensor.dtype.kind == "f" and tensor.ndim:
            arrays[name] = tensor.T if _is_transposed(graph, name) else tensor
    for name in [*arrays]:
        scope, _, end = name.rpartition(".")
        scope += ".decoder" if _OUTSIDE.fullmatch(name) else ""
        if end == "bias" and f"{scope}.weight" not in arrays and (kernel := _kernel(graph, name)) is not None:
            arrays[f"{scope}.weight"] = kernel
    # Layers without a bias: only the names of nodes tell, where the exporter kept the modules in them.
    for node in graph.of_kind("MatMul"):
        scoped = _SCOPED.fullmatch(node.name)
        tensor = graph.tensor(node.inputs[1]) if scoped and len(node.inputs) == 2 else None
        if scoped and tensor is not None and tensor.ndim == 2 and tensor.dtype.kind == "f":
            scope = scoped["scope"].replace("/", ".")
            # A layer that is used again has a number after its name.
            if f"{_AGAIN.sub('', scope)}.weight" not in arrays:
                arrays[f"{scope}.weight"] = tensor.T
    return arrays


def _is_transposed(graph: OnnxGraph, name: str) -> bool:
    """Whether a kernel under its own name lies as [in, out]."""
    takers = graph.takers.get(name, [])
    return any(
        (node.kind == "MatMul" or (node.kind == "Gemm" and not _flag(node, "transB"))) and node.inputs[1:2] == (name,)
        for node in takers
    )


def _kernel(graph: OnnxGraph, bias: str) -> npt.NDArray[Any] | None:
    """The kernel, [out, in], of the layer with that bias; None where the graph has no such layer."""
    found = [kernel for node in graph.takers.get(bias, []) for kernel in _products(graph, node, bias)]
    # A layer that is used several times has one kernel.
    return found[0] if found and all(np.array_equal(kernel, found[0]) for kernel in found[1:]) else None


def _products(graph: OnnxGraph, node: Node, bias: str) -> Iterator[npt.NDArray[Any]]:
    if node.kind == "Gemm" and node.inputs[2:3] == (bias,):
        tensor = graph.tensor(node.inputs[1])
        if tensor is not None and tensor.ndim == 2:
            yield tensor if _flag(node, "transB") else tensor.T
    if node.kind == "Add" and len(node.inputs) == 2:
        other = node.inputs[0] if node.inputs[1] == bias else node.inputs[1]
        product = graph.makers.get(other)
        if product is not None and product.kind == "MatMul" and len(product.inputs) == 2:
            tensor = graph.tensor(product.inputs[1])
            if tensor is not None and tensor.ndim == 2:
                yield tensor.T


def _flag(node: Node, name: str) -> bool:
    attribute = node.attribute(name)
    return attribute is not None and bool(attribute.i)
