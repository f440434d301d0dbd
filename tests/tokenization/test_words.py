import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import berthub as hub
from berthub.errors import InputError
from berthub.tokenization.words import WordTokens, word_tokens

_VOCABULARY = Path(__file__).parent.parent / "data" / "models" / "tf2_v4" / "assets" / "vocab.txt"
_WORDS = st.one_of(
    st.sampled_from(["the", "fox", "São", "日本語", "don't", "", "\u200b", "a" * 250, "!?" * 20, "[SEP]"]),
    st.text(st.characters(codec=None), max_size=12),
)


@pytest.fixture(scope="module")
def tokenizer() -> hub.Tokenizer:
    return hub.Tokenizer(_VOCABULARY, max_length=64)


def _rows(tokenizer: hub.Tokenizer, words: WordTokens) -> list[list[str]]:
    pieces = tokenizer.convert_ids_to_tokens(words.tokens.ids)
    return [pieces[start:end] for start, end in itertools.pairwise(words.tokens.row_splits.tolist())]


def test_words_keep_their_places(tokenizer: hub.Tokenizer) -> None:
    words = word_tokens(tokenizer, [["The", "fox"], [], ["\u200b", "day"]], max_length=10)
    assert _rows(tokenizer, words) == [
        ["[CLS]", "the", "f", "##o", "##x", "[SEP]"],
        ["[CLS]", "[UNK]", "day", "[SEP]"],
    ]
    assert words.sentences.tolist() == [0, 2]
    assert words.first_pieces.tolist() == [1, 2, 7, 8]
    assert words.rows.tolist() == [0, 0, 1, 1]
    assert words.word_splits.tolist() == [0, 2, 2, 4]


def test_long_sentences_are_cut_between_words(tokenizer: hub.Tokenizer) -> None:
    words = word_tokens(tokenizer, [["the", "fox", "the", "aaaaaa", "the"], ["the"]], max_length=6)
    assert _rows(tokenizer, words) == [
        ["[CLS]", "the", "f", "##o", "##x", "[SEP]"],
        ["[CLS]", "the", "[SEP]"],
        ["[CLS]", "a", "##a", "##a", "##a", "[SEP]"],
        ["[CLS]", "the", "[SEP]"],
        ["[CLS]", "the", "[SEP]"],
    ]
    assert words.sentences.tolist() == [0, 0, 0, 0, 1]
    assert words.tokens.truncated.tolist() == [False, False, True, False, False]


@settings(deadline=None)
@given(sentences=st.lists(st.lists(_WORDS, max_size=15), max_size=6), max_length=st.integers(3, 20))
def test_every_word_is_in_one_row(tokenizer: hub.Tokenizer, sentences: list[list[str]], max_length: int) -> None:
    words = word_tokens(tokenizer, sentences, max_length=max_length)
    tokens, room = words.tokens, max_length - 2
    assert np.diff(words.word_splits).tolist() == [len(sentence) for sentence in sentences]
    assert (tokens.lengths <= max_length).all()
    assert (tokens.lengths >= 3).all()
    assert (np.diff(words.first_pieces) > 0).all()
    rows = words.rows
    assert np.unique(rows).tolist() == list(range(len(tokens)))
    of_word = np.repeat(np.arange(len(sentences)), np.diff(words.word_splits))
    np.testing.assert_array_equal(words.sentences[rows], of_word)
    assert {array.dtype for array in (words.sentences, words.first_pieces, words.word_splits, rows)} == {np.dtype("i8")}

    # What stands from one first piece to the next is the word, and is what the word alone becomes.
    expected = [tokenizer.tokenize(word) or ["[UNK]"] for sentence in sentences for word in sentence]
    flat = [["[CLS]"] for _ in range(len(tokens))]
    for row, pieces in zip(rows.tolist(), expected, strict=True):
        flat[row] += pieces[:room]
    assert _rows(tokenizer, words) == [[*row, "[SEP]"] for row in flat]
    assert tokens.truncated.tolist() == [
        any(len(pieces) > room for pieces, its_row in zip(expected, rows, strict=True) if its_row == row)
        for row in range(len(tokens))
    ]
    # No row ends before it has to.
    for row, following in itertools.pairwise(range(len(tokens))):
        if words.sentences[row] == words.sentences[following]:
            next_word = expected[int(np.flatnonzero(rows == following)[0])]
            assert tokens.lengths[row] + len(next_word[:room]) > max_length


def test_sentences_of_any_kind(tokenizer: hub.Tokenizer) -> None:
    expected = word_tokens(tokenizer, [["the", "fox"]], max_length=9).tokens.ids
    for sentence in (("the", "fox"), np.array(["the", "fox"]), np.array(["the", "fox"], object), iter(["the", "fox"])):
        np.testing.assert_array_equal(word_tokens(tokenizer, iter([sentence]), max_length=9).tokens.ids, expected)
    for nothing in ([], [[]], [[], []]):
        words = word_tokens(tokenizer, nothing, max_length=9)
        assert (len(words.tokens), len(words.tokens.ids), len(words.rows)) == (0, 0, 0)
        assert words.word_splits.tolist() == [0] * (len(nothing) + 1)


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ("the fox", r"not of type str: split a text into words first, e\.g\. \[text\.split\(\)\]"),
        (3, "not of type int"),
        ({"words": []}, "not of type dict"),
        ([["the"], "the fox"], r"sentence 1 is a str, .* split it into words first, e\.g\. text\.split\(\)"),
        ([["the"], None], "sentence 1 is of type NoneType"),
        ([{"the", "fox"}], "sentence 0 is of type set"),
        ([np.array("fox")], "sentence 0 is of type ndarray"),
        ([["the"], [], ["fox", float("nan")]], "word 1 of sentence 2 is of type float: nan"),
        ([[b"the"]], "word 0 of sentence 0 is of type bytes"),
        ([[["the", "fox"]]], "word 0 of sentence 0 is of type list"),
    ],
)
def test_wrong_sentences(tokenizer: hub.Tokenizer, sentences: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        word_tokens(tokenizer, sentences, max_length=9)


@pytest.mark.parametrize("max_length", [2, 65, True])
def test_wrong_lengths(tokenizer: hub.Tokenizer, max_length: int) -> None:
    with pytest.raises(InputError, match="max_length must be from 3 to 64"):
        word_tokens(tokenizer, [["the"]], max_length=max_length)
