from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from berthub.engines.numpy import NumpyOps
from berthub.networks.ops import Dense
from berthub.networks.outputs import Output, build
from support.tiny import ARCHITECTURES, tiny_checkpoint, tiny_inputs


class _FusingOps(NumpyOps):
    """Computes a group of dense layers as one matrix product, as a backend may."""

    def __init__(self) -> None:
        self.groups: list[tuple[str, ...]] = []

    def dense_group(self, x: Any, layers: Sequence[Dense[Any]]) -> tuple[Any, ...]:
        self.groups.append(tuple(layer.name for layer in layers))
        kernel = np.concatenate([layer.kernel for layer in layers], axis=1)
        # Some layers have no biases.
        bias = np.concatenate(
            [np.zeros(layer.kernel.shape[1], np.float32) if layer.bias is None else layer.bias for layer in layers]
        )
        ends = np.cumsum([layer.kernel.shape[1] for layer in layers])
        return tuple(np.split(x @ kernel + bias, ends[:-1], axis=-1))


def _outputs(ops: NumpyOps, architecture: str, outputs: list[Output], **settings: Any) -> list[Any]:
    checkpoint = tiny_checkpoint(architecture, **settings)
    inputs = tiny_inputs(checkpoint)
    ids, mask, type_ids = (inputs[f"input_{name}"] for name in ("word_ids", "mask", "type_ids"))
    resolved = [output.resolved(checkpoint.config) for output in outputs]
    return build(ops, checkpoint.config, checkpoint.weights, resolved, ids=ids, mask=mask, type_ids=type_ids)


@pytest.mark.parametrize("outputs", [[Output(0), Output(-1)], [Output(-1, "cls")]], ids=["tokens", "first"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_backend_may_fuse_a_group_of_dense_layers(architecture: str, outputs: list[Output]) -> None:
    fusing = _FusingOps()
    for ours, theirs in zip(
        _outputs(fusing, architecture, outputs), _outputs(NumpyOps(), architecture, outputs), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    assert fusing.groups


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name != "mobilebert"])
def test_query_key_and_value_are_a_group(architecture: str) -> None:
    whole, first = _FusingOps(), _FusingOps()
    _outputs(whole, architecture, [Output(-1)])
    _outputs(first, architecture, [Output(-1, "cls")])
    attentions = [[_parts(group) for group in ops.groups if "/attention" in group[0]] for ops in (whole, first)]
    assert set(attentions[0]) == {("query", "key", "value")}
    # The query of the last layer is made from the first position alone.
    assert attentions[1] == [*attentions[0][:-1], ("key", "value")]


@pytest.mark.parametrize(
    ("settings", "groups"),
    [
        ({}, {("dense", "dense")}),
        ({"bottleneck_attention": True}, {("query", "key", "value")}),
        ({"shared_bottleneck": False}, {("query", "key", "value")}),
    ],
)
def test_groups_of_a_mobilebert_have_one_input(settings: dict[str, bool], groups: set[tuple[str, ...]]) -> None:
    fusing = _FusingOps()
    ours = _outputs(fusing, "mobilebert", [Output(-1)], **settings)
    theirs = _outputs(NumpyOps(), "mobilebert", [Output(-1)], **settings)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=0, atol=1e-5)
    assert {_parts(group) for group in fusing.groups} == groups


def test_the_gate_is_a_group_with_the_inner_layer() -> None:
    fusing = _FusingOps()
    _outputs(fusing, "talking_heads", [Output(-1)])
    assert ("dense", "gate") in {_parts(group) for group in fusing.groups}


def _parts(group: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.rsplit("/", 1)[1] for name in group)
