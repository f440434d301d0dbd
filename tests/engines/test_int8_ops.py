"""The graph in bytes: built on every processor, run only where that is offered (`tests/encoding/test_int8.py`)."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from berthub.engines.calibration import calibrate
from berthub.engines.engine import PaddedBatch
from berthub.engines.openvino.engine import _graph
from berthub.engines.openvino.int8_ops import Int8Ops
from berthub.networks.outputs import Output
from support.tiny import ARCHITECTURES, tiny_checkpoint, tiny_inputs

# How often an input is rounded: of 3 layers those of attention, its output, and the two feed-forward layers; ALBERT
# has two blocks in a layer, and MobileBERT more of everything.
_ROUNDED = {**dict.fromkeys(ARCHITECTURES, 12), "bert": 13, "albert": 25, "deberta_v2": 13, "mobilebert": 31}


def _nodes(architecture: str, *, without: str | None = None, first_only: bool = False) -> list[Any]:
    checkpoint = tiny_checkpoint(architecture)
    inputs = tiny_inputs(checkpoint)
    ids, mask, type_ids = (inputs[f"input_{name}"] for name in ("word_ids", "mask", "type_ids"))
    found = calibrate(checkpoint, [PaddedBatch(ids, mask, type_ids, np.arange(len(ids)))])
    kept = {name: layer for name, layer in found.items() if name != without}
    output = Output(-1, "cls" if first_only else None).resolved(checkpoint.config)
    checkpoint = dataclasses.replace(checkpoint, quantization=kept)
    nodes: list[Any] = _graph(checkpoint, (output,), Int8Ops(kept)).get_ops()
    return nodes


def _count(nodes: list[Any], kind: str) -> int:
    return sum(node.get_type_name() == kind for node in nodes)


def _kernels_in_bytes(nodes: list[Any]) -> int:
    return sum(node.get_type_name() == "Constant" and node.get_element_type().get_type_name() == "i8" for node in nodes)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_layers_on_one_input_round_it_once(architecture: str) -> None:
    assert _count(_nodes(architecture), "FakeQuantize") == _ROUNDED[architecture]


def test_every_dense_layer_multiplies_bytes_but_those_without_quantization() -> None:
    whole = _kernels_in_bytes(_nodes("bert"))
    assert whole == 3 * 6 + 1
    assert _kernels_in_bytes(_nodes("bert", without="bert/encoder/layer_1/attention/self/key/kernel")) == whole - 1


def test_the_first_position_alone_is_rounded_apart() -> None:
    # It is another input than that of key and value.
    assert _count(_nodes("bert", first_only=True), "FakeQuantize") == _ROUNDED["bert"] + 1
