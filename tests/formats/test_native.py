import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import berthub as hub
from berthub.errors import CheckpointError, CorruptFileError, InputError, ModelError, UnsupportedModelError
from berthub.formats import read
from berthub.formats.native import write_native
from berthub.formats.vocabularies import ROBERTA_SPECIAL, byte_bpe_vocabulary
from berthub.head import Head
from berthub.vocabulary import Vocabulary
from support.golden import READABLE
from support.vocabularies import TEXTS, byte_bpe, sentencepiece_model, with_vocabulary


@pytest.mark.parametrize("name", READABLE)
def test_a_saved_model_is_the_same_bit_for_bit(models: Path, tmp_path: Path, name: str) -> None:
    original = hub.load(models / name, precision="float32")
    original.save(tmp_path / "model")
    ours, theirs = read(tmp_path / "model"), read(models / name)
    assert ours.config == theirs.config
    assert ours.vocabulary == theirs.vocabulary
    for key, weight in theirs.weights.items():
        assert ours.weights[key].tobytes() == np.ascontiguousarray(weight).tobytes()
    text = ["The quick brown fox."]
    saved = hub.load(tmp_path / "model", precision="float32")
    np.testing.assert_allclose(
        saved.encode(text)["pooled_output"], original.encode(text)["pooled_output"], rtol=0, atol=1e-6
    )


_STRANGE = ("a b", " ", "a\n", "\u2028", "\r", "\u00a0x ", "\U0001f600")
_VOCABULARIES = {
    "sentencepiece": sentencepiece_model(user_defined_symbols=["a\nb", " x", "\u2028"]),
    "byte_bpe": byte_bpe(),
    "byte_bpe, strange": byte_bpe_vocabulary(
        {piece: index for index, piece in enumerate([*ROBERTA_SPECIAL.values(), "a", "#", "a#", *_STRANGE])},
        ["a #", "#version: 0.2 a"],
        source="a test",
    ),
    "wordpiece, twice": Vocabulary(("[UNK]", "[CLS]", "[SEP]", "[PAD]", "a", "a", "")),
    "wordpiece, strange": Vocabulary(("[UNK]", "[CLS]", "[SEP]", "[PAD]", *_STRANGE)),
}


@pytest.mark.parametrize("name", _VOCABULARIES)
def test_every_vocabulary_is_kept(models: Path, tmp_path: Path, name: str) -> None:
    vocabulary = _VOCABULARIES[name]
    write_native(with_vocabulary(read(models / "tf2_v4"), vocabulary), tmp_path / "model")
    saved = read(tmp_path / "model").vocabulary
    assert saved == vocabulary
    assert saved.model == vocabulary.model
    if "strange" not in name:
        again = hub.Tokenizer.from_pretrained(tmp_path / "model")
        assert again(TEXTS).input_ids == hub.Tokenizer(vocabulary)(TEXTS).input_ids


def test_a_vocabulary_that_no_file_can_hold_is_an_error(models: Path, tmp_path: Path) -> None:
    vocabulary = Vocabulary(("[UNK]", "[CLS]", "[SEP]", "[PAD]", "a", "a", " b"))
    with pytest.raises(CheckpointError, match="7 pieces, of which only 6 are different"):
        write_native(with_vocabulary(read(models / "tf2_v4"), vocabulary), tmp_path / "model")


def test_without_an_algorithm_it_is_wordpiece(models: Path, tmp_path: Path) -> None:
    hub.load(models / "tf2_v4", engine="numpy").save(tmp_path / "model")
    path = tmp_path / "model" / "berthub.json"
    stored = json.loads(path.read_text())
    assert stored.pop("algorithm") == "wordpiece"
    path.write_text(json.dumps(stored))
    assert read(tmp_path / "model").vocabulary == read(models / "tf2_v4").vocabulary


def test_a_folder_in_use_is_refused(models: Path, tmp_path: Path) -> None:
    bert = hub.load(models / "tf2_v4", engine="numpy")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        bert.save(tmp_path)
    with pytest.raises(InputError, match="not an empty folder"):
        bert.save(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"format_version": 99}, UnsupportedModelError, "format version 99"),
        ({"config": None}, CorruptFileError, "objects config and special_pieces"),
        ({"special_pieces": {}}, CorruptFileError, "should name unknown"),
        ({"algorithm": "words"}, CorruptFileError, "for the algorithm 'words'; it must be one of bpe"),
        ({"algorithm": ["wordpiece"]}, CorruptFileError, r"for the algorithm \['wordpiece'\]"),
        ({"algorithm": "sentencepiece"}, ModelError, "spiece.model cannot be read"),
        ({"algorithm": "byte_bpe"}, ModelError, "merges.txt cannot be read"),
        ({"config": {"architecture": "bert"}}, CheckpointError, "vocab_size is missing; hidden_size is missing"),
        ({"config": {"architecture": "gpt"}}, CheckpointError, "architecture 'gpt'"),
    ],
)
def test_a_damaged_description_is_an_error(
    models: Path, tmp_path: Path, change: dict, error: type[Exception], message: str
) -> None:
    hub.load(models / "tf2_v4", engine="numpy").save(tmp_path / "model")
    path = tmp_path / "model" / "berthub.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(error, match=message):
        read(tmp_path / "model")


def test_the_caller_can_overrule(models: Path, tmp_path: Path) -> None:
    hub.load(models / "tf2_v4", engine="numpy").save(tmp_path / "model")
    assert read(tmp_path / "model", settings={"lower_case": False}).config.lower_case is False
    with pytest.raises(CheckpointError, match="colour is no setting"):
        read(tmp_path / "model", settings={"colour": "red"})


def _head(task: str = "classify", pooling: str | None = "mean", labels: tuple[str, ...] = ("no", "yes")) -> Head:
    draw = np.random.default_rng(0)
    kernel, bias = draw.normal(size=(32, len(labels))), draw.normal(size=len(labels))
    return Head(
        task=task,
        labels=labels,
        pooling=pooling,
        max_length=20,
        kernel=kernel.astype(np.float32),
        bias=bias.astype(np.float32),
    )


@pytest.mark.parametrize(
    "head",
    [
        _head(),
        _head("multi_label", "pooled", ("São Paulo", "日本")),
        _head("regress", "cls", ("",)),
        _head("tag", None, ("O", "B-PER", "I-PER")),
    ],
    ids=lambda head: head.task,
)
def test_a_head_is_kept(models: Path, tmp_path: Path, head: Head) -> None:
    write_native(dataclasses.replace(read(models / "tf2_v4"), head=head), tmp_path / "model")
    hub.load(tmp_path / "model", engine="numpy").save(tmp_path / "again")
    for folder in ("model", "again"):
        saved = read(tmp_path / folder)
        assert saved.head is not None
        for name in ("task", "labels", "pooling", "max_length"):
            assert getattr(saved.head, name) == getattr(head, name)
        np.testing.assert_array_equal(saved.head.kernel, head.kernel)
        np.testing.assert_array_equal(saved.head.bias, head.bias)
        assert saved.parameters == read(models / "tf2_v4").parameters


@pytest.fixture
def fine_tuned(models: Path, tmp_path: Path) -> Path:
    write_native(dataclasses.replace(read(models / "tf2_v4"), head=_head()), tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (None, CorruptFileError, "head in .* should hold task, labels, pooling, max_length; it holds None"),
        ({"colour": "red"}, CorruptFileError, "should hold task, labels, pooling, max_length"),
        ({"labels": "noyes"}, CorruptFileError, "labels of the head .* should be a list of strings"),
        ({"labels": ["no", 1]}, CorruptFileError, "labels of the head .* should be a list of strings"),
        ({"labels": ["no", "no"]}, CheckpointError, "labels must be different strings"),
        ({"labels": ["no", "yes", "so"]}, CheckpointError, r"kernel is float32 \(32, 2\), not float32 \[hidden, 3\]"),
        ({"labels": []}, CheckpointError, "0 labels do not fit the task classify"),
        ({"task": "translate"}, CheckpointError, "the task 'translate' is none of classify, multi_label"),
        ({"task": ["tag"]}, CheckpointError, r"the task \['tag'\] is none of"),
        ({"task": "regress"}, CheckpointError, "2 labels do not fit the task regress"),
        ({"pooling": None}, CheckpointError, "the pooling None does not fit the task classify"),
        ({"pooling": {}}, CheckpointError, r"the pooling \{\} does not fit"),
        ({"max_length": "20"}, CheckpointError, "max_length is '20', not a number of tokens"),
        ({"max_length": 65}, CheckpointError, "max_length is 65, and the model has 64 positions"),
    ],
)
def test_a_damaged_description_of_a_head_is_an_error(
    fine_tuned: Path, change: dict | None, error: type[Exception], message: str
) -> None:
    path = fine_tuned / "berthub.json"
    description = json.loads(path.read_text())
    description["head"] = None if change is None else description["head"] | change
    path.write_text(json.dumps(description))
    with pytest.raises(error, match=message):
        read(fine_tuned)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda w: w.pop("head/bias"), "describes a head, and model.safetensors beside it lacks head/bias"),
        (lambda w: (w.pop("head/bias"), w.pop("head/kernel")), "lacks head/kernel and head/bias"),
        (lambda w: w.update({"head/kernel": np.ones((9, 2), np.float32)}), r"kernel has shape \(9, 2\), not \(32, 2\)"),
        (lambda w: w.update({"head/kernel": np.ones(64, np.float32)}), r"the kernel is float32 \(64,\)"),
        (lambda w: w.update({"head/bias": np.ones(3, np.float32)}), r"the bias is float32 \(3,\), not float32 \[2\]"),
    ],
    ids=["no bias", "no weights", "hidden", "flat", "bias"],
)
def test_damaged_weights_of_a_head_are_an_error(
    fine_tuned: Path, damage: Callable[[dict[str, Any]], object], message: str
) -> None:
    weights = load_file(fine_tuned / "model.safetensors")
    damage(weights)
    save_file(weights, fine_tuned / "model.safetensors", {"format": "berthub"})
    with pytest.raises(CheckpointError, match=message):
        read(fine_tuned)


def test_weights_of_a_head_that_is_not_described_are_an_error(fine_tuned: Path) -> None:
    path = fine_tuned / "berthub.json"
    description = json.loads(path.read_text())
    del description["head"]
    path.write_text(json.dumps(description))
    with pytest.raises(CheckpointError, match=r"head/kernel \(32, 2\) has no place"):
        read(fine_tuned)


@pytest.mark.parametrize(
    ("described", "error", "message"),
    [
        ([1], CorruptFileError, "embedding in .*berthub.json should be an object"),
        ({"vector": "mean"}, CheckpointError, "should hold poolings, layers, .*; it holds vector, too"),
        ({"pooling": "sum"}, CheckpointError, "pooling must be one of"),
        ({"max_length": 9999}, CheckpointError, "of up to 9999 tokens, and the model has 64 positions"),
    ],
)
def test_a_damaged_description_of_sentence_vectors_is_an_error(
    models: Path, tmp_path: Path, described: Any, error: type[Exception], message: str
) -> None:
    write_native(read(models / "tf2_v4"), tmp_path / "model")
    path = tmp_path / "model" / "berthub.json"
    whole = {"pooling": None, "normalize": False, "max_length": None, "unsupported": []}
    if isinstance(described, dict) and "vector" not in described:
        described = whole | described
    path.write_text(json.dumps({**json.loads(path.read_text()), "embedding": described}))
    with pytest.raises(error, match=message):
        read(tmp_path / "model")
