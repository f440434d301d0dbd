"""What Keras and TensorFlow export of models with a `berthub.KerasLayer`, read back: the encoder and its head."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.errors import ModelNotFoundError, UnsupportedModelError
from berthub.formats import read
from berthub.training.keras_layer import KerasLayer
from support.tiny import tiny_checkpoint

LENGTH = 9
TEXTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9"]
NAMES = ("input_word_ids", "input_mask", "input_type_ids")


@pytest.fixture(autouse=True)
def on_tensorflow(keras: Any) -> None:
    if keras.config.backend() != "tensorflow":
        pytest.skip("the other backends of Keras export no assets")


def _inputs(keras: Any) -> dict[str, Any]:
    return {name: keras.Input((LENGTH,), dtype="int32", name=name) for name in NAMES}


def _run(keras: Any, model: Any, folder: Path) -> np.ndarray:
    inputs = hub.Preprocessor(folder, seq_length=LENGTH)(TEXTS)
    return np.asarray(model({name: np.asarray(inputs[name]) for name in NAMES}))


def test_model_export(keras: Any, tmp_path: Path) -> None:
    layers, inputs, layer = keras.layers, _inputs(keras), KerasLayer(tiny_checkpoint("bert"), lora_rank=2)
    for group in layer.groups.values():
        for weight in group.weights_by_name.values():
            if hasattr(weight, "up"):
                weight.up.assign(np.full(weight.up.shape, 0.125, np.float32))
    hidden = layers.Dense(7, activation="tanh")(layers.Dropout(0.1)(layer(inputs)["sequence_output"][:, 0]))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(hidden))
    model.export(tmp_path / "model", verbose=False)
    bert = hub.load(tmp_path / "model", engine="numpy")
    assert bert.checkpoint.origin.format == "SavedModel of Keras"
    assert bert.checkpoint.config == layer.config
    assert bert.checkpoint.vocabulary.pieces == layer.vocabulary.pieces
    for name, weight in layer.weights_by_name().items():
        np.testing.assert_allclose(bert.checkpoint.weights[name], weight, rtol=0, atol=1e-6, err_msg=name)
    assert bert.head is not None
    assert (bert.head.task, bert.head.pooling, bert.head.max_length) == ("classify", "cls", LENGTH)
    assert [each.activation for each in bert.head.hidden] == ["tanh"]
    assert not any("dense" in name for name in bert.checkpoint.origin.unused)
    expected = _run(keras, model, tmp_path / "model")
    np.testing.assert_allclose(bert.predict_proba(TEXTS), expected, rtol=0, atol=1e-6)

    shutil.move(tmp_path / "model" / "assets" / "vocab.txt", tmp_path / "vocab.txt")
    with pytest.raises(ModelNotFoundError):
        read(tmp_path / "model")


def test_saved_by_tensorflow(keras: Any, tmp_path: Path) -> None:
    import tensorflow as tf

    inputs, layer = _inputs(keras), KerasLayer(tiny_checkpoint("bert"))
    model = keras.Model(inputs, keras.layers.Dense(4)(layer(inputs)["sequence_output"]))
    tf.saved_model.save(model, str(tmp_path / "model"))
    bert = hub.load(tmp_path / "model", engine="numpy")
    assert bert.head is not None
    assert bert.head.task == "tag"
    labels = _run(keras, model, tmp_path / "model").argmax(-1)
    words = [text.split() for text in TEXTS]
    # The first token is [CLS], and each word is one piece.
    expected = [[str(labels[row, 1 + place]) for place in range(len(each))] for row, each in enumerate(words)]
    assert bert.predict(words) == expected


def test_what_is_no_head_and_what_has_no_description(keras: Any, tmp_path: Path) -> None:
    import tensorflow as tf

    inputs, layer = _inputs(keras), KerasLayer(tiny_checkpoint("bert"))
    mean = keras.layers.GlobalAveragePooling1D()(layer(inputs)["sequence_output"])
    model = keras.Model(inputs, keras.layers.Dense(4, name="above")(mean))
    tf.saved_model.save(model, str(tmp_path / "mean"))
    found = read(tmp_path / "mean")
    assert found.head is None
    assert found.origin.unread_head == ("above/bias", "above/kernel")
    layer.vocabulary = None
    tf.saved_model.save(model, str(tmp_path / "bare"))
    with pytest.raises(UnsupportedModelError, match=r"without the layer's description.*\.keras file"):
        read(tmp_path / "bare")
