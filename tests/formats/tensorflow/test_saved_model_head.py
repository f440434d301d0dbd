"""What `model.save` wrote of a fine-tuned Keras 2 model with a hub layer inside: its encoder, its head, its labels."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.containers.tensorbundle import TensorBundle
from berthub.formats import read
from berthub.formats.tensorflow.saved_model_head import DenseHead
from berthub.formats.tensorflow.saved_model_objects import Variable
from support.bundles import write_bundle
from support.saved_models import edit_metadata

TOLERANCE = 1e-5
_NAME = "keras2_classifier"


@pytest.fixture
def edited(models: Path, tmp_path: Path) -> Callable[[str, str], Checkpoint]:
    """Reads the model with a passage of its metadata replaced."""

    def make(old: str, new: str) -> Checkpoint:
        folder = Path(shutil.copytree(models / _NAME, tmp_path / _NAME))
        passages: list[int] = []

        def edit(text: str) -> str:
            passages.append(text.count(old))
            return text.replace(old, new)

        edit_metadata(folder, edit)
        assert sum(passages), "the passage is not there"
        return read(folder)

    return make


def test_a_fine_tuned_model_predicts_as_it_did(models: Path) -> None:
    folder = models / _NAME
    bert = hub.load(folder, engine="numpy")
    texts = json.loads((folder / "golden.json").read_text())["texts"]
    with np.load(folder / "golden.npz") as arrays:
        golden = dict(arrays)
    out = bert.encode(texts)
    length = out.input_ids.shape[1]
    np.testing.assert_array_equal(out.input_ids, golden["input_word_ids"][:, :length])
    np.testing.assert_allclose(out["pooled_output"], golden["pooled_output"], rtol=0, atol=TOLERANCE)
    inside = out.attention_mask.astype(bool)
    expected = golden["sequence_output"][:, :length][inside]
    np.testing.assert_allclose(out["sequence_output"][inside], expected, rtol=0, atol=TOLERANCE)
    # The model's one output is a logit.
    probabilities = 1 / (1 + np.exp(-golden["logits"][:, 0]))
    np.testing.assert_allclose(bert.predict_proba(texts)[:, 1], probabilities, rtol=0, atol=TOLERANCE)
    assert bert.predict(texts) == ["1" if probability > 0.5 else "0" for probability in probabilities]


def test_the_head_and_what_is_left(models: Path) -> None:
    checkpoint = read(models / _NAME)
    head = checkpoint.head
    assert head is not None
    assert (head.task, head.labels, head.pooling, head.max_length) == ("classify", ("0", "1"), "pooled", 32)
    assert not head.kernel[:, 0].any()
    assert not any("classifier" in name for name in checkpoint.origin.unused)
    assert checkpoint.origin.settings["activation"] == "the operations and constants of the graph"


def test_another_activation_of_the_output(edited: Callable[[str, str], Checkpoint]) -> None:
    checkpoint = edited('"activation": "linear"', '"activation": "sigmoid"')
    assert checkpoint.head is not None
    assert checkpoint.head.task == "classify"


@pytest.mark.parametrize(
    ("loss", "task"),
    [
        ('"mse"', "regress"),
        ('{"class_name": "MeanSquaredError", "config": {}}', "regress"),
        ('{"class_name": "BinaryCrossentropy", "config": {"from_logits": true}}', "classify"),
        ("null", "classify"),
    ],
)
def test_the_loss_tells_a_regression(edited: Callable[[str, str], Checkpoint], loss: str, task: str) -> None:
    told = '"backend": "tensorflow"'
    head = edited(told, f'{told}, "training_config": {{"loss": {loss}}}').head
    assert head is not None
    assert (head.task, head.kernel.shape[1]) == (task, 2 if task == "classify" else 1)


def test_the_alias_of_pooled_output(edited: Callable[[str, str], Checkpoint]) -> None:
    assert edited('["BERT_encoder", 0, 3, {}]', '["BERT_encoder", 0, 0, {}]').head is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('["BERT_encoder", 0, 3, {}]', '["BERT_encoder", 0, 4, {}]'),  # sequence_output
        ('["BERT_encoder", 0, 3, {}]', '["BERT_encoder", 0, 1, {}]'),  # a layer
        ('["BERT_encoder", 0, 3, {}]', '["BERT_encoder", 0, 99, {}]'),
        ('["BERT_encoder", 0, 3, {}]', '["classifier", 0, 0, {}]'),  # a circle
        ('["BERT_encoder", 0, 3, {}]', '["preprocessing", 0, 0, {}]'),
        ('"activation": "linear"', '"activation": "relu"'),
        ('"class_name": "Dropout"', '"class_name": "Lambda"'),
        ('"output_layers": [["classifier", 0, 0]]', '"output_layers": [["classifier", 0, 0], ["dropout", 0, 0]]'),
        ('"class_name": "Functional", "config"', '"class_name": "Sequel", "config"'),
    ],
)
def test_any_other_head_is_left_aside(edited: Callable[[str, str], Checkpoint], old: str, new: str) -> None:
    checkpoint = edited(old, new)
    assert checkpoint.head is None
    assert {"classifier/kernel", "classifier/bias"} <= set(checkpoint.origin.unused)
    assert set(checkpoint.origin.unread_head) == {"classifier/kernel", "classifier/bias"}
    assert len(checkpoint.weights) == 39


def test_without_metadata_the_encoder_is_read(models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models / _NAME, tmp_path / _NAME))
    (folder / "keras_metadata.pb").unlink()
    expected = read(models / _NAME)
    checkpoint = read(folder)
    assert checkpoint.config == expected.config
    assert checkpoint.head is None
    assert "classifier/kernel" in checkpoint.origin.unused


@pytest.mark.parametrize(
    ("outputs", "activation", "loss", "task"),
    [
        (1, "linear", "", "classify"),
        (1, "linear", "mse", "regress"),
        (1, "softmax", "", None),
        (3, "softmax", "", "classify"),
        (3, "linear", "sparsecategoricalcrossentropy", "classify"),
        (3, "linear", "", "classify"),
        (3, "sigmoid", "", "multi_label"),
        (3, "linear", "binarycrossentropy", "multi_label"),
        (3, "linear", "meansquarederror", None),
    ],
)
def test_the_task_of_the_outputs(
    models: Path, tmp_path: Path, outputs: int, activation: str, loss: str, task: str | None
) -> None:
    config = read(models / "tf2_v4").config
    kernel = np.arange(32 * outputs, dtype=np.float32).reshape(32, outputs)
    write_bundle(tmp_path / "variables", {"kernel": kernel})
    values: dict[str, Any] = {"activation": activation, "loss": loss, "length": 1000, "bias": None}
    head = DenseHead(kernel=Variable("dense/kernel", "kernel"), **values).read(
        TensorBundle(tmp_path / "variables"), config
    )
    assert (None if head is None else head.task) == task
    if head is not None:
        assert head.max_length == 64
        assert not head.bias.any()
        np.testing.assert_array_equal(head.kernel[:, -outputs:], kernel)
