"""Tokenizers that run in a pipeline of the tokenizers library: ids, truncation and decoded texts are transformers'."""

import base64
import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.engines.create import create_engine
from berthub.errors import BerthubError, CorruptFileError, UnsupportedModelError
from berthub.exports import export
from berthub.formats.charsmap import check_charsmap
from berthub.formats.huggingface.tokenizer import read_tokenization
from berthub.formats.huggingface.tokenizer_classes import model_in_protobuf
from berthub.formats.settings import Settings
from berthub.formats.vocabularies import read_vocabulary_files, write_vocabulary_files
from berthub.tokenization.decoding import decoded
from berthub.tokenization.words import word_tokens
from berthub.vocabulary import Vocabulary
from support.pipelines import KINDS, texts, write_tokenizer
from support.tiny import tiny_checkpoint
from support.transformers_models import transformers

_TEXTS = texts(60)
_PAIRS = [*zip(_TEXTS, reversed(_TEXTS), strict=True)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for kind in KINDS:
        folder = found[kind] = tmp_path_factory.mktemp(kind)
        (folder / "config.json").write_text(json.dumps({"model_type": write_tokenizer(kind, folder)}))
    return found


def _vocabulary(folder: Path) -> Vocabulary:
    model_type = json.loads((folder / "config.json").read_text())["model_type"]
    return read_tokenization(folder, Settings(), model_type=model_type)


def _tokenizer(vocabulary: Vocabulary) -> hub.Tokenizer:
    return hub.Tokenizer(vocabulary, tokenization="transformers")


def _checkpoint(vocabulary: Vocabulary, **settings: Any) -> Checkpoint:
    made = tiny_checkpoint("bert", vocab_size=len(vocabulary), **settings)
    return dataclasses.replace(made, vocabulary=vocabulary)


def _configure(folder: Path, **values: Any) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def _assert_equal(ours: hub.Tokenizer, theirs: Any) -> None:
    assert ours(_TEXTS)["input_ids"] == theirs(_TEXTS)["input_ids"]
    first, second = zip(*_PAIRS, strict=True)
    pairs, expected = ours(_PAIRS), theirs(list(first), list(second), return_token_type_ids=True)
    assert pairs["input_ids"] == expected["input_ids"]
    for side in ("right", "left"):
        theirs.truncation_side = side
        for length in (8, 9):
            found = ours.tokens(_PAIRS, max_length=length, side=side)
            rows = np.split(found.ids, found.row_splits[1:-1])
            expected = theirs(list(first), list(second), truncation=True, max_length=length)["input_ids"]
            assert [row.tolist() for row in rows] == expected
    for ids in pairs["input_ids"][::5]:
        for skip in (True, False):
            assert decoded(ids, ours, skip_special=skip) == theirs.decode(ids, skip_special_tokens=skip)


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_transformers_in_every_format(kind: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = folders[kind]
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    vocabulary = _vocabulary(folder)
    ours = _tokenizer(vocabulary)
    _assert_equal(ours, theirs)
    ids = ours(_PAIRS)["input_ids"]
    assert pickle.loads(pickle.dumps(ours))(_PAIRS)["input_ids"] == ids
    write_vocabulary_files(vocabulary, tmp_path)
    special = {role: getattr(vocabulary, role) for role in ("unknown", "classify", "separate", "pad", "mask")}
    assert read_vocabulary_files(tmp_path, vocabulary.algorithm, special) == vocabulary


@pytest.mark.parametrize("kind", ["xlm_roberta_json", "deberta_json", "mpnet_lines", "modernbert", "eurobert"])
def test_models_go_out_with_their_tokenizers(kind: str, folders: dict[str, Path], tmp_path: Path) -> None:
    vocabulary = _vocabulary(folders[kind])
    checkpoint = _checkpoint(vocabulary, tokenization="transformers", activation="gelu_erf")
    ids = _tokenizer(vocabulary)(_PAIRS)["input_ids"]
    exported = export(checkpoint, tmp_path / "huggingface", to="huggingface", encoder_only=True)
    theirs = transformers.AutoTokenizer.from_pretrained(exported)
    first, second = zip(*_PAIRS, strict=True)
    assert theirs(list(first), list(second))["input_ids"] == ids
    for folder in (exported, export(checkpoint, tmp_path / "native", to="native")):
        again = hub.Tokenizer.from_pretrained(folder)
        assert again(_PAIRS)["input_ids"] == ids
        assert again.vocabulary.framed == vocabulary.framed
    assert not {*theirs.model_input_names} & {"token_type_ids"} or vocabulary.framed.second_type == 1


def test_offsets_leave_blanks_out(folders: dict[str, Path]) -> None:
    for kind in ("xlm_roberta_json", "deberta_json", "modernbert"):
        tokens = _tokenizer(_vocabulary(folders[kind])).tokens(["the  lazy\tdog"], offsets=True)
        assert tokens.offsets is not None
        words = {"the  lazy\tdog"[begin:end] for begin, end in tokens.offsets[1:-1].tolist()}
        assert not any(word != word.strip() for word in words), kind
        assert tokens.offsets[-2, 1] == 13


def test_words_are_tokenized_as_in_a_sentence(folders: dict[str, Path]) -> None:
    words = ["the", "lazy", "dog", "token", "times"]
    for kind in ("xlm_roberta_json", "deberta_json", "modernbert", "eurobert", "mpnet_json"):
        tokenizer = _tokenizer(_vocabulary(folders[kind]))
        found = word_tokens(tokenizer, [words], max_length=64)
        assert found.tokens.ids.tolist() == tokenizer(" ".join(words))["input_ids"], kind


def test_a_mask_is_filled_as_the_pieces_are_written(folders: dict[str, Path]) -> None:
    for kind in ("xlm_roberta_json", "deberta_json", "modernbert", "mpnet_json"):
        vocabulary = _vocabulary(folders[kind])
        checkpoint = _checkpoint(vocabulary)
        encoder = hub.Encoder(checkpoint, _tokenizer(vocabulary), create_engine(checkpoint, engine="numpy"))
        (first, *_) = encoder.fill_mask(f"the {vocabulary.mask} dog", top_k=3)
        assert first.text.startswith("the"), kind
        assert first.text.endswith(" dog"), kind
        assert vocabulary.mask not in first.text, kind


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("xlm_roberta_json", {"add_prefix_space": False}),
        ("xlm_roberta_model", {"mask_token": "<unk>", "extra_special_tokens": ["fox"]}),
        ("camembert_model", {"additional_special_tokens": ["<e>"]}),
        ("deberta_model", {"do_lower_case": True, "split_by_punct": True, "add_prefix_space": False}),
        ("deberta_json", {"unk_token": "[CLS]", "unk_id": 5}),
        ("albert_json", {"keep_accents": True, "do_lower_case": False}),
        ("mpnet_lines", {"do_lower_case": False, "strip_accents": True, "mask_token": "[UNK]"}),
        ("modernbert", {"tokenizer_class": "BertTokenizer"}),
        ("whole_unigram", {"add_prefix_space": False}),
    ],
)
def test_settings_count_as_in_transformers(
    kind: str, config: dict[str, Any], folders: dict[str, Path], tmp_path: Path
) -> None:
    for path in folders[kind].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    _configure(tmp_path, **config)
    settings = Settings()
    model_type = json.loads((tmp_path / "config.json").read_text())["model_type"]
    vocabulary = read_tokenization(tmp_path, settings, model_type=model_type)
    lower_case, strips = (settings._values[name] for name in ("lower_case", "strip_accents"))
    ours = hub.Tokenizer(vocabulary, tokenization="transformers", lower_case=lower_case, strip_accents=strips)
    _assert_equal(ours, transformers.AutoTokenizer.from_pretrained(tmp_path))


def _changed(folder: Path, to: Path, part: str, value: Any) -> Path:
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    stored = json.loads((to / "tokenizer.json").read_text())
    stored[part] = {**stored[part], **value} if part == "model" else value
    (to / "tokenizer.json").write_text(json.dumps(stored))
    return to


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated"}, "pattern"),
        ("pre_tokenizer", {"type": "UnicodeScripts"}, "pre_tokenizer.type to 'UnicodeScripts'"),
        ("normalizer", {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}, "normalizer.content"),
        ("normalizer", {"type": "Sequence", "normalizers": [{"type": "NFC"}] * 40}, "40 steps in its normalizer"),
        ("model", {"dropout": 0.1}, "model.dropout to 0.1"),
        ("model", {"type": "WordLevel"}, "'WordLevel'"),
        ("post_processor", None, "no post_processor"),
        ("decoder", {"type": "CTC"}, "decoder.type to 'CTC'"),
        ("truncation", {"direction": "Left", "max_length": 8}, "truncation.direction"),
    ],
)
def test_steps_that_are_not_known_are_refused(
    part: str, value: Any, message: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        _vocabulary(_changed(folders["modernbert"], tmp_path, part, value))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("model", {"vocab": [["a", 0.0], ["b"]]}),
        ("model", {"vocab": [["a", "x"]]}),
        ("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        ("normalizer", {"type": "Precompiled", "precompiled_charsmap": 5}),
        ("normalizer", "NFC"),
        ("normalizer", {"type": "Precompiled"}),
        ("normalizer", {"type": {}}),
        ("post_processor", {"type": []}),
        ("added_tokens", [{"id": 1, "content": 5}]),
    ],
)
def test_damaged_files_are_an_error(part: str, value: Any, folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(BerthubError):
        _tokenizer(_vocabulary(_changed(folders["whole_unigram"], tmp_path, part, value)))


def test_character_maps_that_lead_out_of_themselves_are_refused(folders: dict[str, Path]) -> None:
    model = (folders["xlm_roberta_model"] / "sentencepiece.bpe.model").read_bytes()
    charsmap = model_in_protobuf(model, source="a test").charsmap
    assert charsmap is not None
    data = base64.b64decode(charsmap)
    check_charsmap(data, source="a test")
    draw = np.random.default_rng(0)
    refused = 0
    for _ in range(40):
        damaged = bytearray(data)
        for place in draw.integers(0, 4096, 30):
            damaged[place] = draw.integers(256)
        try:
            check_charsmap(bytes(damaged), source="a test")
        except CorruptFileError:
            refused += 1
    assert refused > 30
    with pytest.raises(CorruptFileError, match="no such map"):
        check_charsmap(b"\xff\xff\xff\x7f" + data[4:], source="a test")
