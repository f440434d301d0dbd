"""The tokenizer files of Hugging Face folders: the ids are transformers', or the folder is refused by name."""

import dataclasses
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from berthub.errors import BerthubError, InferredSettingWarning, UnsupportedModelError
from berthub.exports import export
from berthub.formats import read
from berthub.tokenization.alignment import byte_offsets
from berthub.tokenization.tokenizer import Tokenizer
from support.tokenizer_files import added_token, write_tokenizer_json
from support.transformers_models import transformers

_ROWS = 1126
_TEXTS = [
    "[E1] the Caf\u00e9 was [MASK] open[SEP]",
    "The cat [e1] SAT.<x>dog",
    "Stra\u00dfe \u03a3\u0391\u03a3 \uff21\uff22 \u4f60\u597d \u00ad\u200bna\u00efve",
    "a" * 120,
    "[CLS] the  newtok newtoken 's don't",
    "",
    " [MASK]  .",
    "\u0130stanbul  the\x00fox [unused1] [PAD]the",
]
_MASK = {"__type": "AddedToken", **added_token("[MASK]", lstrip=True)}
_FLAGS = st.fixed_dictionaries({name: st.booleans() for name in ("single_word", "lstrip", "rstrip", "normalized")})
_CONFIG = st.fixed_dictionaries(
    {},
    optional={
        "do_lower_case": st.booleans(),
        "strip_accents": st.sampled_from([None, True, False]),
        "tokenize_chinese_chars": st.booleans(),
        "tokenizer_class": st.sampled_from(
            ["BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast", "ElectraTokenizer", "TokenizersBackend"]
        ),
        "mask_token": st.sampled_from(["[MASK]", _MASK, None]),
        "additional_special_tokens": st.sampled_from([["[E1]"], ["the"], ["[E1]", "<x>"]]),
        "extra_special_tokens": st.sampled_from([["<x>"], {"e_token": "[E1]"}]),
        "model_specific_special_tokens": st.just({"e_token": "[E1]"}),
        "truncation_side": st.sampled_from(["right", "left"]),
    },
)
_NORMALIZER = st.fixed_dictionaries(
    {
        "type": st.just("BertNormalizer"),
        "clean_text": st.just(True),
        "handle_chinese_chars": st.booleans(),
        "strip_accents": st.sampled_from([None, True, False]),
        "lowercase": st.booleans(),
    }
)


@pytest.fixture(scope="module")
def model(models: Path) -> Path:
    return models / "hf_bert"


def _folder(model: Path, folder: Path, *, appended: int = 3) -> tuple[Path, list[str]]:
    """A copy of the model whose vocabulary has fewer pieces than the table has rows."""
    shutil.copytree(model, folder)
    pieces = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")[: _ROWS - appended]
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    (folder / "tokenizer_config.json").unlink()
    return folder, pieces


def _configure(folder: Path, **values: Any) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps(values))


def _assert_equal_ids(folder: Path) -> None:
    ours, theirs = Tokenizer.from_checkpoint(read(folder)), transformers.AutoTokenizer.from_pretrained(folder)
    for text in _TEXTS:
        assert ours(text)["input_ids"] == theirs(text)["input_ids"], text
    found, expected = ours(_TEXTS, _TEXTS[::-1]), theirs(_TEXTS, _TEXTS[::-1])
    assert found["input_ids"] == expected["input_ids"]
    # Some of its classes leave them out.
    assert found["token_type_ids"] == expected.get("token_type_ids", found["token_type_ids"])


@settings(max_examples=25, deadline=None)
@given(
    config=_CONFIG,
    decoder=st.none() | st.tuples(_FLAGS, _FLAGS),
    legacy=st.sampled_from([None, {"[E1]": _ROWS - 3}]),
    roles=st.none() | st.sampled_from([{"mask_token": added_token("[MASK]", lstrip=True)}, {"mask_token": "[MASK]"}]),
    fast=st.none() | st.tuples(_NORMALIZER, _FLAGS),
)
def test_whatever_the_files_set_the_ids_are_those_of_transformers(
    model: Path, config: dict[str, Any], decoder: Any, legacy: Any, roles: Any, fast: Any
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder, pieces = _folder(model, Path(scratch) / "model")
        first = str(_ROWS - 3)
        if decoder is not None:
            the, new = decoder
            config = {
                **config,
                "added_tokens_decoder": {
                    str(pieces.index("the")): added_token("the", **the),
                    first: added_token("[E1]", **new),
                },
            }
        _configure(folder, **config)
        if legacy is not None:
            (folder / "added_tokens.json").write_text(json.dumps(legacy))
        if roles is not None:
            (folder / "special_tokens_map.json").write_text(json.dumps(roles))
        if fast is not None:
            normalizer, flags = fast
            added = {"id": _ROWS - 3, **added_token("[E1]", **flags)}
            write_tokenizer_json(folder, pieces, normalizer=normalizer)
            stored = json.loads((folder / "tokenizer.json").read_text())
            stored["added_tokens"].append(added)
            (folder / "tokenizer.json").write_text(json.dumps(stored))
        try:
            read(folder)
            transformers.AutoTokenizer.from_pretrained(folder)
        except (BerthubError, ValueError, TypeError):
            # Refused, or nothing that transformers loads.
            return
        _assert_equal_ids(folder)


def test_added_tokens_are_found_before_words_are_and_go_out_again(model: Path, tmp_path: Path) -> None:
    folder, _ = _folder(model, tmp_path / "model")
    _configure(folder, additional_special_tokens=["[E1]"])
    _assert_equal_ids(folder)
    checkpoint = read(folder)
    assert checkpoint.config.tokenization == "transformers"
    tokenizer = Tokenizer.from_checkpoint(checkpoint)
    assert tokenizer.tokenize("The [E1] cat")[1] == "[E1]"
    for form in ("native", "huggingface"):
        again = read(export(checkpoint, tmp_path / form, to=form))
        assert {*again.vocabulary.added} == {*checkpoint.vocabulary.added}
        assert dataclasses.replace(again.vocabulary, added=checkpoint.vocabulary.added) == checkpoint.vocabulary
        assert Tokenizer.from_checkpoint(again)(_TEXTS)["input_ids"] == tokenizer(_TEXTS)["input_ids"]
    _assert_equal_ids(tmp_path / "huggingface")
    with pytest.raises(UnsupportedModelError, match=r"added tokens \[E1\]"):
        export(checkpoint, tmp_path / "google", to="google")


def test_separators_in_texts_do_not_confuse_pairs(model: Path, tmp_path: Path) -> None:
    folder, _ = _folder(model, tmp_path / "model")
    tokenizer = Tokenizer.from_checkpoint(read(folder))
    pair = ("a [SEP] the", "the [SEP]")
    tokens = tokenizer.tokens([pair], offsets=True)
    separate = tokenizer.vocabulary.ids["[SEP]"]
    places = byte_offsets(tokens, [pair], separate=separate).tolist()
    assert [(pair[kind][begin:end]) for kind, (begin, end) in zip(tokens.type_ids.tolist(), places, strict=True)] == [
        "", "a", "[SEP]", "the", "", "the", "[SEP]", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]}}, "normalizer.type to 'NFC'"),
        ({"normalizer": None}, "has no normalizer"),
        ({"pre_tokenizer": {"type": "WhitespaceSplit"}}, "pre_tokenizer.type to 'WhitespaceSplit'"),
        ({"model": {"continuing_subword_prefix": "@@"}}, "continuing_subword_prefix to '@@'"),
        ({"model": {"max_input_chars_per_word": 20}}, "max_input_chars_per_word to 20; what is supported: 100"),
        ({"model": {"unk_token": "[PAD]"}}, r"model.unk_token to '\[PAD\]'"),
        ({"post_processor": None}, "has no post_processor"),
        (
            {"post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 1], "cls": ["[CLS]", 2]}},
            "post_processor.cls",
        ),
        ({"truncation": {"direction": "Left", "max_length": 8}}, "truncation.direction to 'Left'"),
        ({"chunker": {}}, "has chunker, which is not known"),
    ],
)
def test_steps_that_would_change_ids_are_refused(
    model: Path, tmp_path: Path, parts: dict[str, Any], message: str
) -> None:
    folder, pieces = _folder(model, tmp_path / "model")
    _configure(folder)
    write_tokenizer_json(folder, pieces, **parts)
    with pytest.raises(UnsupportedModelError, match=message):
        read(folder)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("truncation_side", "left"),
        ("padding_side", "left"),
        ("never_split", ["x"]),
        ("do_basic_tokenize", False),
        ("clean_text", False),
        ("split_special_tokens", True),
        ("init_inputs", ["vocab.txt"]),
        ("fast_tokenizer_files", ["tokenizer.4.0.0.json"]),
        ("sp_model_kwargs", {"enable_sampling": True}),
        ("add_bos_token", False),
        ("auto_map", {"AutoTokenizer": ["tokenization.Mine", None]}),
        ("tokenizer_class", "BertJapaneseTokenizer"),
    ],
)
def test_settings_that_would_change_ids_are_refused(model: Path, tmp_path: Path, setting: str, value: Any) -> None:
    folder, _ = _folder(model, tmp_path / "model")
    _configure(folder, **{setting: value})
    with pytest.raises(UnsupportedModelError, match=setting):
        read(folder)


def test_vocabularies_that_differ_are_refused(model: Path, tmp_path: Path) -> None:
    folder, pieces = _folder(model, tmp_path / "model")
    write_tokenizer_json(folder, [*pieces[:-1], "new"])
    with pytest.raises(BerthubError, match="hold different vocabularies: they differ in 2 pieces"):
        read(folder)


def test_an_added_token_with_another_id_than_transformers_gives_is_refused(model: Path, tmp_path: Path) -> None:
    folder, _ = _folder(model, tmp_path / "model")
    _configure(folder, added_tokens_decoder={str(_ROWS - 1): added_token("[E1]")})
    with pytest.raises(UnsupportedModelError, match=r"gives the added token '\[E1\]' the id 1125"):
        read(folder)


def test_a_cased_vocabulary_that_transformers_would_lower_case_is_reported(model: Path, tmp_path: Path) -> None:
    folder, pieces = _folder(model, tmp_path / "model")
    cased = [piece.capitalize() if index % 2 and piece.isalpha() else piece for index, piece in enumerate(pieces)]
    (folder / "vocab.txt").write_text("\n".join(cased), encoding="utf-8")
    with pytest.warns(InferredSettingWarning, match="lower-cased, as in transformers"):
        assert read(folder).config.lower_case
    assert not read(folder, settings={"lower_case": False}).config.lower_case
