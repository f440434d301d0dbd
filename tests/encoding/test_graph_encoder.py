from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.errors import InputError, MissingDependencyError, ModelNotFoundError, UnsupportedModelError


@pytest.fixture(scope="module")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with TF Hub's text interface that is no BERT: a text's length and its number of blanks."""
    tf = pytest.importorskip("tensorflow", reason="what runs the model's graph")

    class Model(tf.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.scale = tf.Variable([1.0, 2.0])

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, texts: object) -> object:
            length = tf.cast(tf.strings.length(texts), tf.float32)
            blanks = tf.cast(tf.strings.length(tf.strings.regex_replace(texts, "[^ ]", "")), tf.float32)
            return tf.stack([length, blanks], axis=1) * self.scale

    folder = tmp_path_factory.mktemp("text") / "model"
    tf.saved_model.save(Model(), str(folder))
    return folder


def test_texts_in_vectors_out(text_model: Path) -> None:
    model = hub.load(text_model, engine="tensorflow")
    texts = ["a b c", "", "xyz"] * 20
    expected = np.array([[5, 4], [0, 0], [3, 0]] * 20, np.float32)
    np.testing.assert_array_equal(model.encode(texts)["default"], expected)
    np.testing.assert_array_equal(model.embed("a b c"), expected[:1])
    np.testing.assert_allclose(np.linalg.norm(model.embed(texts[:1], normalize=True), axis=1), 1, rtol=1e-6)
    assert "TensorFlow" in model.summary()


def test_a_bert_can_be_run_so_too(models: Path) -> None:
    pytest.importorskip("tensorflow", reason="what runs the model's graph")
    inputs = {
        "input_word_ids": np.array([[2, 9, 3, 0]], np.int32),
        "input_mask": np.array([[1, 1, 1, 0]], np.int32),
        "input_type_ids": np.zeros((1, 4), np.int32),
    }
    theirs = hub.load(models / "tf2_v4", engine="tensorflow")(inputs)
    ours = hub.load(models / "tf2_v4", precision="float32")(inputs)
    np.testing.assert_allclose(ours["pooled_output"], theirs["pooled_output"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours["encoder_outputs"][0], theirs["encoder_outputs_0"], rtol=0, atol=1e-5)


def test_bad_input_is_named(text_model: Path, models: Path) -> None:
    model = hub.load(text_model, engine="tensorflow")
    with pytest.raises(InputError, match="text 1 is"):
        model.encode(["a", ("b", "c")])
    with pytest.raises(InputError, match="does not take these inputs"):
        model(np.zeros((2, 2), np.float32))
    with pytest.raises(InputError, match="do not apply"):
        hub.load(text_model, engine="tensorflow", max_length=3)  # type: ignore[call-overload]
    with pytest.raises(ModelNotFoundError, match=r"no saved_model\.pb"):
        hub.load(models / "hf_bert", engine="tensorflow")


def test_without_being_asked_no_graph_runs(text_model: Path) -> None:
    with pytest.raises(UnsupportedModelError, match='engine="tensorflow" runs the SavedModel'):
        hub.load(text_model)


def test_without_tensorflow_the_error_says_so(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    with pytest.raises(MissingDependencyError, match="pip install tensorflow"):
        hub.load(models / "tf2_v4", engine="tensorflow")
