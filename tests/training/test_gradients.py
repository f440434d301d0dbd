"""The gradient of a loss with respect to every weight is what TensorFlow computes through its own SavedModel."""

from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from support.gradients import GOLDEN, batch, gradients


def test_gradients_equal_the_original(models: Path) -> None:
    found = gradients(hub.KerasLayer(models / "tf2_v4", trainable=True), batch())
    with np.load(GOLDEN) as stored:
        assert sorted(found) == sorted(stored.files)
        for name, gradient in found.items():
            # The biases of the keys cannot change anything: their gradients are rounding errors.
            scale = max(np.abs(stored[name]).max(), 1e-2)
            np.testing.assert_allclose(gradient, stored[name], rtol=0, atol=1e-4 * scale, err_msg=name)


def test_gradients_reach_every_weight_in_training(models: Path) -> None:
    found = gradients(hub.KerasLayer(models / "tf2_v4", trainable=True, seed=1), batch(), training=True)
    assert len(found) == 39
    for name, gradient in found.items():
        assert np.isfinite(gradient).all()
        assert gradient.any(), name


@pytest.mark.parametrize("freeze", [{"freeze_layers": 1}, {"freeze_embeddings": True}])
def test_a_frozen_weight_has_no_gradient(models: Path, freeze: dict) -> None:
    found = gradients(hub.KerasLayer(models / "tf2_v4", trainable=True, **freeze), batch())
    assert not [name for name in found if "/embeddings/" in name]
    assert ("bert/encoder/layer_0/output/dense/kernel" in found) == ("freeze_embeddings" in freeze)
    assert "bert/pooler/dense/kernel" in found
