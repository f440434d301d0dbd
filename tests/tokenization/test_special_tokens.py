from pathlib import Path

import numpy as np
import pytest
from tests.support.needs import needs

import berthub as hub
from berthub.errors import InputError

_VOCABULARY = Path(__file__).parent.parent / "data" / "models" / "tf2_v4" / "assets" / "vocab.txt"


@pytest.fixture(scope="module")
def tokenizer() -> hub.Tokenizer:
    return hub.Tokenizer(_VOCABULARY, max_length=64)


@needs("transformers")
def test_rows_from_ids_are_those_of_transformers(tokenizer: hub.Tokenizer) -> None:
    from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

    theirs = BertTokenizerLegacy(str(_VOCABULARY))
    for pair in ([20, 21], None):
        for name in ("build_inputs_with_special_tokens", "create_token_type_ids_from_sequences"):
            assert getattr(tokenizer, name)([30], pair) == getattr(theirs, name)([30], pair)
        assert tokenizer.get_special_tokens_mask([30], pair) == theirs.get_special_tokens_mask([30], pair)
    row = tokenizer.build_inputs_with_special_tokens([30], [20])
    expected = theirs.get_special_tokens_mask(row, already_has_special_tokens=True)
    assert tokenizer.get_special_tokens_mask(row, already_has_special_tokens=True) == expected
    for name in ("special_tokens_map", "all_special_tokens", "vocab_size", "mask_token_id"):
        assert getattr(tokenizer, name) == getattr(theirs, name), name


def test_roberta_s_frame(models: Path) -> None:
    tokenizer = hub.Tokenizer.from_pretrained(models / "keras_hub_roberta")
    found = tokenizer("the", "the", return_special_tokens_mask=True)
    first = tokenizer("the", add_special_tokens=False).input_ids
    assert tokenizer.build_inputs_with_special_tokens(first, first) == found.input_ids
    assert tokenizer.create_token_type_ids_from_sequences(first, first) == found.token_type_ids
    assert tokenizer.get_special_tokens_mask(first, first) == found.special_tokens_mask
    assert tokenizer.num_special_tokens_to_add(pair=True) == 4


def test_lengths(tokenizer: hub.Tokenizer) -> None:
    own = hub.Tokenizer(_VOCABULARY, max_length=64)
    own.model_max_length = 32
    assert (own.max_length, own.max_len_single_sentence, own.max_len_sentences_pair) == (32, 30, 29)
    with pytest.raises(InputError, match="max_length must be from 2 to 64"):
        own.model_max_length = 100
    assert own
    assert own.vocab == own.get_vocab()
    assert len(own) == own.vocab_size == len(own.vocab)


def test_ids_of_all_kinds(tokenizer: hub.Tokenizer) -> None:
    row = tokenizer("The fox, it's [CLS]!").input_ids
    expected = tokenizer.decode(row)
    assert expected.startswith("[CLS] the fox, it")
    assert tokenizer.decode(np.array(row)) == expected
    assert tokenizer.decode([row, row[:3]]) == [expected, tokenizer.decode(row[:3])]
    assert tokenizer.decode(np.array([row])) == tokenizer.batch_decode(np.array([row])) == [expected]
    assert "it's" in tokenizer.decode(row, clean_up_tokenization_spaces=True)
    assert tokenizer.decode(row[0]) == tokenizer.convert_ids_to_tokens(np.int64(row[0])) == "[CLS]"
    assert tokenizer.convert_tokens_to_ids("[SEP]") == tokenizer.sep_token_id
    assert tokenizer.convert_tokens_to_ids("no such piece") == tokenizer.unk_token_id
    assert tokenizer.batch_decode([]) == []


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1.5], "ids are whole numbers, and one is of type float: 1.5"),
        ([None], "one is of type NoneType"),
        ("text", "not of type str: 'text'"),
        ({"input_ids": [1]}, r'as in result\["input_ids"\], not of type dict'),
        ([10**6], "ids are whole numbers from 0 to 1,125"),
    ],
)
def test_what_are_no_ids(tokenizer: hub.Tokenizer, ids: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tokenizer.decode(ids)


def test_other_rows_than_expected(tokenizer: hub.Tokenizer) -> None:
    with pytest.raises(InputError, match="decode takes one row"):
        tokenizer.batch_decode([1, 2])
    with pytest.raises(InputError, match="not one str"):
        tokenizer.convert_tokens_to_string("the")
    with pytest.raises(InputError, match="pass no token_ids_1"):
        tokenizer.get_special_tokens_mask([1], [2], already_has_special_tokens=True)


@needs("torch")
def test_tensors(tokenizer: hub.Tokenizer) -> None:
    found = tokenizer(["the fox"], return_tensors="pt").input_ids
    assert tokenizer.batch_decode(found, skip_special_tokens=True) == ["the fox"]
    assert tokenizer.convert_ids_to_tokens(found[0])[1] == tokenizer.convert_ids_to_tokens(found[0, 1]) == "the"
