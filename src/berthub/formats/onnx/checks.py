"""Compare what a foreign ONNX graph computes with the configuration beside it, as far as constants tell."""

import math
from collections.abc import Iterator
from typing import Any

from berthub.config import EncoderConfig
from berthub.errors import CheckpointError, UnsupportedModelError
from berthub.formats.onnx.graph import Node, OnnxGraph

__all__ = ["check_graph", "check_kinds"]

_QUANTIZED = ("Quantize", "Dequantize", "Integer", "QLinear")
_CUBE = 0.044715
# On the way from a product to the softmax over it: what adds a mask, and what scales.
_MASKING, _SCALING = ("Add", "Where", "Cast", "Max"), ("Mul", "Div")
_MOST_STEPS = 16


def check_kinds(graph: OnnxGraph) -> None:
    """`UnsupportedModelError` for a quantized graph, and for one with operations that are not ONNX's own."""
    foreign = sorted({node.kind for node in graph.nodes if node.foreign})
    quantized = sorted({node.kind for node in graph.nodes if any(word in node.kind for word in _QUANTIZED)})
    if quantized:
        raise UnsupportedModelError(
            f"{graph.path} is a quantized model (it has {', '.join(quantized[:4])}), from which the weights cannot be "
            'had as they were. Give the model of float32 or float16, and load it with precision="int8" for speed'
        )
    if foreign:
        raise UnsupportedModelError(
            f"{graph.path} was optimized for one runtime: it has {', '.join(foreign[:4])}, which are no operations of "
            "ONNX. Give the graph as it was exported"
        )


def check_graph(graph: OnnxGraph, config: EncoderConfig) -> None:
    """`CheckpointError` that names all in which the graph contradicts `config`."""
    faults = []
    for what, found, own in (
        ("layer_norm_eps", _epsilons(graph), config.layer_norm_eps),
        ("activation", _activations(graph), config.activation),
        ("num_heads", _heads(graph, config), config.num_heads),
    ):
        others = sorted(map(str, found - {own}))
        if others:
            faults.append(f"{what} is {own} in the configuration, and {' and '.join(others)} in the graph")
    attentions = sum(1 for _ in graph.of_kind("Softmax"))
    if attentions and attentions != config.num_blocks:
        faults.append(f"the configuration has {config.num_blocks} attention layers, and the graph {attentions}")
    scale = config.head_size**-0.5
    if scales := sorted({found for found in _scales(graph) if not math.isclose(found, scale, rel_tol=1e-3)}):
        shown = " and ".join(f"{other:.6g}" for other in scales)
        faults.append(f"attention scores are multiplied by {scale:.6g}, and by {shown} in the graph")
    if faults:
        raise CheckpointError(
            f"{graph.path} and the config.json beside it belong to different models, or the graph computes what no "
            "network here does:\n  " + "\n  ".join(faults)
        )


def _epsilons(graph: OnnxGraph) -> set[Any]:
    found = set()
    for node in graph.of_kind("LayerNormalization"):
        epsilon = node.attribute("epsilon")
        found.add(1e-5 if epsilon is None else _rounded(epsilon.f))
    for node in graph.of_kind("Sqrt"):
        # Until opset 17 a layer norm was several operations: the variance, plus epsilon, under a root.
        added = graph.makers.get(node.inputs[0]) if node.inputs else None
        if added is not None and added.kind == "Add":
            before = {maker.kind for name in added.inputs if (maker := graph.makers.get(name)) is not None}
            numbers = [number for name in added.inputs if (number := graph.number(name)) is not None]
            if "ReduceMean" in before and len(numbers) == 1:
                found.add(_rounded(numbers[0]))
    return found


def _rounded(value: float) -> float:
    # A float32 constant: 1e-12 is stored as 9.99999996e-13.
    return float(f"{value:.6g}")


def _activations(graph: OnnxGraph) -> set[Any]:
    found = set()
    if any(graph.of_kind("Erf")):
        found.add("gelu_erf")
    if any(graph.of_kind("Relu")):
        found.add("relu")
    for node in graph.of_kind("Gelu"):
        approximate = node.attribute("approximate")
        found.add("gelu_tanh" if approximate is not None and approximate.s == b"tanh" else "gelu_erf")
    numbers = (graph.number(name) for node in graph.of_kind("Mul") for name in node.inputs)
    if any(number is not None and math.isclose(number, _CUBE, rel_tol=1e-3) for number in numbers):
        found.add("gelu_tanh")
    return found


def _heads(graph: OnnxGraph, config: EncoderConfig) -> set[Any]:
    """The numbers of heads into which queries, keys and values are split."""
    found = set()
    for node in graph.of_kind("Reshape"):
        sizes = _shape(graph, node.inputs[1]) if len(node.inputs) == 2 else []
        if len(sizes) == 4 and sizes[2] and sizes[3] and sizes[2] * sizes[3] == config.attention_size:
            found.add(sizes[2])
    return found


def _shape(graph: OnnxGraph, name: str) -> list[int | None]:
    """The sizes of a shape, None for those that are computed."""
    tensor = graph.tensor(name)
    if tensor is not None:
        return [int(size) for size in tensor.reshape(-1)[:9]]
    node = graph.makers.get(name)
    if node is None or node.kind != "Concat":
        return []
    numbers = [graph.number(part) for part in node.inputs[:9]]
    return [None if number is None else int(number) for number in numbers]


def _scales(graph: OnnxGraph) -> Iterator[float]:
    """What the scores of each attention are multiplied by, where that is a constant."""
    for node in graph.of_kind("Softmax"):
        scale, name = 1.0, node.inputs[0] if node.inputs else ""
        known = False
        for _ in range(_MOST_STEPS):
            maker = graph.makers.get(name)
            if maker is None or not maker.inputs:
                break
            if maker.kind == "MatMul":
                factors = [_factor(graph, operand) for operand in maker.inputs]
                if known or any(factor is not None for factor in factors):
                    yield scale * math.prod(factor for factor in factors if factor is not None)
                break
            if maker.kind in _SCALING:
                number = next((n for each in maker.inputs if (n := graph.number(each)) is not None), None)
                if not number:
                    break
                scale, known = scale * (1 / number if maker.kind == "Div" else number), True
            elif maker.kind not in _MASKING:
                break
            following = [each for each in maker.inputs if _comes_from_product(graph, each)]
            if len(following) != 1:
                break
            (name,) = following


def _comes_from_product(graph: OnnxGraph, name: str) -> bool:
    maker = graph.makers.get(name)
    return maker is not None and maker.kind in ("MatMul", *_SCALING, "Cast") and graph.number(name) is None


def _factor(graph: OnnxGraph, name: str) -> float | None:
    """What queries or keys are multiplied by just before the product."""
    node: Node | None = graph.makers.get(name)
    if node is None or node.kind != "Mul":
        return None
    return next((number for each in node.inputs if (number := graph.number(each)) is not None), None)
