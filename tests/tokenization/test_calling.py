"""The tokenizer's call beside transformers', with all options; a sample of `compare_tokenizers.py`."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.compared_calls import differences, every_option
from tests.support.needs import needs

import berthub as hub
from berthub.errors import InputError, TruncationWarning
from berthub.tokenization.called import CharSpan, TokenSpan

_VOCABULARY = Path(__file__).parent.parent / "data" / "models" / "tf2_v4" / "assets" / "vocab.txt"
_OPTIONS = list(every_option())
_TEXT = st.one_of(
    st.sampled_from(["the fox was quick, and the lazy dog was not", "", "São [SEP] 日本語 don't", "\u200b", "a" * 120]),
    st.text(max_size=20),
)
_WORD = st.one_of(st.sampled_from(["the", "foxes,", "", "\u200b", "[MASK]"]), st.text(max_size=6))
_SENTENCE = st.lists(_WORD, min_size=1, max_size=9)


@pytest.fixture(scope="module")
def tokenizer() -> hub.Tokenizer:
    return hub.Tokenizer(_VOCABULARY, max_length=64, tokenization="transformers")


@pytest.fixture(scope="module")
def theirs() -> Any:
    transformers = pytest.importorskip("transformers")
    return transformers.BertTokenizer(str(_VOCABULARY), model_max_length=64)


@needs("transformers")
@settings(deadline=None, max_examples=150)
@given(data=st.data(), options=st.sampled_from(_OPTIONS))
def test_every_call_is_that_of_transformers(tokenizer: hub.Tokenizer, theirs: Any, data: Any, options: dict) -> None:
    split = data.draw(st.booleans())
    one = _SENTENCE if split else _TEXT
    texts = st.lists(one, min_size=1, max_size=3)
    if data.draw(st.booleans()):
        text, pair = data.draw(one), data.draw(st.one_of(st.none(), one))
        pair = pair or None  # an empty partner of one text counts as none there, and as one here
    else:
        text = data.draw(texts)
        pair = data.draw(st.one_of(st.none(), st.lists(one, min_size=len(text), max_size=len(text))))
    assert not differences(tokenizer, theirs, text, pair, {**options, "is_split_into_words": split})


@pytest.mark.parametrize("tokenization", ["google", "tf_text"])
def test_of_another_tokenization_the_pieces_alone_are_others(tokenizer: hub.Tokenizer, tokenization: Any) -> None:
    other = hub.Tokenizer(_VOCABULARY, max_length=64, tokenization=tokenization)
    texts = ["the quick fox jumps, and was lazy", "It was the dog."]
    for options in _OPTIONS[::17]:
        if options["truncation"] is True:
            # Which half of an odd number is the larger differs, too.
            continue
        try:
            expected = tokenizer(texts, texts[::-1], **options)
        except InputError as error:
            with pytest.raises(InputError, match=str(error)[:20]):
                other(texts, texts[::-1], **options)
            continue
        found = other(texts, texts[::-1], **options)
        assert found == expected
        assert [found.word_ids(row) for row in range(2)] == [expected.word_ids(row) for row in range(2)]


def test_words_are_tokenized_as_by_a_token_classifier(models: Path) -> None:
    from berthub.tokenization.words import word_tokens

    sentence = ["the", "quick", "foxes,", "was"]
    for model in ("tf2_v4", "albert_v3", "keras_hub_roberta"):
        tokenizer = hub.Tokenizer.from_pretrained(models / model)
        found = tokenizer(sentence, is_split_into_words=True, return_offsets_mapping=True)
        words = word_tokens(tokenizer, [sentence], max_length=tokenizer.max_length)
        assert found.input_ids == words.tokens.ids.tolist(), model
        assert [found.word_to_tokens(word).start for word in range(4)] == words.first_pieces.tolist(), model
        for word, (start, end) in zip(found.word_ids(), found.offset_mapping, strict=True):
            assert word is None or 0 <= start <= end <= len(sentence[word])
        assert found.word_to_chars(2) == CharSpan(0, 6), model


def test_windows_begin_with_the_end_of_the_one_before(tokenizer: hub.Tokenizer) -> None:
    found = tokenizer(
        ["the fox", "the was it and the was"],
        max_length=6,
        truncation=True,
        stride=1,
        return_overflowing_tokens=True,
        padding=True,
        return_tensors="np",
    )
    assert found.overflow_to_sample_mapping.tolist() == [0, 1, 1]
    assert found.input_ids.shape == (3, 6)
    assert found.tokens(1)[1:-1] == ["the", "was", "it", "and"]
    assert found.tokens(2)[1:4] == ["and", "the", "was"]
    assert found.word_ids(2) == [None, 3, 4, 5, None, None]


def test_nothing_is_lost_without_a_word(tokenizer: hub.Tokenizer) -> None:
    long = "the " * 20
    for call in (tokenizer, tokenizer.encode_plus, tokenizer.encode):
        with pytest.warns(TruncationWarning, match="1 of 1 texts had more than max_length=5") as caught:
            call(long, max_length=5)
        assert caught[0].filename == __file__
    assert len(tokenizer(long, max_length=12, return_overflowing_tokens=True).input_ids) == 2


class TestWhatTokensStandFor:
    def test_places(self, tokenizer: hub.Tokenizer) -> None:
        found = tokenizer("The lazy fox!", "It was.", padding="max_length", max_length=16)
        token = found.char_to_token(9)
        assert token is not None
        assert found.token_to_chars(token) == CharSpan(9, 10)
        assert found.char_to_word(9) == found.token_to_word(token) == 2
        assert found.word_to_chars(2) == CharSpan(9, 12)
        assert found.word_to_tokens(0, sequence_index=1) == TokenSpan(
            *[found.sequence_ids().index(1) + k for k in (0, 1)]
        )
        assert found.token_to_chars(0) is found.token_to_chars(15) is found.char_to_token(3) is None
        assert found.token_to_sequence(token) == 0
        assert found.n_sequences == 2
        assert found.tokens()[-1] == "[PAD]"

    def test_pickles_and_copies(self, tokenizer: hub.Tokenizer) -> None:
        found = tokenizer(["the fox", "a"], padding=True)
        for again in (pickle.loads(pickle.dumps(found)), copy.copy(found), copy.deepcopy(found)):
            assert again == found
            assert again.word_ids(1) == found.word_ids(1)
        assert len(pickle.dumps(found)) < 3000, "the tokenizer is not in it"

    def test_what_is_asked_wrongly(self, tokenizer: hub.Tokenizer) -> None:
        found = tokenizer(["the fox", "a"])
        with pytest.raises(InputError, match="there are 2 rows, and none with the number 2"):
            found.tokens(2)
        with pytest.raises(InputError, match="give the row's number first"):
            found.token_to_chars(1)
        with pytest.raises(InputError, match="the row has 3 tokens, and none with the number 3"):
            found.token_to_chars(1, 3)
        with pytest.raises(InputError, match=r'Row 0 is in each of them, as in result\["input_ids"\]\[0\]'):
            _ = found[0]  # type: ignore[index]
        with pytest.raises(InputError, match="and not of what pad makes"):
            tokenizer.pad(found).word_ids(0)

    def test_tensors(self, tokenizer: hub.Tokenizer) -> None:
        found = tokenizer(["the fox", "a"], padding=True)
        assert found.convert_to_tensors("np").input_ids.shape == (2, len(found.tokens(0)))
        with pytest.raises(InputError, match="rows of input_ids have different lengths"):
            tokenizer(["the fox", "a"]).convert_to_tensors("np")
        with pytest.raises(InputError, match="moves tensors of PyTorch, and here are none"):
            found.to("cpu")

    @needs("torch")
    def test_to_a_device(self, tokenizer: hub.Tokenizer) -> None:
        found = tokenizer("the fox", return_tensors="pt").to("cpu")
        assert str(found.input_ids.device) == "cpu"
        assert found.word_ids()[1] == 0


class TestCallsOfOlderPrograms:
    def test_encode_plus_and_its_kin(self, tokenizer: hub.Tokenizer) -> None:
        expected = tokenizer("the fox", "was", padding="max_length", max_length=12)
        options = {"padding": "max_length", "max_length": 12}
        assert tokenizer.encode_plus("the fox", "was", **options) == expected
        assert tokenizer.encode("the fox", "was", **options) == expected.input_ids
        assert tokenizer.batch_encode_plus([("the fox", "was")], **options).input_ids == [expected.input_ids]
        assert tokenizer.encode("the fox", add_special_tokens=False) == expected.input_ids[1:5]
        assert tokenizer.tokenize("the", pair="was", add_special_tokens=True) == [
            "[CLS]",
            "the",
            "[SEP]",
            "was",
            "[SEP]",
        ]

    def test_transformers_2(self, tokenizer: hub.Tokenizer) -> None:
        long = "the " * 20
        with pytest.warns(DeprecationWarning, match="write padding='max_length', truncation=True") as caught:
            found = tokenizer.encode_plus(long, max_length=8, pad_to_max_length=True)
        assert caught[0].filename == __file__
        assert found == tokenizer(long, max_length=8, padding="max_length", truncation=True)
        with pytest.warns(DeprecationWarning, match="write truncation='only_first'"):
            assert len(tokenizer.encode(long, max_length=8, truncation_strategy="only_first")) == 8

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda t: t("a", verbose=False), "verbose is an option of transformers' .*: leave it out"),
            (lambda t: t("a", text_target="b"), "tokenize them in a call of their own"),
            (lambda t: t("a", paddings=True), "a tokenizer has no option paddings; there are add_special_tokens, "),
            (lambda t: t("a", stride=-1), "stride is the number of tokens"),
            (lambda t: t("a", padding_side="up"), "padding_side='up' is not known"),
            (lambda t: t("a", pad_to_multiple_of=0), "pad_to_multiple_of is a number from 1"),
            (lambda t: t("a", add_special_tokens="no"), "add_special_tokens must be True or False"),
            (lambda t: t("a b", is_split_into_words=True), "this is a str: split it first"),
            (lambda t: t([["a"], "b"], is_split_into_words=True), "sentence 1 is a str"),
            (lambda t: t([["a"]], [["b"], ["c"]], is_split_into_words=True), "a sentence for each of the 1; it has 2"),
            (lambda t: t("a " * 9, truncation="only_second", max_length=8), "text 0 is too long and no pair"),
            (lambda t: t("a", "a " * 9, truncation="only_first", max_length=8), "other text of the pair has 9 pieces"),
            (
                lambda t: t("a " * 9, truncation=True, max_length=4, stride=2, return_overflowing_tokens=True),
                "leaves text 0 2 pieces a row, and stride=2",
            ),
            (lambda t: t("a", padding=True, truncation=True, max_length=9, pad_to_multiple_of=8), "is no multiple of"),
            (lambda t: t.encode(["a", "b"]), "encode takes one text"),
            (lambda t: t.encode_plus([1, 2]), "build_inputs_with_special_tokens makes the row"),
            (lambda t: t.batch_encode_plus("a"), "takes a list of texts, and this is one"),
            (lambda t: t.tokenize(["a"]), "tokenize takes one text"),
        ],
    )
    def test_what_is_not_there(self, tokenizer: hub.Tokenizer, call: Any, message: str) -> None:
        with pytest.raises(InputError, match=message):
            call(tokenizer)

    def test_names_that_are_not_there(self, tokenizer: hub.Tokenizer) -> None:
        with pytest.raises(AttributeError, match="prepare_for_model is a name of transformers' tokenizers"):
            _ = tokenizer.prepare_for_model
        with pytest.raises(AttributeError, match=r"tokenizer.add_tokens\(tokens, special=True\)"):
            _ = tokenizer.add_special_tokens
        with pytest.raises(AttributeError, match="a Tokenizer has no attribute 'nothing'"):
            _ = tokenizer.nothing
        assert not hasattr(tokenizer, "chat_template")


class TestPad:
    def test_equals_a_padded_call(self, tokenizer: hub.Tokenizer) -> None:
        texts = ["the fox was", "a"]
        for options in ({}, {"padding_side": "left"}, {"pad_to_multiple_of": 8}, {"padding": "max_length"}):
            values = {"return_offsets_mapping": True, "return_special_tokens_mask": True}
            expected = tokenizer(texts, **values, **{"padding": True, **options})
            assert tokenizer.pad(tokenizer(texts, **values), **options) == expected
            assert tokenizer.pad([tokenizer(text, **values) for text in texts], **options) == expected

    def test_one_row_and_what_is_no_token(self, tokenizer: hub.Tokenizer) -> None:
        assert tokenizer.pad({"input_ids": [11, 12]}, padding="max_length", max_length=4) == {
            "input_ids": [11, 12, 0, 0],
            "attention_mask": [1, 1, 0, 0],
        }
        rows = [{"input_ids": [11, 12], "label": 1.5}, {"input_ids": [11], "label": 0.5}]
        found = tokenizer.pad(rows, return_tensors="np")
        assert found.label.tolist() == [1.5, 0.5]
        assert found.input_ids.dtype == np.int32
        assert tokenizer.pad({"input_ids": np.array([[11, 12]])}, padding=False).input_ids.shape == (1, 2)

    @needs("transformers", "torch")
    def test_collators(self, tokenizer: hub.Tokenizer, theirs: Any) -> None:
        import torch
        from transformers import DataCollatorForLanguageModeling, DataCollatorWithPadding

        rows = [{**tokenizer(text), "label": index} for index, text in enumerate(["the fox was", "a"])]
        found, expected = (DataCollatorWithPadding(each)([dict(row) for row in rows]) for each in (tokenizer, theirs))
        assert {*found} == {*expected}
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        made = []
        for each in (tokenizer, theirs):
            torch.manual_seed(0)
            made.append(DataCollatorForLanguageModeling(each, mlm_probability=0.5)([tokenizer("the fox was it")]))
        assert all(torch.equal(made[0][name], made[1][name]) for name in ("input_ids", "labels"))

    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            ({"attention_mask": [1]}, "input_ids is missing"),
            ([{"input_ids": [1]}, {"ids": [1]}], "have different values"),
            ("text", "pad takes what a tokenizer's call returns"),
            ([1], "here is something else"),
            ({"input_ids": [[1]], "labels": []}, "labels has 0 rows, and input_ids 1"),
        ],
    )
    def test_what_cannot_be_padded(self, tokenizer: hub.Tokenizer, inputs: Any, message: str) -> None:
        with pytest.raises(InputError, match=message):
            tokenizer.pad(inputs)
