import dataclasses
from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.errors import CheckpointError, InputError
from berthub.formats import read
from berthub.formats.finite import check_finite
from berthub.formats.native import write_native
from berthub.tokenization.tokenizer import Tokenizer
from support.exports import random_head
from support.tiny import tiny_checkpoint


def _broken(value: float, name: str = "bert/encoder/layer_1/output/dense/kernel"):  # type: ignore[no-untyped-def]
    checkpoint = tiny_checkpoint("bert")
    weights = {key: np.array(weight) for key, weight in checkpoint.weights.items()}
    weights[name][1, 2] = value
    return dataclasses.replace(checkpoint, weights=weights)


@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused_by_name(tmp_path: Path, value: float) -> None:
    write_native(_broken(value), tmp_path / "model")
    message = rf"layer_1/output/dense/kernel \({value} at 1, 2\).*allow_nonfinite=True"
    with pytest.raises(CheckpointError, match=message):
        read(tmp_path / "model")
    with pytest.raises(CheckpointError, match=message):
        hub.load(str(tmp_path / "model"), engine="numpy")
    encoder = hub.load(str(tmp_path / "model"), engine="numpy", allow_nonfinite=True)
    assert encoder.encode(["w1"])["pooled_output"].shape == (1, 24)
    # A tokenizer needs no weights.
    assert Tokenizer.from_pretrained(str(tmp_path / "model"))
    with pytest.raises(InputError, match=r"allow_nonfinite .*do not apply"):
        hub.load(str(tmp_path / "model"), engine="tensorflow", allow_nonfinite=True)  # type: ignore[call-overload]


def test_the_head_counts_and_all_are_named() -> None:
    checkpoint = _broken(np.nan)
    head = random_head(checkpoint)
    bias = np.array(head.bias)
    bias[0] = np.inf
    with pytest.raises(CheckpointError, match=r"dense/kernel \(nan at 1, 2\), the head's bias \(inf at 0\)\. "):
        check_finite(dataclasses.replace(checkpoint, head=dataclasses.replace(head, bias=bias)))


@pytest.mark.parametrize("place", [0, 65_535, 65_536, 131_075])
@pytest.mark.parametrize("by_columns", [False, True])
def test_every_place_is_looked_at(place: int, by_columns: bool) -> None:
    checkpoint = tiny_checkpoint("bert", vocab_size=40, max_positions=11_000)
    name = "bert/embeddings/position_embeddings"
    table = np.array(checkpoint.weights[name])
    check_finite(checkpoint)
    table.flat[place] = np.nan
    table = np.asfortranarray(table) if by_columns else table
    with pytest.raises(CheckpointError, match="position_embeddings"):
        check_finite(dataclasses.replace(checkpoint, weights={**checkpoint.weights, name: table}))


def test_the_largest_numbers_are_numbers() -> None:
    check_finite(_broken(float(np.finfo(np.float32).max)))
