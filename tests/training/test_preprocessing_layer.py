"""The layer that takes texts: eagerly on every backend, and inside of models on TensorFlow."""

import copy
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.errors import CorruptFileError, InputError
from berthub.training.preprocessing_layer import PreprocessingLayer

TEXTS = ["Hello, world!", "", "The cat sat on the mat. " * 4]
OTHERS = ["What?", "Nothing", "A dog."]


@pytest.fixture
def tf(keras: Any) -> Any:
    if keras.config.backend() != "tensorflow":
        pytest.skip("texts inside of a model: KERAS_BACKEND=tensorflow")
    return pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def layer(models: Path) -> Any:
    return hub.KerasLayer(models / "preprocess", name="preprocessing")


@pytest.fixture(scope="module")
def expected(models: Path) -> hub.Preprocessor:
    return hub.Preprocessor(models / "preprocess")


def assert_same(made: Any, expected: dict[str, Any]) -> None:
    assert list(made) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(np.asarray(made[name]), array, err_msg=name)


def test_the_kind_is_read_from_the_files(keras: Any, models: Path, tmp_path: Path, layer: Any) -> None:
    assert isinstance(layer, PreprocessingLayer)
    assert isinstance(layer, hub.KerasLayer)
    assert issubclass(PreprocessingLayer, hub.KerasLayer)
    assert not isinstance(keras.layers.Dense(1), hub.KerasLayer)
    # Names that say the opposite.
    shutil.copytree(models / "preprocess", tmp_path / "bert_encoder")
    shutil.copytree(models / "tf2_v4", tmp_path / "bert_preprocess")
    assert isinstance(hub.KerasLayer(tmp_path / "bert_encoder"), PreprocessingLayer)
    assert type(hub.KerasLayer(tmp_path / "bert_preprocess")) is hub.KerasLayer


def test_texts_in_every_form(keras: Any, layer: Any, expected: hub.Preprocessor) -> None:
    for form in (TEXTS, tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, object)):
        made = layer(form)
        assert all(keras.ops.is_tensor(tensor) for tensor in made.values())
        assert_same(made, expected(TEXTS))
    assert_same(layer(TEXTS, OTHERS), expected(TEXTS, OTHERS))
    assert_same(layer("Hello"), expected(["Hello"]))
    assert layer.resolved_object.tokenize(TEXTS) == expected.tokenize(TEXTS)
    assert layer.vocabulary == expected.tokenizer.vocabulary


def test_the_steps_one_by_one(layer: Any, expected: hub.Preprocessor) -> None:
    tokenize = hub.KerasLayer(expected.tokenize, name="tokenizer")
    pack = hub.KerasLayer(expected.bert_pack_inputs, arguments={"seq_length": 16})
    short = hub.Preprocessor(expected.tokenizer, 16)
    assert_same(pack([tokenize(TEXTS), tokenize(OTHERS)]), short(TEXTS, OTHERS))
    assert_same(pack([tokenize(TEXTS)]), short(TEXTS))
    with pytest.raises(InputError, match="one or of two segments"):
        pack([])


def test_it_is_mapped_over_a_dataset_on_every_backend(layer: Any, expected: hub.Preprocessor) -> None:
    tf = pytest.importorskip("tensorflow")
    (made,) = tf.data.Dataset.from_tensor_slices(TEXTS).batch(3).map(layer)
    assert_same(made, expected(TEXTS))
    assert_same(layer(tf.constant(TEXTS)), expected(TEXTS))


def test_texts_of_a_model_need_tensorflow(keras: Any, layer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = keras.Input(shape=(), dtype="string")
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    for call in (layer, layer.resolved_object):
        with pytest.raises(InputError, match=r"KERAS_BACKEND=tensorflow.*dataset\.map"):
            call(texts)


def test_wrong_texts_of_a_model(keras: Any, tf: Any, layer: Any) -> None:
    for texts in (keras.Input(shape=(1,), dtype="string"), keras.Input(shape=(), dtype="int32")):
        with pytest.raises(InputError, match=r'keras\.Input\(shape=\(\), dtype="string"\)'):
            layer(texts)
    with pytest.raises(InputError, match="one is a int32 EagerTensor"):
        layer(tf.constant([1, 2]))


def test_a_model_of_texts_is_saved_and_loaded(
    keras: Any, tf: Any, layer: Any, start: Checkpoint, tmp_path: Path
) -> None:
    texts, pairs = (
        keras.Input(shape=(), dtype="string", name="text"),
        keras.Input(shape=(), dtype="string", name="pair"),
    )
    # As a layer, as a preprocessor, and as the two steps.
    preprocessor = hub.Preprocessor(layer.resolved_object.tokenizer, 16)
    tokenize, pack = hub.KerasLayer(preprocessor.tokenize), hub.KerasLayer(preprocessor.bert_pack_inputs)
    inputs = [hub.KerasLayer(preprocessor)(texts), preprocessor(texts, pairs), pack([tokenize(texts), tokenize(pairs)])]
    encoder, dense = hub.KerasLayer(start, output_key="pooled_output"), keras.layers.Dense(1)
    model = keras.Model([texts, pairs], [dense(encoder(each)) for each in inputs])
    model.save(tmp_path / "model.keras")
    given = [tf.constant(TEXTS), tf.constant(OTHERS)]
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for one, other in zip(model(given), loaded(given), strict=True):
        np.testing.assert_array_equal(one, other)
    assert {type(each).__name__ for each in loaded.layers if isinstance(each, hub.KerasLayer)} == {
        "KerasLayer",
        "PreprocessingLayer",
    }
    np.testing.assert_allclose(model.predict(given, verbose=0)[1], model(given)[2], rtol=0, atol=1e-6)


def test_a_graph_of_texts_is_trained(keras: Any, tf: Any, layer: Any) -> None:
    texts = keras.Input(shape=(), dtype="string")
    vectors = keras.layers.Embedding(1126, 4)(layer(texts)["input_word_ids"])
    model = keras.Model(texts, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(vectors)))
    model.compile("sgd", "mse")
    labels = np.array([0.0, 1.0, 0.0])
    before = model.predict(tf.constant(TEXTS), verbose=0)
    model.fit(tf.constant(TEXTS), labels, epochs=1, verbose=0)
    assert np.abs(model.predict(np.array(TEXTS, object), verbose=0) - before).max() > 1e-6


def test_a_sequential_model_of_texts(keras: Any, tf: Any, models: Path, start: Checkpoint) -> None:
    layer: Any = hub.KerasLayer(models / "preprocess", input_shape=[], dtype=tf.string, arguments={"seq_length": 16})
    encoder = hub.KerasLayer(start, output_key="pooled_output")
    model = keras.Sequential([layer, encoder])
    assert model.built
    np.testing.assert_allclose(model.predict(tf.constant(TEXTS), verbose=0), encoder(layer(TEXTS)), rtol=0, atol=1e-6)
    again = keras.Sequential.from_config(model.get_config())
    with pytest.raises(InputError, match="no vocabulary"):
        again(tf.constant(TEXTS))


def test_a_savedmodel_is_refused(keras: Any, tf: Any, layer: Any, tmp_path: Path) -> None:
    texts = keras.Input(shape=(), dtype="string")
    with pytest.raises(InputError, match="no SavedModel can hold"):
        keras.Model(texts, layer(texts)).export(tmp_path / "model")
    with pytest.raises(InputError, match=r"saved as \.keras"):
        keras.Model(texts, layer(texts)).save(tmp_path / "model.h5")


def test_it_is_copied_and_pickled(layer: Any, expected: hub.Preprocessor) -> None:
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert_same(again(TEXTS), expected(TEXTS))


def test_a_damaged_configuration(layer: Any) -> None:
    stored = layer.get_config()
    with pytest.raises(CorruptFileError, match="damaged"):
        PreprocessingLayer.from_config({**stored, "preprocessor": {"seq_length": 16}})
    with pytest.raises(InputError, match="'fly', which is none of"):
        PreprocessingLayer.from_config({**stored, "step": "fly"})
