"""Public objects are pickled, copied and shown."""

import copy
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.brief import brief
from berthub.encoding.prediction import Logits
from berthub.formats.native import write_native
from berthub.head import Head

TEXTS = ["hello world", ("a pair", "of two")]
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def _again(thing: Any, protocol: int = pickle.HIGHEST_PROTOCOL) -> Any:
    return pickle.loads(pickle.dumps(thing, protocol))


@pytest.fixture(scope="module")
def encoder(models: Path) -> hub.Encoder:
    return hub.load(models / "hf_bert", max_length=40)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_encoder_is_pickled_by_its_folder(protocol: int, encoder: hub.Encoder) -> None:
    data = pickle.dumps(encoder, protocol)
    again = pickle.loads(data)
    np.testing.assert_array_equal(again.embed(TEXTS), encoder.embed(TEXTS))
    assert (again.max_length, again.precision, again.config) == (40, encoder.precision, encoder.config)
    assert len(data) < 0.2 * sum(weight.nbytes for weight in encoder.checkpoint.weights.values())
    # And once more.
    np.testing.assert_array_equal(_again(again).embed(TEXTS), encoder.embed(TEXTS))


def test_an_encoder_keeps_its_options(models: Path) -> None:
    encoder = hub.load(models / "hf_bert", tokenization="tf_text", engine="numpy", settings={"lower_case": False})
    again = _again(encoder)
    assert again.config == encoder.config
    assert again.tokenizer.tokenization == "tf_text"
    assert not again.tokenizer.lower_case
    assert repr(again) == repr(encoder)
    assert _again(hub.load(models / "hf_bert", threads=1))._engine.threads == 1


def test_a_model_that_changed_is_noticed(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(models / "hf_bert", folder)
    data = pickle.dumps(hub.load(folder))
    pickle.loads(data)
    changed = hub.load(folder).checkpoint
    weights = {name: weight.copy() for name, weight in changed.weights.items()}
    for weight in weights.values():
        weight += np.float32(0.001)
    other = hub.Checkpoint(config=changed.config, weights=weights, vocabulary=changed.vocabulary, origin=changed.origin)
    shutil.rmtree(folder)
    with pytest.raises(hub.BerthubError, match="no such folder"):
        pickle.loads(data)
    write_native(other, folder)
    with pytest.raises(hub.BerthubError, match="is not the one"):
        pickle.loads(data)


def test_an_encoder_of_no_folder_is_pickled_with_its_weights(encoder: hub.Encoder) -> None:
    made = hub.Encoder(_again(encoder.checkpoint), encoder.tokenizer, encoder._engine)
    np.testing.assert_array_equal(_again(made).embed(TEXTS), encoder.embed(TEXTS))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_of_an_encoder_share_its_weights(copied: Any, encoder: hub.Encoder) -> None:
    other = copied(encoder)
    assert other is not encoder
    assert other.checkpoint is encoder.checkpoint
    np.testing.assert_array_equal(other.embed(TEXTS), encoder.embed(TEXTS))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ["hf_bert", "albert_v3", "keras_hub_roberta"])
def test_checkpoints_tokenizers_and_encodings_are_pickled(name: str, protocol: int, models: Path) -> None:
    encoder = hub.load(models / name, engine="numpy")
    checkpoint, tokenizer = _again(encoder.checkpoint, protocol), _again(encoder.tokenizer, protocol)
    assert (checkpoint.config, checkpoint.vocabulary) == (encoder.config, encoder.vocabulary)
    for key, weight in encoder.checkpoint.weights.items():
        np.testing.assert_array_equal(checkpoint.weights[key], weight)
    texts = ["hello world", "Ça và?"]
    np.testing.assert_array_equal(tokenizer.tokens(texts).ids, encoder.tokenizer.tokens(texts).ids)
    encodings = encoder.encode(texts, layers="all")
    again = _again(encodings, protocol)
    assert [*again] == [*encodings]
    np.testing.assert_array_equal(again["sequence_output"], encodings["sequence_output"])
    np.testing.assert_array_equal(again["encoder_outputs"][0], encodings["encoder_outputs"][0])
    np.testing.assert_array_equal(again.offsets[0], encodings.offsets[0])


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, _again])
def test_preprocessors_and_errors_are_copied(copied: Any, models: Path) -> None:
    preprocessor = hub.Preprocessor(models / "preprocess", seq_length=16)
    expected = preprocessor(["hello world"])
    for key, values in copied(preprocessor)(["hello world"]).items():
        np.testing.assert_array_equal(values, expected[key])
    tokenized = copied(preprocessor.tokenizer(["hello world"]))
    assert tokenized.input_ids == tokenized["input_ids"]
    assert str(copied(hub.BerthubError("plain"))) == "plain"


def test_what_is_shown_is_one_short_line(encoder: hub.Encoder, models: Path) -> None:
    head = Head(
        task="classify",
        labels=tuple(map(str, range(2000))),
        pooling="mean",
        max_length=8,
        kernel=np.zeros((64, 2000), np.float32),
        bias=np.zeros(2000, np.float32),
    )
    encodings = encoder.encode(["hello"] * 3, layers="all")
    shown = [
        encoder,
        encoder.checkpoint,
        encoder.tokenizer,
        encoder.vocabulary,
        encodings,
        encodings["encoder_outputs"],
        encodings.ragged_tokens,
        head,
        Logits(head, np.zeros((3, 2000), np.float32), np.zeros(3, np.bool_)),
        hub.Preprocessor(models / "preprocess"),
    ]
    for thing in shown:
        assert len(repr(thing)) < 500, type(thing)
        assert "\n" not in repr(thing)
        assert "0x" not in repr(thing)
    assert "max_length 40" in repr(encoder)
    assert brief(np.zeros((2, 3), np.float32)) == "float32[2, 3]"
