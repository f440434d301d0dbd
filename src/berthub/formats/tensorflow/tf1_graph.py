"""Read settings from a graph of Google's TensorFlow 1 code that no variable tells; the graph is never run.

The number of heads shows in the constant by which attention scores are scaled, 1/sqrt(width of a head); ALBERT's
number of layers in the scopes of its operations, `group_G/layer_I/inner_group_J`; the
dropout rates are constants of the graph for training.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from berthub.formats.tensorflow.graph import constant_tensor, float_constant

__all__ = ["constant_flag", "dropout_rates", "graph_sizes", "source_of"]

_BOOL = 10
# `tf.multiply` names its operation Mul, the operator `*` mul.
_SCALE = re.compile(r"(?:.*/)?attention(?:_1)?/self/[Mm]ul(?:_\d+)?/y")
# A scope that is opened again gets a number: group_0, group_0_1, group_0_2 ...
_LAYER = re.compile(r"(?:.*/)?group_\d+(?:_\d+)?/layer_(\d{1,6})/inner_group_\d+(?:_\d+)?/.*")
# Until TensorFlow 1.12 the constant was the rate of what is kept.
_DROPOUT = re.compile(r"(?:.*/)?(self/)?dropout(?:_\d+)?/(rate|keep_prob)")
# Of ELECTRA's two encoders this is not the one that is read.
_OTHER_ENCODER = "generator/"
_IDENTITY_CHAIN = 16


def graph_sizes(nodes: Iterable[Any], *, attention_size: int | None) -> dict[str, int]:
    """`num_heads` and, of an ALBERT, `num_layers`, as far as the graph tells them without contradiction.

    `attention_size` is the width of all heads together.
    """
    heads: set[int] = set()
    layers: set[int] = set()
    for node in nodes:
        if _OTHER_ENCODER in node.name:
            continue
        if attention_size and node.op == "Const" and _SCALE.fullmatch(node.name):
            heads |= _heads(node, attention_size)
        if match := _LAYER.fullmatch(node.name):
            layers.add(int(match[1]))
    settings = {}
    if len(heads) == 1:
        (settings["num_heads"],) = heads
    if layers and layers == set(range(len(layers))):
        settings["num_layers"] = len(layers)
    return settings


def dropout_rates(nodes: Iterable[Any]) -> dict[str, float]:
    """`hidden_dropout` and `attention_dropout` of a graph for training, as far as it tells them."""
    rates: dict[str, set[float]] = {"hidden_dropout": set(), "attention_dropout": set()}
    nodes = list(nodes)
    for node in nodes:
        if (match := _DROPOUT.fullmatch(node.name)) and (value := float_constant(node)) is not None:
            rate = round(value if match[2] == "rate" else 1 - value, 6)
            rates["attention_dropout" if match[1] else "hidden_dropout"].add(rate)
    if not any("dropout" in node.name for node in nodes):
        # With a rate of zero the graph has no dropout operation.
        return dict.fromkeys(rates, 0.0)
    return {name: values.pop() for name, values in rates.items() if len(values) == 1}


def source_of(nodes: Mapping[str, Any], tensor: str) -> Any:
    """The operation that a tensor such as `Const:0` comes from, through identities; None where it is not there."""
    node = nodes.get(tensor.partition(":")[0])
    for _ in range(_IDENTITY_CHAIN):
        if node is None or node.op != "Identity" or not node.input:
            break
        node = nodes.get(node.input[0].partition(":")[0])
    return node


def constant_flag(node: Any) -> bool | None:
    """The value of a constant that is one truth value; None for any other operation."""
    tensor = constant_tensor(node, _BOOL)
    if tensor is None:
        return None
    if len(tensor.tensor_content) == 1:
        return bool(tensor.tensor_content[0])
    # TensorFlow leaves values out that are zero.
    return any(tensor.bool_val) if len(tensor.bool_val) <= 1 and not tensor.tensor_content else None


def _heads(node: Any, attention_size: int) -> set[int]:
    scale = float_constant(node) or 0.0
    # Other constants of the same name, such as the mask's -10000, are no such scale.
    width = round(scale**-2) if 1e-3 < scale <= 1 else 0
    if not width or abs(width * scale**2 - 1) > 1e-4 or attention_size % width:
        return set()
    return {attention_size // width}
