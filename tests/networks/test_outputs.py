import dataclasses
from pathlib import Path

import numpy as np
import pytest

from berthub.engines.numpy import NumpyOps
from berthub.errors import InputError
from berthub.formats import read
from berthub.networks.bert import BertConfig
from berthub.networks.outputs import Output, build


def test_layers_count_from_either_end(config: BertConfig) -> None:
    assert [Output(layer).resolved(config).layer for layer in (-2, -1, 0, 1)] == [0, 1, 0, 1]


@pytest.mark.parametrize("layer", [2, -3, 1.0, None, True])
def test_a_layer_that_is_not_there(config: BertConfig, layer: object) -> None:
    with pytest.raises(InputError, match=r"0 to 1, or counted from the top -1 to -2"):
        Output(layer).resolved(config)  # type: ignore[arg-type]


def test_what_the_model_does_not_have(config: BertConfig) -> None:
    with pytest.raises(
        InputError, match="pooling='sum' is not known; use one of cls, lasttoken, max, mean, mean_sqrt_len"
    ):
        Output(-1, "sum").resolved(config)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="belongs to the last layer, not to layer -2"):
        Output(-2, "pooled").resolved(config)
    with pytest.raises(InputError, match="no pooler"):
        Output(-1, "pooled").resolved(dataclasses.replace(config, pooler=False))


class _Counting(NumpyOps):
    def __init__(self) -> None:
        self.attentions = self.tanhs = 0

    def attention(self, *arguments, **options):
        self.attentions += 1
        return super().attention(*arguments, **options)

    def tanh(self, x):
        self.tanhs += 1
        return super().tanh(x)


@pytest.mark.parametrize(
    ("outputs", "attentions", "tanhs"),
    [
        ([Output(0)], 1, 0),
        ([Output(0, "mean"), Output(0, "cls")], 1, 0),
        ([Output(1), Output(0)], 2, 0),
        ([Output(1, "pooled")], 2, 1),
    ],
)
def test_nothing_is_computed_that_no_output_needs(
    models: Path, outputs: list[Output], attentions: int, tanhs: int
) -> None:
    checkpoint, ops = read(models / "tf2_v4"), _Counting()
    ids = np.array([[11, 20, 12, 0]], np.int32)
    mask, types = np.array([[1, 1, 1, 0]], np.int32), np.zeros_like(ids)
    results = build(ops, checkpoint.config, checkpoint.weights, outputs, ids=ids, mask=mask, type_ids=types)
    assert (ops.attentions, ops.tanhs) == (attentions, tanhs)
    assert [result.shape for result in results] == [(1, 32) if o.pooling else (1, 4, 32) for o in outputs]


@pytest.mark.parametrize(
    ("outputs", "widths"),
    [
        ([Output(1, "pooled")], [4, 1]),
        ([Output(1, "cls"), Output(0)], [4, 1]),
        ([Output(1, "pooled"), Output(1, "mean")], [4, 4]),
        ([Output(0, "cls")], [1]),
    ],
)
def test_of_the_last_layer_only_the_first_position_is_computed_where_that_is_enough(
    models: Path, outputs: list[Output], widths: list[int]
) -> None:
    seen = []

    class Ops(NumpyOps):
        def attention(self, query, *arguments, **options):
            seen.append(query.shape[1])
            return super().attention(query, *arguments, **options)

    checkpoint = read(models / "tf2_v4")
    ids = np.array([[11, 20, 12, 0]], np.int32)
    inputs = {"ids": ids, "mask": np.ones_like(ids), "type_ids": np.zeros_like(ids)}
    results = build(Ops(), checkpoint.config, checkpoint.weights, outputs, **inputs)
    assert seen == widths
    whole = build(NumpyOps(), checkpoint.config, checkpoint.weights, [*outputs, Output(1)], **inputs)
    for ours, theirs in zip(results, whole, strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_poolings_are_what_they_say(models: Path) -> None:
    checkpoint = read(models / "tf2_v4")
    ids = np.array([[11, 20, 12, 0], [11, 12, 0, 0]], np.int32)
    mask = (ids != 0).astype(np.int32)
    outputs = [Output(1), Output(1, "cls"), Output(1, "mean"), Output(1, "max")]
    tokens, cls, mean, largest = build(
        NumpyOps(), checkpoint.config, checkpoint.weights, outputs, ids=ids, mask=mask, type_ids=np.zeros_like(ids)
    )
    for row, length in enumerate((3, 2)):
        np.testing.assert_array_equal(cls[row], tokens[row, 0])
        np.testing.assert_allclose(mean[row], tokens[row, :length].mean(0), rtol=0, atol=1e-6)
        np.testing.assert_array_equal(largest[row], tokens[row, :length].max(0))
