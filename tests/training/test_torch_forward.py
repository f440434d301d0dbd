import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import berthub as hub
from berthub.networks.interface import INPUTS

if keras.config.backend() != "torch":
    pytest.skip("these operations are PyTorch's", allow_module_level=True)

from berthub.training.torch_forward import forward_without_padding

KEYS: list[Any] = ["pooled_output", "sequence_output", ("pooled_output", "sequence_output")]


def _run(model: Path, key: Any, *, unpadded: bool, lengths: np.ndarray) -> tuple[list[Any], list[Any]]:
    """Outputs where there are tokens, and the gradient of every weight."""
    layer = hub.KerasLayer(model, trainable=True, output_key=key, seed=1)
    layer.config = dataclasses.replace(layer.config, hidden_dropout=0.0, attention_dropout=0.0)
    rng = np.random.default_rng(0)
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int32)
    ids, types = (rng.integers(low, high, mask.shape) * mask for low, high in ((20, 900), (0, 2)))
    inputs = dict(zip(INPUTS, (keras.ops.convert_to_tensor(array) for array in (ids, mask, types)), strict=True))
    outputs = forward_without_padding(layer, inputs) if unpadded else layer(inputs, training=True)
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


def test_only_this_pass_makes_sparse_gradients(models: Path) -> None:
    layer = hub.KerasLayer(models / "tf2_v4", trainable=True, output_key="pooled_output")
    words = layer.tensors_by_name()["bert/embeddings/word_embeddings"]
    inputs = {name: keras.ops.ones((2, 4), "int32") for name in INPUTS}
    for run, sparse in ((lambda: forward_without_padding(layer, inputs), True), (lambda: layer(inputs), False)):
        words.grad = None
        run().sum().backward()
        assert words.grad.is_sparse is sparse
