"""What is saved is loaded again in a new process, by Keras and by TensorFlow, without the model that it came from."""

import dataclasses
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.errors import InputError, MissingDependencyError
from berthub.formats import read

Inputs = dict[str, np.ndarray]

_LOAD_KERAS = """
import sys
import berthub as hub
import keras
import numpy as np

folder = sys.argv[1]
with np.load(f"{folder}/inputs.npz") as arrays:
    inputs = dict(arrays)
outputs = {}
for name in sys.argv[2:]:
    model = keras.models.load_model(f"{folder}/{name}.keras")
    for index, output in enumerate(keras.tree.flatten(model(inputs))):
        outputs[f"{name}.{index}"] = keras.ops.convert_to_numpy(keras.ops.cast(output, "float32"))
    layer = model.get_layer("bert")
    outputs[f"{name}.trainable"] = [len(layer.trainable_variables), layer.checkpoint().parameters]
np.savez(f"{folder}/outputs.npz", **outputs)
"""
_LOAD_TENSORFLOW = """
import sys
import numpy as np
import tensorflow as tf

folder = sys.argv[1]
with np.load(f"{folder}/inputs.npz") as arrays:
    inputs = {name: tf.constant(array) for name, array in arrays.items()}
model = tf.saved_model.load(f"{folder}/exported")
outputs = model(inputs)
assert sorted(outputs) == ["default", "encoder_outputs", "pooled_output", "sequence_output"]
assert len(model.trainable_variables) == len(model.variables) == 39 and list(model.regularization_losses) == []
assert model.do_lower_case and b"vocab.txt" in model.vocab_file.asset_path.numpy()
signature = model.signatures["serving_default"](**inputs)
assert sorted(set(signature) - set(outputs)) == ["encoder_outputs_0", "encoder_outputs_1"]
dropped = [model(inputs, training=True)["pooled_output"] for _ in range(2)]
assert np.abs(dropped[0] - dropped[1]).max() > 1e-3
np.savez(
    f"{folder}/outputs.npz", pooled=outputs["pooled_output"], last=outputs["encoder_outputs"][-1],
    sequence=outputs["sequence_output"], signature=signature["encoder_outputs_0"], first=outputs["encoder_outputs"][0],
)
"""


def _elsewhere(code: str, folder: Path, inputs: Inputs, *arguments: str) -> Inputs:
    """What the code puts into outputs.npz, run by a new process."""
    np.savez(folder / "inputs.npz", **inputs)
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), *arguments], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / "outputs.npz") as arrays:
        return dict(arrays)


def test_keras_models_reload_in_a_new_process(keras: Any, models: Path, inputs: Inputs, tmp_path: Path) -> None:
    shutil.copytree(models / "tf2_v4", tmp_path / "source")
    forms: dict[str, dict[str, Any]] = {
        "plain": {},
        "pair": {"output_key": ("pooled_output", "sequence_output"), "freeze_layers": 1, "trainable": True},
        "lora": {"lora_rank": 2, "lora_alpha": 3, "trainable": True, "seed": 4, "output_key": "pooled_output"},
        "mixed": {"dtype": "mixed_bfloat16", "output_key": "sequence_output", "trainable": True},
    }
    expected: Inputs = {}
    generator = np.random.default_rng(0)
    for name, options in forms.items():
        layer = hub.KerasLayer(tmp_path / "source", name="bert", **options)
        for variable in layer.trainable_variables:
            variable.assign(variable.numpy() + generator.normal(0, 0.05, variable.shape))
        symbols = {key: keras.Input((None,), dtype="int32", name=key) for key in inputs}
        model = keras.Model(symbols, layer(symbols))
        for index, output in enumerate(keras.tree.flatten(model(inputs))):
            expected[f"{name}.{index}"] = keras.ops.convert_to_numpy(keras.ops.cast(output, "float32"))
        expected[f"{name}.trainable"] = np.array([len(layer.trainable_variables), layer.checkpoint().parameters])
        model.save(tmp_path / f"{name}.keras")
    shutil.rmtree(tmp_path / "source")
    found = _elsewhere(_LOAD_KERAS, tmp_path, inputs, *forms)
    assert sorted(found) == sorted(expected)
    for name, value in expected.items():
        # In bfloat16 a rounding more or less, since compilers fuse.
        np.testing.assert_allclose(found[name], value, rtol=0, atol=0.1 if "mixed" in name else 1e-5, err_msg=name)


def test_a_training_goes_on_after_a_reload(keras: Any, models: Path, inputs: Inputs, tmp_path: Path) -> None:
    layer = hub.KerasLayer(models / "tf2_v4", trainable=True, lora_rank=2, output_key="pooled_output", name="bert")
    ids = keras.Input((16,), dtype="int32")
    model = keras.Model(ids, layer(ids))
    layer.trainable_variables[1].assign(np.ones(layer.trainable_variables[1].shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    again = loaded.get_layer("bert")
    for name, value in layer.weights_by_name().items():
        np.testing.assert_allclose(again.weights_by_name()[name], value, rtol=0, atol=1e-6, err_msg=name)
    assert again.vocabulary == layer.vocabulary
    assert len(again.trainable_variables) == 26
    assert not any(weight.up.numpy().any() for weight in _low_rank(again))


def _low_rank(layer: hub.KerasLayer) -> list[Any]:
    weights = [weight for group in layer.groups.values() for weight in group.weights_by_name.values()]
    return [weight for weight in weights if hasattr(weight, "up")]


@pytest.mark.parametrize("name", ["tf2_v4", "hf_bert"])
def test_an_export_has_the_interface_of_tensorflow_hub(
    keras: Any, models: Path, inputs: Inputs, tmp_path: Path, name: str
) -> None:
    pytest.importorskip("tensorflow")
    layer = hub.KerasLayer(models / name)
    expected = hub.load(models / name, engine="numpy")(inputs)
    layer.export(tmp_path / "exported")
    # It is TensorFlow that runs it, whatever Keras has: once is enough.
    if name == "tf2_v4" and keras.config.backend() == "tensorflow":
        found = _elsewhere(_LOAD_TENSORFLOW, tmp_path, inputs)
        np.testing.assert_allclose(found["pooled"], expected["pooled_output"], rtol=0, atol=1e-5)
        np.testing.assert_allclose(found["sequence"], expected["sequence_output"], rtol=0, atol=1e-5)
        np.testing.assert_array_equal(found["last"], found["sequence"])
        np.testing.assert_allclose(found["signature"], found["first"], rtol=0, atol=1e-6)
    ours = read(tmp_path / "exported")
    assert ours.config == layer.config
    assert ours.vocabulary == layer.vocabulary
    for weight, value in layer.weights_by_name().items():
        np.testing.assert_array_equal(ours.weights[weight], value)
    # A foreign tool may leave the extra file out: the graph itself still tells what changes numbers.
    shutil.rmtree(tmp_path / "exported" / "assets.extra")
    # All but whose tokenization is meant, for which a graph of the encoder has no place.
    ours = read(tmp_path / "exported").config
    assert dataclasses.replace(ours, tokenization=layer.config.tokenization) == layer.config
    with pytest.raises(InputError, match="not an empty folder"):
        layer.export(tmp_path / "exported")


def test_an_export_keeps_every_setting(models: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    checkpoint = read(models / "hf_bert")
    unusual = {"strip_accents": False, "split_chinese": False, "hidden_dropout": 0.25, "pooler": False}
    checkpoint = dataclasses.replace(
        checkpoint,
        config=dataclasses.replace(checkpoint.config, **unusual),
        weights={name: value for name, value in checkpoint.weights.items() if "pooler" not in name},
        vocabulary=dataclasses.replace(checkpoint.vocabulary, mask=checkpoint.vocabulary.pieces[-1]),
    )
    hub.KerasLayer(checkpoint).export(tmp_path / "exported")
    again = read(tmp_path / "exported")
    assert again.config == checkpoint.config
    assert again.vocabulary == checkpoint.vocabulary


def test_an_export_needs_tensorflow(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install tensorflow"):
        hub.KerasLayer(models / "tf2_v4").export(tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_keras_exports_models_with_the_names_of_their_inputs(
    keras: Any, models: Path, inputs: Inputs, tmp_path: Path
) -> None:
    tf = pytest.importorskip("tensorflow")
    backend = keras.config.backend()
    if backend == "torch":
        pytest.skip("on PyTorch, Keras exports no model with several named inputs")
    # On JAX, Keras gives the open length of each input a name of its own.
    symbols = {
        name: keras.Input((None if backend == "tensorflow" else 16,), dtype="int32", name=name) for name in inputs
    }
    outputs = hub.KerasLayer(models / "tf2_v4")(symbols)
    model = keras.Model(symbols, {name: outputs[name] for name in ("pooled_output", "sequence_output")})
    model.export(tmp_path / "served", verbose=False)
    signature = tf.saved_model.load(str(tmp_path / "served")).signatures["serving_default"]
    found = signature(**{name: tf.constant(value) for name, value in inputs.items()})
    expected = hub.load(models / "tf2_v4", engine="numpy")(inputs)
    for name in ("pooled_output", "sequence_output"):
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_the_older_format_of_keras_is_refused_with_what_to_write(keras: Any, models: Path, tmp_path: Path) -> None:
    ids = keras.Input((None,), dtype="int32", name="input_word_ids")
    layer = hub.KerasLayer(models / "tf2_v4", output_key="pooled_output")
    model = keras.Model(ids, keras.layers.Dense(1)(layer(ids)))
    with pytest.raises(InputError, match=r"model\.save\(\"model\.keras\"\)"):
        model.save(tmp_path / "model.h5")
