"""A `.keras` file with a berthub.KerasLayer in it, read as a model: its encoder, and the head on it."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.errors import CheckpointError, CorruptFileError, ModelNotFoundError, UnsupportedModelError
from berthub.formats import read
from berthub.training.keras_layer import KerasLayer
from support.tiny import tiny_checkpoint

LENGTH = 9
TEXTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9"]
NAMES = ("input_word_ids", "input_mask", "input_type_ids")


class Saved:
    """Keras models on one layer, each saved in a file and opened as `hub.load` does."""

    def __init__(self, keras: Any, root: Path) -> None:
        self.keras, self.root = keras, root
        self.layer = KerasLayer(tiny_checkpoint("bert"), name="bert")
        self.inputs = {name: keras.Input((LENGTH,), dtype="int32", name=name) for name in NAMES}
        self.outputs = self.layer(self.inputs)

    def save(self, name: str, output: Any, **compiled: Any) -> tuple[Any, hub.Encoder]:
        model = self.keras.Model(self.inputs, output)
        if compiled:
            model.compile(optimizer="adam", **compiled)
        path = self.root / f"{name}.keras"
        model.save(path)
        return model, hub.load(path, engine="numpy", cache_dir=self.root / "cache")

    def run(self, model: Any) -> np.ndarray:
        inputs = hub.Preprocessor(self.root / "one.keras", seq_length=LENGTH, cache_dir=self.root / "cache")(TEXTS)
        arrays = {name: np.asarray(inputs[name]) for name in NAMES}
        return np.asarray(self.keras.ops.convert_to_numpy(model(arrays)))


@pytest.fixture(scope="module")
def saved(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    made = Saved(keras, tmp_path_factory.mktemp("keras"))
    made.save("one", made.outputs["pooled_output"])
    return made


def test_the_encoder_and_its_head(saved: Saved) -> None:
    dense = saved.keras.layers.Dense(3, activation="softmax")
    model, bert = saved.save("softmax", dense(saved.keras.layers.Dropout(0.1)(saved.outputs["pooled_output"])))
    np.testing.assert_allclose(bert.predict_proba(TEXTS), saved.run(model), rtol=0, atol=1e-6)
    assert bert.head is not None
    assert (bert.head.task, bert.head.pooling, bert.head.max_length) == ("classify", "pooled", LENGTH)
    assert bert.checkpoint.origin.unused == ()
    weights = saved.layer.weights_by_name()
    assert all(np.array_equal(bert.checkpoint.weights[name], weights[name]) for name in weights)
    assert bert.checkpoint.config == saved.layer.config


def test_a_head_on_the_first_token_and_one_on_every_token(saved: Saved) -> None:
    sequence = saved.outputs["sequence_output"]
    model, bert = saved.save("first", saved.keras.layers.Dense(2, activation="sigmoid")(sequence[:, 0]))
    assert bert.head is not None
    assert (bert.head.task, bert.head.pooling) == ("multi_label", "cls")
    np.testing.assert_allclose(bert.predict_proba(TEXTS), saved.run(model), rtol=0, atol=1e-6)

    model, bert = saved.save("tokens", saved.keras.layers.Dense(4)(sequence))
    assert bert.head is not None
    assert bert.head.task == "tag"
    labels = saved.run(model).argmax(-1)
    words = [text.split() for text in TEXTS]
    # The first token is [CLS], and each word is one piece.
    expected = [[str(labels[row, 1 + place]) for place in range(len(each))] for row, each in enumerate(words)]
    assert bert.predict(words) == expected


def test_a_regression_in_a_sequential_model(saved: Saved) -> None:
    keras = saved.keras
    layer = KerasLayer(tiny_checkpoint("bert"), output_key="pooled_output")
    model = keras.Sequential([keras.Input((LENGTH,), dtype="int32"), layer, keras.layers.Dense(1)])
    model.compile(loss="mse")
    model.save(saved.root / "sequential.keras")
    bert = hub.load(saved.root / "sequential.keras", engine="numpy", cache_dir=saved.root / "cache")
    ids = hub.Preprocessor(saved.root / "one.keras", seq_length=LENGTH, cache_dir=saved.root / "cache")(TEXTS)
    expected = keras.ops.convert_to_numpy(model(np.asarray(ids["input_word_ids"])))[:, 0]
    np.testing.assert_allclose(bert.predict(TEXTS), expected, rtol=0, atol=1e-6)


def test_hidden_layers_are_read(saved: Saved) -> None:
    layers = saved.keras.layers
    hidden = layers.Dense(7, activation="gelu")(saved.outputs["pooled_output"])
    hidden = layers.Dropout(0.1)(layers.Activation("tanh")(layers.Dense(5, use_bias=False)(hidden)))
    model, bert = saved.save("hidden", layers.Dense(3, activation="softmax")(hidden))
    assert bert.head is not None
    assert [layer.activation for layer in bert.head.hidden] == ["gelu_erf", "tanh"]
    assert bert.checkpoint.origin.unused == ()
    np.testing.assert_allclose(bert.predict_proba(TEXTS), saved.run(model), rtol=0, atol=1e-6)


def test_what_is_no_head_is_named_as_not_read(saved: Saved) -> None:
    hidden = saved.keras.layers.Dense(5, activation="swish")(saved.outputs["pooled_output"])
    _, bert = saved.save("swish", saved.keras.layers.Dense(2)(hidden), loss="mse")
    assert bert.head is None
    assert bert.checkpoint.origin.unread_head == tuple(
        f"layers/{name}/vars/{index}" for name in ("dense", "dense_1") for index in (0, 1)
    )
    with pytest.raises(hub.errors.InputError, match="a head that is not read"):
        bert.predict(TEXTS)
    scaled = saved.keras.layers.Dense(2)(saved.keras.ops.tanh(saved.outputs["pooled_output"]))
    assert saved.save("tanh", scaled)[1].head is None
    mean = saved.keras.layers.GlobalAveragePooling1D()(saved.outputs["sequence_output"])
    # It also counts the padding, which no head of berthub does.
    assert saved.save("mean", saved.keras.layers.Dense(2)(mean))[1].head is None


def test_what_berthub_exports_is_read_back(models: Path, tmp_path: Path) -> None:
    hub.export(models / "tf2_v4", tmp_path / "bert.keras", to="keras")
    read_back = hub.load(tmp_path / "bert.keras", engine="numpy", cache_dir=tmp_path / "cache")
    expected = hub.load(models / "tf2_v4", engine="numpy")
    assert read_back.checkpoint.config == expected.checkpoint.config
    np.testing.assert_array_equal(read_back.embed(["One text."]), expected.embed(["One text."]))


@pytest.fixture
def unpacked(saved: Saved, tmp_path: Path) -> Path:
    with zipfile.ZipFile(saved.root / "one.keras") as file:
        file.extractall(tmp_path)
    return tmp_path


def _edit(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "config.json"
    stored = json.loads(path.read_text())
    edit(stored)
    path.write_text(json.dumps(stored))


def _bert(stored: dict[str, Any]) -> dict[str, Any]:
    return next(layer for layer in stored["config"]["layers"] if layer["class_name"] == "KerasLayer")


def test_what_does_not_fit_is_refused(unpacked: Path) -> None:
    assert read(unpacked).origin.format == "Keras model"
    original = (unpacked / "config.json").read_text()

    def refused(edit: Callable[[dict[str, Any]], None], error: type[Exception], said: str) -> None:
        (unpacked / "config.json").write_text(original)
        _edit(unpacked, edit)
        with pytest.raises(error, match=said):
            read(unpacked)

    refused(lambda stored: _bert(stored).update(registered_name="x"), UnsupportedModelError, "holds no berthub.Keras")
    refused(lambda stored: _bert(stored)["config"]["model"].update(num_layers=2), CheckpointError, "layer_2")
    refused(lambda stored: _bert(stored)["config"].update(model=[]), CorruptFileError, "should be an object")
    refused(lambda stored: _bert(stored)["config"].update(special_pieces={}), CorruptFileError, "special_pieces")
    another = {"registered_name": "berthub>KerasLayer", "config": {"model": {}}}
    refused(lambda stored: stored["config"]["layers"].append(another), CheckpointError, "2 encoders")
    (unpacked / "config.json").write_text(original)
    (unpacked / "assets" / "layers" / "keras_layer" / "vocab.txt").unlink()
    (unpacked / "assets" / "layers" / "keras_layer").rmdir()
    with pytest.raises(ModelNotFoundError, match="no vocabulary"):
        read(unpacked)


def test_a_lambda_in_the_configuration_is_text(unpacked: Path) -> None:
    bomb = {"class_name": "Lambda", "module": "keras.layers", "config": {"name": "l", "function": {"code": "4wEAAAA"}}}
    _edit(unpacked, lambda stored: stored["config"]["layers"].append({**bomb, "name": "l", "inbound_nodes": []}))
    assert read(unpacked).head is None
