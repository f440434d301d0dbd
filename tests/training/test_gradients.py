"""The gradient of a loss with respect to every weight is what TensorFlow computes through its own SavedModel."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.formats.huggingface.architectures import ARCHITECTURES
from berthub.formats.huggingface.writer import write_huggingface
from berthub.formats.renaming import rename
from support.gradients import GOLDEN, batch, gradients
from support.tiny import tiny_checkpoint, tiny_inputs


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


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        # The first has the operations of the others; these take long.
        pytest.param("deberta_v2", {}, id="deberta_v2"),
        pytest.param("mpnet", {}, id="mpnet", marks=pytest.mark.backends),
        pytest.param(
            "deberta_v2",
            {"shared_projections": True, "convolution": None},
            id="deberta_v3",
            marks=pytest.mark.backends,
        ),
    ],
)
def test_gradients_equal_those_of_transformers(
    tmp_path: Path, architecture: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch, transformers = (pytest.importorskip(name) for name in ("torch", "transformers"))
    checkpoint = tiny_checkpoint(architecture, pooler=False, mlm=False, **settings)
    inputs = tiny_inputs(checkpoint)
    inside = inputs["input_mask"][:, :, None].astype(np.float32)
    # What stands at padding means nothing.
    monkeypatch.setattr(
        "support.gradients.loss", lambda outputs, mean: mean((outputs["sequence_output"] * inside) ** 3)
    )
    found = gradients(hub.KerasLayer(checkpoint, trainable=True), inputs)

    write_huggingface(checkpoint, tmp_path / "model")
    model = transformers.AutoModel.from_pretrained(tmp_path / "model").eval()
    names = ("input_ids", "attention_mask", "token_type_ids")
    given = {name: torch.from_numpy(array).long() for name, array in zip(names, inputs.values(), strict=True)}
    ((model(**given).last_hidden_state * torch.from_numpy(inside)) ** 3).mean().backward()
    theirs = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    described = next(each for each in ARCHITECTURES.values() if isinstance(checkpoint.config, each.config))
    ours = described.before_writing(found, checkpoint.config)
    renamed, _ = rename(ours, described.writing(checkpoint.config))
    assert renamed.keys() == theirs.keys() - {"pooler.dense.weight", "pooler.dense.bias"}
    for name, own in renamed.items():
        expected = theirs[name].numpy()
        gradient = ours[own].T if own.endswith("/kernel") else ours[own]
        scale = max(np.abs(expected).max(), 1e-2)
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-4 * scale, err_msg=own)
