"""The layer inside Keras models: built, trained, compiled, and with its parts frozen."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.errors import InputError
from berthub.formats import read

Inputs = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def checkpoint(models: Path) -> hub.Checkpoint:
    """A model of one layer, since compilers take their time for each."""
    whole = read(models / "tf2_v4")
    config = dataclasses.replace(whole.config, num_layers=1)
    weights = {name: value for name, value in whole.weights.items() if "layer_1" not in name}
    return dataclasses.replace(whole, config=config, weights=weights)


def _functional(keras: Any, layer: hub.KerasLayer) -> Any:
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in ("input_ids", "attention_mask")}
    hidden = keras.layers.Dropout(0.1)(layer(inputs)["pooled_output"])
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid", dtype="float32")(hidden))


def _named(inputs: Inputs) -> Inputs:
    return {"input_ids": inputs["input_word_ids"], "attention_mask": inputs["input_mask"]}


def test_a_functional_model_trains(keras: Any, checkpoint: hub.Checkpoint, inputs: Inputs, capsys: Any) -> None:
    layer = hub.KerasLayer(checkpoint, trainable=True, freeze_embeddings=True, name="bert")
    before = layer.weights_by_name()
    model = _functional(keras, layer)
    # XLA, where it is not the only way anyhow.
    model.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy", jit_compile=keras.config.backend() != "torch")
    x, y = _named(inputs), np.array([[0.0], [1.0]])
    losses = [model.train_on_batch(x, y) for _ in range(4)]
    assert losses[-1] < losses[0]
    after = layer.weights_by_name()
    for name, value in before.items():
        moved = not np.array_equal(value, after[name])
        assert moved == ("/embeddings/" not in name and "key/bias" not in name) or "key/bias" in name, name
    # Other shapes run, too.
    assert model({name: value[:1, :10] for name, value in x.items()}).shape == (1, 1)
    capsys.readouterr()
    model.summary()
    shown = capsys.readouterr().out
    assert "bert (KerasLayer)" in shown
    assert f"{layer.count_params():,}" in shown


def test_a_sequential_model(keras: Any, checkpoint: hub.Checkpoint, inputs: Inputs) -> None:
    layer = hub.KerasLayer(checkpoint, output_key="pooled_output")
    model = keras.Sequential([keras.Input((16,), dtype="int32"), layer, keras.layers.Dense(2)])
    assert model(inputs["input_word_ids"]).shape == (2, 2)
    assert len(model.trainable_variables) == 2
    several = keras.Sequential([layer, keras.layers.Dense(2)])
    assert several(inputs).shape == (2, 2)
    # Without an Input, Keras takes numbers for floats, and would round large ids in bfloat16.
    with pytest.raises(InputError, match=r"declare them as keras\.Input"):
        keras.Sequential([layer, keras.layers.Dense(2)])(inputs["input_word_ids"])


def test_a_subclassed_model(keras: Any, checkpoint: hub.Checkpoint, inputs: Inputs) -> None:
    class Tagger(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.bert = hub.KerasLayer(checkpoint, trainable=True, lora_rank=2, output_key="sequence_output")
            self.dense = keras.layers.Dense(3)

        def call(self, inputs: Any, training: bool | None = None) -> Any:
            return self.dense(self.bert(inputs, training=training))

    model = Tagger()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, jit_compile=False)
    history = model.fit(inputs, np.zeros((2, 16), np.int32), epochs=8, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert len(model.bert.trainable_variables) == 2 * 6
    merged, base = model.bert.weights_by_name(), checkpoint.weights
    kernel = "bert/encoder/layer_0/intermediate/dense/kernel"
    assert not np.array_equal(merged[kernel], base[kernel])
    np.testing.assert_array_equal(merged["bert/embeddings/word_embeddings"], base["bert/embeddings/word_embeddings"])


def test_the_same_seed_trains_the_same_model_in_mixed_precision(
    keras: Any, checkpoint: hub.Checkpoint, inputs: Inputs
) -> None:
    def trained() -> dict[str, np.ndarray]:
        keras.utils.set_random_seed(3)
        layer = hub.KerasLayer(checkpoint, trainable=True, seed=5, dtype="mixed_bfloat16", output_key="pooled_output")
        model = keras.Sequential([keras.Input((16,), dtype="int32"), layer, keras.layers.Dense(1, dtype="float32")])
        model.compile("sgd", "mse", jit_compile=False)
        history = model.fit(inputs["input_word_ids"], np.ones((2, 1)), epochs=2, verbose=0).history
        assert np.isfinite(history["loss"]).all()
        assert {variable.dtype for variable in layer.trainable_variables} == {"float32"}
        return layer.weights_by_name()

    one, two = trained(), trained()
    kernel = "bert/encoder/layer_0/output/dense/kernel"
    assert not np.array_equal(one[kernel], checkpoint.weights[kernel])
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name], err_msg=name)
