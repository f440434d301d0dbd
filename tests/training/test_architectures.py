"""Every architecture in the Keras layer: the reference's numbers, and a step of training that moves what it should."""

import keras
import numpy as np
import pytest

import berthub as hub
from berthub.encoding.encoder import Encoder
from berthub.engines.create import create_engine
from berthub.errors import InputError
from berthub.tokenization.tokenizer import Tokenizer
from support.tiny import ARCHITECTURES, tiny_checkpoint, tiny_inputs

TOLERANCE = 1e-5


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_layer_equals_the_reference(architecture: str) -> None:
    checkpoint = tiny_checkpoint(architecture)
    inputs = tiny_inputs(checkpoint)
    engine = create_engine(checkpoint, engine="numpy")
    expected = Encoder(checkpoint, Tokenizer.from_checkpoint(checkpoint), engine)(inputs)
    outputs = hub.KerasLayer(checkpoint)(inputs)
    assert outputs.keys() == expected.keys()
    for name, value in outputs.items():
        arrays = [keras.ops.convert_to_numpy(part) for part in (value if isinstance(value, list) else [value])]
        wanted = expected[name] if isinstance(value, list) else [expected[name]]
        np.testing.assert_allclose(np.array(arrays), np.array(wanted), rtol=0, atol=TOLERANCE, err_msg=name)


# Those that have operations of their own; the others take minutes, and are trained in the session of the backends.
_TRAINED = ("albert", "bert", "deberta_v2", "mobilebert", "modernbert")


@pytest.mark.parametrize(
    "architecture",
    [name if name in _TRAINED else pytest.param(name, marks=pytest.mark.backends) for name in ARCHITECTURES],
)
def test_a_step_moves_every_weight_and_the_model_is_reloaded(
    architecture: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    checkpoint = tiny_checkpoint(architecture)
    key = ("mlm_logits", "sequence_output") if checkpoint.config.mlm else "sequence_output"
    if checkpoint.config.pooler:
        key = ("mlm_logits", "pooled_output")
    layer = hub.KerasLayer(checkpoint, trainable=True, output_key=key)
    inputs = tiny_inputs(checkpoint)
    symbolic = {name: keras.Input((None,), dtype="int32", name=name) for name in inputs}
    model = keras.Model(symbolic, layer(symbolic))
    before = layer.weights_by_name()
    # Without XLA, which takes longer to compile than all the rest.
    model.compile("sgd", "mse", jit_compile=False)
    shapes = [part.shape for part in (model.outputs if isinstance(key, tuple) else model.outputs[:1])]
    targets = [np.ones((4, *(9 if size is None else size for size in shape[1:])), np.float32) for shape in shapes]
    if isinstance(key, tuple):
        targets[0] = np.ones((4, 2, checkpoint.config.vocab_size), np.float32)
    model.fit(inputs, targets if isinstance(key, tuple) else targets[0], batch_size=4, verbose=0)
    after = layer.weights_by_name()
    unmoved = [name for name in before if np.array_equal(before[name], after[name])]
    # The softmax forgets what the key's bias adds; rounding may leave it where it was, or not.
    assert [name for name in unmoved if not name.endswith(("/key/bias", "/pos_key/bias"))] == []

    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model.save(path)
    again = keras.saving.load_model(path)
    for one, other in zip(keras.tree.flatten(model(inputs)), keras.tree.flatten(again(inputs)), strict=True):
        np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(part) for part in (one, other)))


@pytest.mark.parametrize("architecture", ["albert", "distilbert", "mobilebert"])
def test_it_is_fine_tuned_and_served(architecture: str) -> None:
    # Without dropout, and all texts in one batch: then a small step can only lead down.
    checkpoint = tiny_checkpoint(architecture, hidden_dropout=0.0, attention_dropout=0.0)
    texts, labels = ["w1 w2", "w3", "w1 w4 w5", "w3 w6"] * 2, ["one", "three"] * 4
    classifier = hub.TextClassifier(checkpoint, seed=3, dropout=0.0)
    classifier.fit(texts, labels, epochs=2, batch_size=8, learning_rate=1e-4, precision="float32", progress=False)
    assert classifier.history[1]["loss"] < classifier.history[0]["loss"]
    assert set(classifier.predict(texts)) <= {"one", "three"}


def test_layers_that_share_weights_are_frozen_by_group() -> None:
    checkpoint = tiny_checkpoint("albert")
    with pytest.raises(InputError, match="share their weights"):
        hub.KerasLayer(checkpoint, trainable=True, freeze_layers=1)
    assert list(hub.KerasLayer(checkpoint).groups) == ["embeddings", "group_0", "group_1", "pooler", "predictions"]


def test_mlm_logits_want_positions() -> None:
    layer = hub.KerasLayer(tiny_checkpoint("bert"), output_key="mlm_logits")
    with pytest.raises(InputError, match="masked_lm_positions"):
        layer(np.array([[2, 6, 3]]))
    with pytest.raises(InputError, match="no masked-language-model head"):
        hub.KerasLayer(tiny_checkpoint("bert", mlm=False))({"input_ids": [[2]], "masked_lm_positions": [[0]]})
