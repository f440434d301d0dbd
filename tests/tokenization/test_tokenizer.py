import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import berthub as hub
from berthub.errors import CheckpointError, InputError, MissingDependencyError, TruncationWarning
from berthub.tokenization.tensors import FRAMEWORKS

_VOCABULARY = Path(__file__).parent.parent / "data" / "models" / "tf2_v4" / "assets" / "vocab.txt"
_ANY_TEXT = st.text(st.characters(codec=None), max_size=50)  # lone surrogates, too


@pytest.fixture(scope="module")
def tokenizer() -> hub.Tokenizer:
    return hub.Tokenizer(_VOCABULARY, max_length=64)


@pytest.mark.parametrize("name", ["tf2_v4", "google_checkpoint", "hf_bert"])
def test_equals_the_original_tokenizer(models: Path, name: str) -> None:
    golden = json.loads((models / name / "golden.json").read_text())
    with np.load(models / name / "golden.npz") as arrays:
        ids, mask = arrays["d.input_word_ids"], arrays["d.input_mask"]
    tokens = hub.Tokenizer.from_pretrained(models / name).tokens(golden["sentences"])
    np.testing.assert_array_equal(tokens.ids, ids[mask == 1])
    np.testing.assert_array_equal(tokens.lengths, mask.sum(1))


def test_a_word_of_200_characters_is_the_longest(tokenizer: hub.Tokenizer) -> None:
    assert tokenizer.vocabulary.unknown not in tokenizer.tokenize("a" * 200)
    assert tokenizer.tokenize("a" * 201) == [tokenizer.vocabulary.unknown]


def test_special_pieces_in_a_text_are_text(tokenizer: hub.Tokenizer) -> None:
    assert "[SEP]" not in tokenizer.tokenize("[SEP] [CLS] [MASK]")


@settings(deadline=None)
@given(text=_ANY_TEXT)
def test_any_text_becomes_valid_tokens(tokenizer: hub.Tokenizer, text: str) -> None:
    tokens = tokenizer.tokens([text])
    ids = tokenizer.vocabulary.ids
    assert tokens.ids[0] == ids["[CLS]"]
    assert tokens.ids[-1] == ids["[SEP]"]
    assert not {ids["[CLS]"], ids["[SEP]"], ids["[PAD]"]} & set(tokens.ids[1:-1].tolist())
    assert tokens.ids.dtype == tokens.type_ids.dtype == np.int32
    assert not tokens.truncated.any()


@settings(deadline=None)
@given(text=_ANY_TEXT)
def test_offsets_slice_the_original_text(tokenizer: hub.Tokenizer, text: str) -> None:
    tokens = tokenizer.tokens([text], offsets=True)
    assert tokens.offsets is not None
    np.testing.assert_array_equal(tokens.ids, tokenizer.tokens([text]).ids)
    assert tokens.offsets[0].tolist() == tokens.offsets[-1].tolist() == [0, 0]
    places = tokens.offsets[1:-1]
    assert (places[:, 0] < places[:, 1]).all()
    assert (places[:, 1] <= len(text)).all()
    assert (np.diff(places[:, 0]) >= 0).all()
    for (start, end), index in zip(places.tolist(), tokens.ids[1:-1].tolist(), strict=True):
        piece = tokenizer.vocabulary.pieces[index]
        if piece != "[UNK]":
            assert piece.removeprefix("##") in _folded(text[start:end])


def _folded(text: str) -> str:
    """Lower-cased, without accents, and without the control characters that BERT drops."""
    decomposed = unicodedata.normalize("NFD", text.lower())
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn" and unicodedata.category(c)[0] != "C")


def test_offsets_of_a_pair_belong_to_its_two_texts(tokenizer: hub.Tokenizer) -> None:
    first, second = "The  fox!", "Was it, 12?"
    tokens = tokenizer.tokens([(first, second)], offsets=True)
    assert tokens.offsets is not None
    own = [
        [
            text[start:end].lower()
            for (start, end), kind in zip(tokens.offsets, tokens.type_ids, strict=True)
            if kind == k
        ]
        for k, text in enumerate((first, second))
    ]
    assert "".join(own[0]) == "thefox!"
    assert "".join(own[1]) == "wasit,12?"


def test_lone_surrogates_count_as_the_replacement_character(tokenizer: hub.Tokenizer) -> None:
    np.testing.assert_array_equal(tokenizer.tokens(["a\ud800b c"]).ids, tokenizer.tokens(["a\ufffdb c"]).ids)


@settings(deadline=None)
@given(
    texts=st.lists(st.one_of(_ANY_TEXT, st.tuples(_ANY_TEXT, _ANY_TEXT)), max_size=8),
    max_length=st.one_of(st.none(), st.integers(3, 20)),
)
def test_a_row_is_the_same_alone(tokenizer: hub.Tokenizer, texts: list, max_length: int | None) -> None:
    tokens = tokenizer.tokens(texts, max_length=max_length)
    assert len(tokens) == len(texts)
    for index, text in enumerate(texts):
        alone = tokenizer.tokens([text], max_length=max_length)
        row = slice(tokens.row_splits[index], tokens.row_splits[index + 1])
        np.testing.assert_array_equal(tokens.ids[row], alone.ids)
        np.testing.assert_array_equal(tokens.type_ids[row], alone.type_ids)
        assert tokens.truncated[index] == alone.truncated[0]
        assert max_length is None or len(alone.ids) <= max_length


@pytest.mark.parametrize("text", [None, 3, float("nan"), b"bytes", ("one",), ("a", "b", "c"), ("a", 1), {"a": 1}])
def test_what_is_no_text_is_named(tokenizer: hub.Tokenizer, text: object) -> None:
    with pytest.raises(InputError, match=r"text 1 is of type .*; a text is a str, or a pair"):
        tokenizer.tokens(["fine", text])


class TestCalledAsBertTokenizer:
    def test_lists(self, tokenizer: hub.Tokenizer) -> None:
        encoded = tokenizer(["the fox", "the"])
        assert list(encoded) == ["input_ids", "token_type_ids", "attention_mask"]
        assert [len(row) for row in encoded["input_ids"]] == [len(row) for row in encoded.attention_mask]
        assert all(isinstance(index, int) for row in encoded.input_ids for index in row)

    def test_one_text(self, tokenizer: hub.Tokenizer) -> None:
        encoded = tokenizer("the fox")
        assert encoded.input_ids == tokenizer(["the fox"]).input_ids[0]
        assert tokenizer("the fox", return_tensors="np").input_ids.shape == (1, len(encoded.input_ids))

    def test_padding(self, tokenizer: hub.Tokenizer) -> None:
        for padding in (True, "longest"):
            encoded = tokenizer(["the quick fox", "a"], padding=padding, return_tensors="np")
            assert encoded.input_ids.shape == encoded.attention_mask.shape == encoded.token_type_ids.shape
            assert encoded.input_ids.dtype == np.int32
            assert (encoded.attention_mask == (encoded.input_ids != 0)).all()
        encoded = tokenizer(["the", "a"], padding="max_length", max_length=9)
        assert [len(row) for row in encoded.input_ids] == [9, 9]
        assert len(tokenizer("the", padding="max_length").input_ids) == 64

    def test_truncation(self, tokenizer: hub.Tokenizer) -> None:
        long = "the " * 100
        assert len(tokenizer(long).input_ids) == 102
        assert len(tokenizer(long, truncation=True).input_ids) == 64
        assert len(tokenizer(long, truncation=True, max_length=10).input_ids) == 10
        assert len(tokenizer(long, long, truncation="longest_first", max_length=10).input_ids) == 10

    def test_max_length_alone_cuts_and_says_so(self, tokenizer: hub.Tokenizer) -> None:
        long = "the " * 100
        with pytest.warns(
            TruncationWarning, match="1 of 2 texts had more than max_length=10 tokens and were truncated"
        ):
            assert [len(row) for row in tokenizer([long, "the"], max_length=10).input_ids] == [10, 3]
        assert len(tokenizer("the", max_length=10).input_ids) == 3
        assert len(tokenizer(long, max_length=10, truncation=False).input_ids) == 102
        assert len(tokenizer(long, max_length=10, padding=True).input_ids) == 102, "as in transformers"

    def test_pairs(self, tokenizer: hub.Tokenizer) -> None:
        expected = tokenizer([("the", "fox"), ("a", "b")]).input_ids
        assert tokenizer(["the", "a"], ["fox", "b"]).input_ids == expected
        assert tokenizer("the", "fox").input_ids == expected[0]
        assert tokenizer("the", "was").token_type_ids == [0, 0, 0, 1, 1]

    def test_offsets(self, tokenizer: hub.Tokenizer) -> None:
        encoded = tokenizer("the fox", return_offsets_mapping=True)
        assert encoded.offset_mapping[:2] == [(0, 0), (0, 3)]

    def test_frameworks(self, tokenizer: hub.Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
        import sys

        for name, module in (("tf", "tensorflow"), ("pt", "torch"), ("jax", "jax")):
            # The submodule is found without its package, where another test has imported it.
            for imported in (module, FRAMEWORKS[name][0]):
                monkeypatch.setitem(sys.modules, imported, None)
            with pytest.raises(MissingDependencyError, match=f"pip install {module}"):
                tokenizer("the", return_tensors=name)

    def test_torch(self, tokenizer: hub.Tokenizer) -> None:
        torch = pytest.importorskip("torch")
        encoded = tokenizer(["the fox", "a"], padding=True, return_tensors="pt")
        assert encoded.input_ids.dtype == torch.int64

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"padding": "left"}, "padding='left' is not known"),
            ({"truncation": "first"}, "truncation='first' is not known"),
            ({"return_tensors": "mx"}, "return_tensors='mx' is not known"),
            ({"return_tensors": "np"}, "different lengths"),
            ({"max_length": 65}, "max_length must be from 2 to 64"),
            ({"text_pair": ["only one"]}, "text_pair must have a string for each of the 2 texts"),
        ],
    )
    def test_wrong_options(self, tokenizer: hub.Tokenizer, options: dict, message: str) -> None:
        with pytest.raises(InputError, match=message):
            tokenizer(["the fox", "a"], **options)

    def test_attributes_that_are_not_there(self, tokenizer: hub.Tokenizer) -> None:
        encoded = tokenizer("the", return_token_type_ids=False, return_attention_mask=False)
        assert list(encoded) == ["input_ids"]
        with pytest.raises(AttributeError, match="there are input_ids"):
            _ = encoded.attention_mask

    def test_no_texts(self, tokenizer: hub.Tokenizer) -> None:
        assert tokenizer([]).input_ids == []
        assert tokenizer([], return_tensors="np").input_ids.shape == (0, 0)


def test_pieces_and_ids(tokenizer: hub.Tokenizer) -> None:
    pieces = tokenizer.tokenize("The foxes")
    assert tokenizer.convert_ids_to_tokens(tokenizer.convert_tokens_to_ids(pieces)) == pieces
    assert tokenizer.convert_tokens_to_ids(["no such piece"]) == [tokenizer.vocabulary.ids["[UNK]"]]


def test_a_vocabulary_without_special_pieces_is_an_error() -> None:
    with pytest.raises(CheckpointError, match=r"2 pieces lacks \[CLS\], \[PAD\]"):
        hub.Tokenizer(["[UNK]", "[SEP]"])


def test_cased(models: Path) -> None:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "Paris", "paris", "é", "e"]
    assert hub.Tokenizer(pieces, lower_case=False).tokenize("Paris é") == ["Paris", "é"]
    assert hub.Tokenizer(pieces, lower_case=True).tokenize("Paris é") == ["paris", "e"]
    assert hub.Tokenizer(pieces, lower_case=True, strip_accents=False).tokenize("É") == ["é"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: hub.Tokenizer(None), "a vocabulary is a Vocabulary, the path of .* this is of type NoneType"),
        (lambda _: hub.Tokenizer({"[PAD]": 0}), "a list of pieces .* in the order of their ids; this is of type dict"),
        (
            lambda _: hub.Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]"], lower_case="no"),
            "lower_case must be True or False, not 'no'",
        ),
        (
            lambda _: hub.Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]"], max_length=-5),
            r"max_length is the most tokens .* not -5",
        ),
        (lambda tokenizer: tokenizer.tokens(5), "texts are a list of str or of pairs of them, not of type int: 5"),
        (lambda tokenizer: tokenizer.tokens(np.full((2, 2), "a")), "texts are a list of str"),
        (lambda tokenizer: tokenizer(None), "texts are a list of str or of pairs of them, not of type NoneType"),
        (lambda tokenizer: tokenizer.convert_ids_to_tokens([-1]), "ids are whole numbers from 0 to .* from -1 to -1"),
    ],
)
def test_what_is_taken_for_something_else(tokenizer: hub.Tokenizer, make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(tokenizer)


def test_one_string_is_a_list_of_one(tokenizer: hub.Tokenizer) -> None:
    expected = tokenizer.tokens(["the fox"]).ids
    for texts in ("the fox", (text for text in ["the fox"]), np.array(["the fox"])):
        np.testing.assert_array_equal(tokenizer.tokens(texts).ids, expected)
