import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import berthub as hub
from berthub.errors import CheckpointError, InputError
from berthub.formats.vocabularies import ROBERTA_SPECIAL, byte_bpe_vocabulary
from berthub.tokenization.words import word_tokens
from support.vocabularies import TEXTS, byte_bpe

_ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=40)


@pytest.fixture(scope="module")
def tokenizer() -> hub.Tokenizer:
    return hub.Tokenizer(byte_bpe(), max_length=64)


@pytest.fixture(scope="module")
def original(tokenizer: hub.Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    transformers = pytest.importorskip("transformers")
    folder: Path = tmp_path_factory.mktemp("roberta")
    (folder / "vocab.json").write_text(json.dumps(tokenizer.vocabulary.ids), encoding="utf-8")
    (folder / "merges.txt").write_bytes(b"#version: 0.2\n" + tokenizer.vocabulary.model + b"\n")
    return transformers.RobertaTokenizerFast.from_pretrained(folder)


def test_equals_transformers_for_texts_and_pairs(tokenizer: hub.Tokenizer, original: Any) -> None:
    for texts, pairs in ((TEXTS, None), (TEXTS, TEXTS[::-1]), (["", " a  b\n", "São 日本 👍🏽"], ["x", "", " "])):
        ours = tokenizer(texts, pairs, return_offsets_mapping=True)
        theirs = original(texts, pairs, return_offsets_mapping=True)
        assert ours.input_ids == theirs["input_ids"]
        assert ours.attention_mask == theirs["attention_mask"]
        assert ours.offset_mapping == theirs["offset_mapping"]
        assert not any(any(row) for row in ours.token_type_ids)
    cut = {"truncation": True, "padding": "max_length", "max_length": 12, "return_tensors": "np"}
    np.testing.assert_array_equal(
        tokenizer(TEXTS, TEXTS[::-1], **cut).attention_mask, original(TEXTS, TEXTS[::-1], **cut)["attention_mask"]
    )
    np.testing.assert_array_equal(tokenizer(TEXTS, **cut).input_ids, original(TEXTS, **cut)["input_ids"])


@settings(deadline=None)
@given(text=_ANY_TEXT)
def test_equals_transformers_for_any_text(tokenizer: hub.Tokenizer, original: Any, text: str) -> None:
    segments = tokenizer.segments([text], offsets=True)
    theirs = original(text, add_special_tokens=False, return_offsets_mapping=True)
    assert segments.offsets is not None
    assert segments.ids.tolist() == theirs["input_ids"] == tokenizer.segments([text]).ids.tolist()
    assert segments.offsets.tolist() == [list(pair) for pair in theirs["offset_mapping"]]


def test_texts_are_taken_as_they_are(tokenizer: hub.Tokenizer) -> None:
    assert tokenizer.tokenize("The") != tokenizer.tokenize("the")
    assert tokenizer.tokenize(" the") == ["Ġthe"]
    ids = tokenizer.segments(["<s> a </s> <mask>"]).ids.tolist()
    assert not {tokenizer.vocabulary.ids[piece] for piece in ("<s>", "</s>", "<mask>")} & set(ids)
    np.testing.assert_array_equal(tokenizer.segments(["a\ud800b"]).ids, tokenizer.segments(["a\ufffdb"]).ids)


def test_pairs_have_two_separators_between(tokenizer: hub.Tokenizer) -> None:
    encoded = tokenizer("The", "The", max_length=6, truncation=True)
    assert [tokenizer.convert_ids_to_tokens(encoded.input_ids)[place] for place in (0, 2, 3, 5)] == [
        "<s>",
        "</s>",
        "</s>",
        "</s>",
    ]
    with pytest.raises(InputError, match="max_length must be from 4 to 64"):
        tokenizer("The", "The", max_length=3, truncation=True)


def test_words_for_tagging_have_their_blanks(tokenizer: hub.Tokenizer) -> None:
    words = word_tokens(tokenizer, [["the", "the"], ["the"]], max_length=16)
    pieces = tokenizer.convert_ids_to_tokens(words.tokens.ids)
    alone = tokenizer.tokenize("the")
    assert pieces == ["<s>", *tokenizer.tokenize("the the"), "</s>", "<s>", *alone, "</s>"]
    assert [pieces[place] for place in words.first_pieces] == [alone[0], "Ġthe", alone[0]]


def test_bytes_that_the_vocabulary_lacks_are_unknown() -> None:
    ids = {piece: index for index, piece in enumerate([*ROBERTA_SPECIAL.values(), "a", "b", "ab"])}
    tokenizer = hub.Tokenizer(byte_bpe_vocabulary(ids, ["a b"], source="a test"))
    assert tokenizer.tokenize("abca") == ["ab", "<unk>", "a"]


@pytest.mark.parametrize(("merges", "message"), [(["a"], "two pieces with a blank"), (["a z"], "merges do not fit")])
def test_damaged_merges_are_an_error(merges: list[str], message: str) -> None:
    ids = {piece: index for index, piece in enumerate([*ROBERTA_SPECIAL.values(), "a", "b", "ab"])}
    with pytest.raises(CheckpointError, match=message):
        hub.Tokenizer(byte_bpe_vocabulary(ids, merges, source="a test"))
