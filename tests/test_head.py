import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.errors import CheckpointError, CorruptFileError
from berthub.fingerprint import fingerprint_of_model
from berthub.formats import read
from berthub.formats.native import CONFIG, write_native
from berthub.head import Head, HiddenLayer


def _draw(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def _hidden(width: int, **changed: Any) -> HiddenLayer:
    norm = {"gamma": _draw(width + 2), "beta": _draw(width + 2), "eps": 1e-5}
    return HiddenLayer(
        **{"kernel": _draw(width, width + 2), "bias": _draw(width + 2), "activation": "tanh", **norm, **changed}
    )


def _head(width: int, **changed: Any) -> Head:
    settings: dict[str, Any] = {
        "task": "regress",
        "labels": ("score",),
        "pooling": "cls",
        "max_length": 16,
        "kernel": _draw(width + 2, 1),
        "bias": _draw(1),
        "hidden": (_hidden(width),),
        "activation": "sigmoid",
    }
    return Head(**{**settings, **changed})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hidden": (_hidden(8, activation="swish"),)}, "the activation of hidden layer 0 is 'swish'"),
        ({"hidden": (_hidden(8, kernel=_draw(8)),)}, "the kernel of hidden layer 0 is float32"),
        ({"hidden": (_hidden(8, bias=_draw(9)),)}, "the bias of hidden layer 0 is float32"),
        ({"hidden": (_hidden(8, gamma=None),)}, "layer norm of hidden layer 0 needs gamma, beta and eps"),
        ({"hidden": (_hidden(8, eps=2.0),)}, "the eps of hidden layer 0 is 2.0"),
        ({"hidden": (_hidden(8), _hidden(8))}, r"do not fit together: \(8, 10\), \(8, 10\), \(10, 1\)"),
        ({"activation": "relu"}, "the activation 'relu' is none of identity, sigmoid, tanh"),
        ({"task": "multi_label"}, "the activation 'sigmoid' does not fit the task multi_label"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        _head(8, **changed)


@pytest.fixture
def checkpoint(models: Path) -> Checkpoint:
    plain = read(models / "tf2_v4")
    return dataclasses.replace(plain, head=_head(plain.config.hidden_size))


def test_saved_pickled_and_copied_it_stays_the_same(checkpoint: Checkpoint, tmp_path: Path) -> None:
    write_native(checkpoint, tmp_path / "model")
    encoder = hub.load(tmp_path / "model", engine="numpy")
    expected = encoder.predict(["The fox", ("was", "it")])
    for same in (encoder.checkpoint, encoder.checkpoint.in_memory(), pickle.loads(pickle.dumps(encoder)).checkpoint):
        assert same.head is not None
        assert checkpoint.head is not None
        assert same.head.described() == checkpoint.head.described()
        for name, weight in checkpoint.head.weights.items():
            np.testing.assert_array_equal(same.head.weights[name], weight)
    # By hand: the first token, the layer, its activation and norm, the output layer, and the sigmoid of it.
    head = _head(checkpoint.config.hidden_size)
    x = np.tanh(encoder.embed(["The fox", ("was", "it")], pooling="cls") @ head.hidden[0].kernel + head.hidden[0].bias)
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    x = (x * head.hidden[0].gamma + head.hidden[0].beta) @ head.kernel + head.bias
    np.testing.assert_allclose(expected, 1 / (1 + np.exp(-x[:, 0])), rtol=0, atol=1e-5)
    assert "regress, 1 label: score, sigmoid of the output" in encoder.summary()


def test_the_fingerprint_sees_layers_and_activation(checkpoint: Checkpoint) -> None:
    head = _head(checkpoint.config.hidden_size)
    others = [
        head,
        dataclasses.replace(head, activation="identity"),
        dataclasses.replace(head, hidden=(_hidden(checkpoint.config.hidden_size, activation="relu"),)),
        dataclasses.replace(head, hidden=(_hidden(checkpoint.config.hidden_size, eps=1e-6),)),
    ]
    found = {fingerprint_of_model(dataclasses.replace(checkpoint, head=each)) for each in others}
    assert len(found) == len(others)


@pytest.mark.parametrize("hidden", [3, [3], [{"activation": "tanh"}]])
def test_damaged_descriptions_of_layers_are_errors(checkpoint: Checkpoint, tmp_path: Path, hidden: Any) -> None:
    write_native(checkpoint, tmp_path / "model")
    path = tmp_path / "model" / CONFIG
    stored = json.loads(path.read_text())
    stored["head"]["hidden"] = hidden
    path.write_text(json.dumps(stored))
    with pytest.raises(
        CorruptFileError, match=r"hidden layers of the head in .* should be objects with activation and eps"
    ):
        read(tmp_path / "model")


def test_layers_without_weights_are_named(checkpoint: Checkpoint, tmp_path: Path) -> None:
    write_native(checkpoint, tmp_path / "model")
    path = tmp_path / "model" / CONFIG
    stored = json.loads(path.read_text())
    stored["head"]["hidden"] *= 2
    path.write_text(json.dumps(stored))
    with pytest.raises(CheckpointError, match="lacks head/hidden_1/kernel and head/hidden_1/bias"):
        read(tmp_path / "model")
