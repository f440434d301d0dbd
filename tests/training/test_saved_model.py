"""TensorFlow calls and trains what is written for each architecture, under TF Hub's names."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berthub.embedding import Embedding
from berthub.formats import read
from berthub.training.saved_model import export_saved_model
from berthub.training.saved_model_names import by_head, foreign_names
from support.exports import assert_same, random_head, reference
from support.tiny import tiny_checkpoint, tiny_inputs

_MODELS: list[tuple[str, dict[str, Any]]] = [
    ("bert", {"embedding_size": None, "num_layers": 1}),
    ("bert", {"num_layers": 1, "pooler": False, "mlm": False, "activation": "gelu_erf"}),
    ("albert", {"num_groups": 2, "inner_layers": 1, "num_layers": 2, "mlm": False}),
    ("albert", {"num_groups": 1, "inner_layers": 1, "num_layers": 2}),
    ("mobilebert", {"num_layers": 1, "pooler": True}),
    ("talking_heads", {"num_layers": 2, "mlm": False}),
    ("distilbert", {"num_layers": 1}),
    ("roberta", {"num_layers": 1, "mlm": False}),
    ("mpnet", {"num_layers": 1, "mlm": False}),
    ("deberta_v2", {"num_layers": 1, "mlm": False}),
]


@pytest.mark.parametrize(("architecture", "settings"), _MODELS)
def test_tensorflow_calls_and_trains_it(tmp_path: Path, architecture: str, settings: dict[str, Any]) -> None:
    tf = pytest.importorskip("tensorflow")
    checkpoint = tiny_checkpoint(architecture, **settings)
    export_saved_model(checkpoint, tmp_path / "out")
    model = tf.saved_model.load(str(tmp_path / "out"))
    inputs = {name: tf.constant(value) for name, value in tiny_inputs(checkpoint).items()}
    expected = reference(checkpoint, inputs)
    positions = inputs.pop("masked_lm_positions", None)
    calls = [(model, inputs, {*expected} - {"mlm_logits"})]
    if positions is not None:
        calls.append((model.mlm, {**inputs, "masked_lm_positions": positions}, {*expected}))
    for call, given, names in calls:
        with tf.GradientTape() as tape:
            found = call(given)
            loss = sum(tf.reduce_sum(tf.square(output)) for output in tf.nest.flatten(found))
        gradients = tape.gradient(loss, call.trainable_variables)
        assert [
            v.name for v, gradient in zip(call.trainable_variables, gradients, strict=True) if gradient is None
        ] == []
        assert {*found} == names
        for name in names:
            np.testing.assert_allclose(np.array(found[name]), np.array(expected[name]), rtol=0, atol=1e-5, err_msg=name)
    count = len([name for name in checkpoint.weights if not name.startswith("cls/")])
    assert len(model.variables) == len(model.trainable_variables) == count
    assert hasattr(model, "mlm") == checkpoint.config.mlm
    if checkpoint.config.mlm:
        assert len(model.mlm.variables) == len(checkpoint.weights)
    assert model.do_lower_case.numpy() == checkpoint.config.lower_case
    assert_same(read(tmp_path / "out"), checkpoint)


def test_the_vocabulary_of_sentencepiece_is_an_asset_and_a_head_has_no_place(models: Path, tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    checkpoint = read(models / "albert_v3")
    checkpoint = dataclasses.replace(checkpoint, embedding=Embedding(poolings=("cls",), normalize=True, max_length=20))
    export_saved_model(dataclasses.replace(checkpoint, head=random_head(checkpoint)), tmp_path / "out")
    asset = tf.saved_model.load(str(tmp_path / "out")).sp_model_file.asset_path.numpy()
    assert Path(asset.decode()).read_bytes() == checkpoint.vocabulary.model
    again = read(tmp_path / "out")
    assert_same(again, checkpoint)
    assert again.head is None
    assert "head" not in json.loads((tmp_path / "out" / "assets.extra" / "berthub.json").read_text())


@pytest.mark.parametrize("name", ["tf2_v4_mlm", "albert_v3", "electra", "mobilebert", "talking_heads"])
def test_the_names_and_shapes_are_those_of_tensorflow_hub(models: Path, name: str) -> None:
    tf = pytest.importorskip("tensorflow")
    original = tf.saved_model.load(str(models / name))
    variables = (original.mlm if name.endswith("mlm") else original).trainable_variables
    checkpoint = read(models / name)
    assert {variable.name.removesuffix(":0"): tuple(variable.shape) for variable in variables} == {
        foreign: by_head(canonical, checkpoint.weights[canonical], checkpoint.config).shape
        for canonical, foreign in foreign_names(checkpoint.config).items()
    }
