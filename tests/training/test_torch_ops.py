import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import berthub as hub

if keras.config.backend() != "torch":
    pytest.skip("these operations are PyTorch's", allow_module_level=True)

KEYS: list[Any] = ["pooled_output", "sequence_output", ("pooled_output", "sequence_output")]


def _run(model: Path, key: Any, *, unpadded: bool, lengths: np.ndarray) -> tuple[list[Any], list[Any]]:
    """Outputs where there are tokens, and the gradient of every weight."""
    layer = hub.KerasLayer(model, trainable=True, output_key=key, seed=1)
    layer.config = dataclasses.replace(layer.config, hidden_dropout=0.0, attention_dropout=0.0)
    layer.unpadded = unpadded
    rng = np.random.default_rng(0)
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int32)
    ids, types = (rng.integers(low, high, mask.shape) * mask for low, high in ((20, 900), (0, 2)))
    outputs = layer([ids, mask, types], training=True)
    outputs = [outputs] if isinstance(key, str) else list(outputs)
    real = [x * keras.ops.cast(mask[..., None], "float32") if x.ndim == 3 else x for x in outputs]
    weights = [keras.ops.convert_to_tensor(rng.standard_normal(x.shape), "float32") for x in real]
    sum((x * weight).sum() for x, weight in zip(real, weights, strict=True)).backward()
    gradients = [variable.value.grad for variable in layer.trainable_variables]
    dense = [None if grad is None else (grad.to_dense() if grad.is_sparse else grad).numpy() for grad in gradients]
    return [x.detach().numpy() for x in real], dense


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("lengths", [[1], [5, 2, 9], [*range(2, 21)], [7] * 16], ids=len)
def test_without_padding_the_numbers_are_the_same(models: Path, key: Any, lengths: list[int]) -> None:
    padded = _run(models / "tf2_v4", key, unpadded=False, lengths=np.array(lengths))
    unpadded = _run(models / "tf2_v4", key, unpadded=True, lengths=np.array(lengths))
    for ours, theirs in zip(unpadded[0], padded[0], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    for ours, theirs in zip(unpadded[1], padded[1], strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * max(1.0, np.abs(theirs).max()))


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    import torch

    from berthub.training.torch_ops import TorchOps

    ops = TorchOps(torch.float32, torch.Generator().manual_seed(3))
    x = ops.dropout(torch.ones(1001, 999), 0.1)
    assert abs(float((x == 0).float().mean()) - 0.1) < 2e-3
    np.testing.assert_allclose(x.unique().numpy(), [0, 1 / 0.9], rtol=1e-6)
    # Neighbours are drawn apart.
    kept = (x != 0).float().flatten() - 0.9
    assert all(abs(float((kept[:-step] * kept[step:]).mean())) < 1e-3 for step in (1, 2, 3, 4, 8))
