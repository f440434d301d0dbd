import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.embedding import Embedding
from berthub.errors import CheckpointError, HandleError, InputError
from berthub.formats import read
from berthub.networks.network import weight_shapes
from support.golden import KINDS, batches

TOLERANCE = 1e-5
Inputs = dict[str, np.ndarray]


def _array(tensor: Any) -> np.ndarray:
    from berthub.training.backend import import_keras

    return np.asarray(import_keras().ops.convert_to_numpy(tensor), np.float32)


def _close(ours: Any, theirs: Any, tolerance: float = TOLERANCE) -> None:
    np.testing.assert_allclose(_array(ours), _array(theirs), rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", KINDS)
def test_float32_equals_the_original(models: Path, name: str) -> None:
    layer = hub.KerasLayer(models / name)
    # The last one is the smallest, the third as long as the models' positions.
    for golden in list(batches(models / name))[2 if name == "tf2_v4" else 4 :: 2]:
        names = ["input_word_ids", "input_mask", "input_type_ids"]
        names += ["masked_lm_positions"] if "mlm_logits" in golden else []
        outputs = layer({key: golden[key] for key in names})
        keys = ["pooled_output", "sequence_output", *(["mlm_logits"] if "mlm_logits" in golden else [])]
        assert sorted(outputs) == sorted(["default", "encoder_outputs", *keys])
        for key in keys:
            _close(outputs[key], golden[key])
        _close(outputs["default"], golden["pooled_output"])
        assert len(outputs["encoder_outputs"]) == layer.config.num_states
        for layer_number, state in enumerate(golden.get("encoder_outputs", ())):
            _close(outputs["encoder_outputs"][layer_number], state)


def test_every_form_of_inputs_means_the_same(keras: Any, layer: hub.KerasLayer, inputs: Inputs) -> None:
    ids, mask, types = (inputs[f"input_{name}"] for name in ("word_ids", "mask", "type_ids"))
    expected = layer(inputs)["sequence_output"]
    tensors = [keras.ops.convert_to_tensor(array) for array in (ids, mask, types)]
    for form in (
        [ids, mask, types],
        (ids.tolist(), mask.tolist(), types.tolist()),
        tensors,
        [array.astype(np.int64) for array in (ids, mask, types)],
        {"input_ids": ids, "attention_mask": mask, "token_type_ids": types},
        {"token_type_ids": tensors[2], "attention_mask": mask.astype(bool), "input_ids": tensors[0]},
    ):
        _close(layer(form)["sequence_output"], expected, 1e-6)


def test_mask_and_type_ids_may_be_left_out(layer: hub.KerasLayer, inputs: Inputs) -> None:
    pad = layer.vocabulary.ids["[PAD]"]
    ids = np.where(inputs["input_mask"] == 1, np.maximum(inputs["input_word_ids"], pad + 1), pad)
    mask, types = (ids != pad).astype(np.int32), np.zeros_like(ids)
    assert not mask.all()
    expected = layer([ids, mask, types])["sequence_output"]
    for form in (ids, [ids], [ids, mask], {"input_ids": ids}, {"input_word_ids": ids, "input_type_ids": types}):
        _close(layer(form)["sequence_output"], expected, 1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("a text", "the inputs are of type str"),
        ([], "the inputs are of type list"),
        ([np.array(["a text"])], "the layer takes numbers: make them with hub.Preprocessor"),
        ([["a text", "another"]], "are texts"),
        ([np.zeros((2, 4), np.float32)], 'must be integers: declare them as keras.Input((None,), dtype="int32")'),
        ([np.zeros(4, np.int32)], "have the shape (4,)"),
        ([np.zeros((1, 65), np.int32)], "have 65 positions; the model has 64"),
        ([np.zeros((1, 0), np.int32)], "have 0 positions"),
        ([np.zeros((2, 4), np.int32), np.zeros((2, 5), np.int32)], "the mask have the shape (2, 5) and the ids (2, 4)"),
        ([[[1, 2], [3]]], "rows of different lengths must be padded"),
        ({"input_mask": np.zeros((2, 4), np.int32)}, "hold no ids"),
        ({"ids": np.zeros((2, 4), np.int32)}, "the input 'ids' is not known"),
    ],
)
def test_what_are_no_inputs_is_said(layer: hub.KerasLayer, wrong: Any, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        layer(wrong)


@pytest.mark.parametrize("key", ["pooled_output", "default", "sequence_output", ("pooled_output", "sequence_output")])
def test_outputs_on_request(models: Path, layer: hub.KerasLayer, inputs: Inputs, key: Any) -> None:
    outputs = hub.KerasLayer(models / "tf2_v4", output_key=key)(inputs)
    expected = layer(inputs)
    for ours, name in [(outputs, key)] if isinstance(key, str) else zip(outputs, key, strict=True):
        _close(ours, expected[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_key": "last_hidden_state"}, "output_key='last_hidden_state' is not known"),
        ({"output_key": ()}, "output_key"),
        ({"freeze_layers": 3}, "freeze_layers=3 does not fit: for this model it is a whole number from 0 to 2"),
        ({"freeze_layers": True}, "freeze_layers"),
        ({"lora_rank": 0}, "lora_rank=0"),
        ({"seed": "one"}, "seed"),
    ],
)
def test_options_are_checked(models: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises((InputError, ValueError), match=message):
        hub.KerasLayer(models / "tf2_v4", **options)


def test_an_unknown_handle_is_said() -> None:
    with pytest.raises(HandleError):
        hub.KerasLayer("no such model", offline=True)


def test_without_a_pooler(models: Path, layer: hub.KerasLayer, inputs: Inputs) -> None:
    checkpoint = _without_pooler(layer.checkpoint())
    bare = hub.KerasLayer(checkpoint)
    outputs = bare(inputs)
    assert sorted(outputs) == ["encoder_outputs", "sequence_output"]
    _close(outputs["sequence_output"], layer(inputs)["sequence_output"])
    with pytest.raises(InputError, match="no pooler"):
        hub.KerasLayer(checkpoint, output_key="pooled_output")


def test_symbolic_shapes(keras: Any, layer: hub.KerasLayer) -> None:
    for width in (None, 16):
        outputs = layer([keras.Input((width,), dtype="int32"), keras.Input((width,), dtype="int32")])
        assert outputs["pooled_output"].shape == outputs["default"].shape == (None, 32)
        assert outputs["sequence_output"].shape == (None, width, 32)
        assert [state.shape for state in outputs["encoder_outputs"]] == [(None, width, 32)] * 2


def test_nothing_is_trainable_until_it_is(models: Path, inputs: Inputs) -> None:
    layer = hub.KerasLayer(models / "tf2_v4")
    assert layer.trainable_variables == []
    assert not any(variable.trainable for variable in layer.variables)
    assert len(layer.weights) == 39
    assert layer.count_params() == layer.checkpoint().parameters
    expected = layer(inputs)["pooled_output"]
    _close(layer(inputs, training=True)["pooled_output"], expected, 1e-6)  # no dropout either
    layer.trainable = True
    assert len(layer.trainable_variables) == 39
    assert not np.allclose(_array(layer(inputs, training=True)["pooled_output"]), _array(expected), atol=1e-3)
    _close(layer(inputs)["pooled_output"], expected, 1e-6)


def test_freezing(models: Path) -> None:
    layer = hub.KerasLayer(models / "tf2_v4", trainable=True, freeze_layers=1)
    assert list(layer.groups) == ["embeddings", "layer_0", "layer_1", "pooler"]
    assert len(layer.trainable_variables) == 16 + 2
    layer.trainable = False
    layer.trainable = True
    assert len(layer.trainable_variables) == 16 + 2  # what is frozen stays frozen
    layer.groups["pooler"].trainable = False
    assert len(layer.trainable_variables) == 16
    assert len(hub.KerasLayer(models / "tf2_v4", trainable=True, freeze_embeddings=True).trainable_variables) == 34


def test_dropout_is_reproducible(models: Path, inputs: Inputs) -> None:
    one, two, other = (hub.KerasLayer(models / "tf2_v4", trainable=True, seed=seed) for seed in (1, 1, 2))
    first, again = (_array(one(inputs, training=True)["pooled_output"]) for _ in range(2))
    assert not np.allclose(first, again, atol=1e-3)
    _close(two(inputs, training=True)["pooled_output"], first, 1e-6)
    assert not np.allclose(_array(other(inputs, training=True)["pooled_output"]), first, atol=1e-3)


def test_lora(keras: Any, models: Path, layer: hub.KerasLayer, inputs: Inputs, tmp_path: Path) -> None:
    lora = hub.KerasLayer(models / "tf2_v4", trainable=True, lora_rank=3, seed=1)
    # Thirteen kernels, two factors each.
    assert len(lora.trainable_variables) == 2 * (2 * 6 + 1)
    _close(lora(inputs)["pooled_output"], layer(inputs)["pooled_output"])
    generator = np.random.default_rng(0)
    for variable in lora.trainable_variables:
        variable.assign(generator.normal(0, 0.1, variable.shape))
    outputs = _array(lora(inputs)["sequence_output"])
    assert not np.allclose(outputs, _array(layer(inputs)["sequence_output"]), atol=1e-2)
    _close(hub.KerasLayer(lora.checkpoint())(inputs)["sequence_output"], outputs)
    lora.set_weights_by_name(layer.weights_by_name())
    _close(lora(inputs)["pooled_output"], layer(inputs)["pooled_output"])


def test_weights_by_their_canonical_names(models: Path, layer: hub.KerasLayer, inputs: Inputs) -> None:
    weights = layer.weights_by_name()
    assert {name: value.shape for name, value in weights.items()} == weight_shapes(layer.config)
    other = hub.KerasLayer(models / "hf_bert")
    other.set_weights_by_name({"bert/pooler/dense/bias": np.ones(32)})
    assert (other.weights_by_name()["bert/pooler/dense/bias"] == 1).all()
    with pytest.raises(CheckpointError, match=r"nothing is no weight.*dense/bias has shape \(3,\), not \(32,\)"):
        other.set_weights_by_name({"nothing": np.ones(3), "bert/pooler/dense/bias": np.ones(3)})


def test_what_is_saved_is_what_the_engine_runs(models: Path, inputs: Inputs, tmp_path: Path) -> None:
    layer = hub.KerasLayer(models / "tf2_v4", trainable=True)
    layer.set_weights_by_name({name: value * 1.1 for name, value in layer.weights_by_name().items()})
    layer.save(tmp_path / "saved")
    outputs, expected = hub.load(tmp_path / "saved", precision="float32")(inputs), layer(inputs)
    for key in ("sequence_output", "pooled_output"):
        _close(outputs[key], expected[key])
    with pytest.raises(InputError, match="not an empty folder"):
        layer.save(tmp_path / "saved")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_bfloat16(models: Path, layer: hub.KerasLayer, inputs: Inputs, policy: str) -> None:
    low = hub.KerasLayer(models / "tf2_v4", dtype=policy)
    pooled = low(inputs)["pooled_output"]
    assert "bfloat16" in str(pooled.dtype)
    _close(pooled, layer(inputs)["pooled_output"], 0.1)
    assert all(value.dtype == np.float32 for value in low.weights_by_name().values())


def _without_pooler(checkpoint: hub.Checkpoint) -> hub.Checkpoint:
    import dataclasses

    return dataclasses.replace(
        checkpoint,
        config=dataclasses.replace(checkpoint.config, pooler=False),
        weights={name: value for name, value in checkpoint.weights.items() if "pooler" not in name},
    )


def test_what_the_model_says_of_sentence_vectors_is_kept(models: Path, tmp_path: Path) -> None:
    checkpoint = read(models / "tf2_v4")
    own = Embedding(poolings=("cls",), normalize=True, max_length=20)
    layer = hub.KerasLayer(dataclasses.replace(checkpoint, embedding=own))
    assert layer.checkpoint().embedding == own
    layer.save(tmp_path / "model")
    assert read(tmp_path / "model").embedding == own
    again = hub.KerasLayer.from_config(layer.get_config())
    assert again.get_config()["embedding"] == own.to_dict()
    assert "embedding" not in hub.KerasLayer(checkpoint).get_config()


# Of two texts of four tokens: what is wrong with one of them.
WRONG: list[tuple[int, Inputs, str]] = [
    (
        0,
        {"input_ids": np.array([[1, -1, 7, 2], [1, 5, 6, 2]])},
        "the ids must be from 0 to 1125; at (0, 1) there is -1",
    ),
    (1, {"input_ids": np.array([[1, 5, 7, 2], [1, 5, 1126, 2]])}, "at (1, 2) there is 1126"),
    (1, {"input_ids": np.array([[1, 5, 7, 2], [1, 5, 2**31 - 1, 2]])}, "there is 2147483647"),
    (0, {"token_type_ids": np.array([[0, 0, 2, 0], [0, 0, 0, 0]])}, "the type_ids must be from 0 to 1; at (0, 2)"),
    (1, {"token_type_ids": np.array([[0, 0, 1, 0], [0, -1, 0, 0]])}, "the type_ids must be from 0 to 1; at (1, 1)"),
    (
        1,
        {"attention_mask": np.array([[1, 1, 1, 0], [1, 1, 2, 0]])},
        "the mask must be from 0 to 1; at (1, 2) there is 2",
    ),
]
RIGHT: Inputs = {
    "input_ids": np.array([[1, 3, 7, 2], [1, 5, 1125, 2]]),
    "attention_mask": np.ones((2, 4), np.int64),
    "token_type_ids": np.array([[0, 0, 0, 0], [0, 0, 1, 1]]),
}


@pytest.mark.parametrize(("row", "wrong", "message"), WRONG)
def test_values_that_the_model_does_not_have_are_said(
    keras: Any, layer: hub.KerasLayer, row: int, wrong: Inputs, message: str
) -> None:
    given = {**RIGHT, **wrong}
    layer(RIGHT)
    for form in (given, {name: keras.ops.convert_to_tensor(array, "int32") for name, array in given.items()}):
        with pytest.raises(InputError, match=re.escape(message)):
            layer(form)


def test_a_mask_of_fractions_and_ragged_ids_are_said(keras: Any, layer: hub.KerasLayer) -> None:
    halves = {**RIGHT, "attention_mask": np.full((2, 4), 0.5, np.float32)}
    with pytest.raises(InputError, match=re.escape("the mask must be from 0 to 1; at (0, 0) there is 0.5")):
        layer(halves)
    _close(layer({**RIGHT, "attention_mask": np.ones((2, 4), np.float32)})["pooled_output"], layer(RIGHT)["default"])
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        with pytest.raises(InputError, match=r"are a RaggedTensor; .*to_tensor"):
            layer(tf.ragged.constant([[1, 2], [3]]))


@pytest.fixture(scope="module")
def compiled(keras: Any, layer: hub.KerasLayer) -> dict[bool, Any]:
    """A model without XLA, and with; JAX has the one, and PyTorch the other."""
    ways = {"tensorflow": (False, True), "jax": (True,), "torch": (False,)}[keras.config.backend()]
    models = {}
    for way in ways:
        inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in RIGHT}
        models[way] = keras.Model(inputs, layer(inputs)["sequence_output"])
        models[way].compile(jit_compile=way)
    return models


@pytest.mark.parametrize(("row", "wrong", "message"), WRONG)
def test_in_a_model_wrong_values_are_an_error_or_nan(
    keras: Any, compiled: dict[bool, Any], layer: hub.KerasLayer, row: int, wrong: Inputs, message: str
) -> None:
    given = {name: array.astype(np.int32) for name, array in {**RIGHT, **wrong}.items()}
    for way, model in compiled.items():
        _close(model.predict(RIGHT, verbose=0), layer(RIGHT)["sequence_output"])
        if way:
            lost = np.isnan(model.predict(given, verbose=0)).all((1, 2))
            assert lost.tolist() == [row == 0, row == 1]
        elif keras.config.backend() == "tensorflow":
            import tensorflow as tf

            # Or TensorFlow's own, if the rows are taken before the assertion runs.
            with pytest.raises(tf.errors.InvalidArgumentError, match=r"must be from 0 to|indices.* is not in"):
                model.predict(given, verbose=0)
        else:
            # Keras adds what was being called.
            with pytest.raises((InputError, ValueError), match=re.escape(message)):
                model.predict(given, verbose=0)
