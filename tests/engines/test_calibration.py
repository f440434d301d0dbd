from typing import Any

import numpy as np
import pytest

from berthub.checkpoint import Checkpoint
from berthub.engines.calibration import calibrate
from berthub.engines.engine import PaddedBatch
from berthub.quantization import DenseQuantization, Quantization
from support.tiny import ARCHITECTURES, tiny_checkpoint, tiny_inputs


def _calibrated(checkpoint: Checkpoint) -> Quantization:
    inputs = tiny_inputs(checkpoint)
    ids, mask, type_ids = (inputs[f"input_{name}"] for name in ("word_ids", "mask", "type_ids"))
    return calibrate(checkpoint, [PaddedBatch(ids, mask, type_ids, np.arange(len(ids)))])


def _input(layer: DenseQuantization) -> tuple[Any, ...]:
    return layer.shift.tobytes(), layer.smoothing.tobytes(), layer.scale


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_dense_layer_below_the_token_vectors_has_a_quantization(architecture: str) -> None:
    checkpoint = tiny_checkpoint(architecture)
    kernels = {name for name in checkpoint.weights if name.endswith("/kernel") and not name.startswith("cls/")}
    # Those of distances compute nothing of a text.
    below = {name for name in kernels if "/pooler/" not in name and checkpoint.config.uses_of(name)}
    assert set(_calibrated(checkpoint)) == below


def test_layers_that_share_an_input_share_what_is_done_to_it() -> None:
    found = _calibrated(tiny_checkpoint("talking_heads"))
    for layer in range(3):
        scope = f"bert/encoder/layer_{layer}"
        query, key, value = (found[f"{scope}/attention/self/{part}/kernel"] for part in ("query", "key", "value"))
        assert _input(query) == _input(key) == _input(value)
        inner, gate = (found[f"{scope}/intermediate/{part}/kernel"] for part in ("dense", "gate"))
        assert _input(inner) == _input(gate)
    # Each group has its own.
    assert len({_input(layer) for layer in found.values()}) == 3 * 4


def test_layers_that_share_their_weights_are_calibrated_over_all_uses() -> None:
    checkpoint = tiny_checkpoint("albert")
    found = _calibrated(checkpoint)
    # Two groups of two blocks, with four inputs in each, and the projection of the embeddings.
    assert len({_input(layer) for layer in found.values()}) == 2 * 2 * 4 + 1
