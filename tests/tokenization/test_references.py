import itertools
import json
import pickle
import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.hard_texts import characters
from tests.support.references import vocabulary_of
from tokenizers import normalizers, pre_tokenizers

import berthub as hub
from berthub.errors import CheckpointError, InputError
from berthub.preprocessing.preprocessor import Preprocessor
from berthub.tokenization.google import BasicTokenizer, differs_from_library
from berthub.tokenization.pipeline import without_surrogates
from berthub.tokenization.tf_text import Spacer

_DATA = Path(__file__).parent.parent / "data"
_SAMPLES = json.loads((_DATA / "tokenization" / "samples.json").read_text(encoding="utf-8"))
_COLUMNS = [("google", True), ("google", False), ("tf_text", True), ("tf_text", False)]
_HARD = "aAzß\u0130\u0131\u03a3\ufb03\u0301\u0327\u034f\u0345\u0958\u1b44\u302e\u302f\u1100\uac01\u4e00\ufa0e.,#_\u3000"
_HARD += "\u00a0\u200b\u00ad\u2028\x01\x85 \t\n\U0001d15e\U0001f600\u200d\ufe0f\ufffd\ufdfa\u00bd\ud800"
_SIGMAS = "\u03a3\u03c3\u03c2\u039fa'.: \u00ad\u0301\x01\u4e00\u0378\u02b0"
_TEXTS = st.text(st.one_of(st.sampled_from(_HARD), st.characters(codec=None)), max_size=30)


@cache
def _tokenizer(reference: Any, lower_case: bool) -> hub.Tokenizer:
    return hub.Tokenizer(vocabulary_of(_SAMPLES["alphabet"]), lower_case=lower_case, tokenization=reference)


def _answers(column: int) -> list[list[str]]:
    """The pieces of every text; 0 stands for what the column ahead has."""
    rows = (next(row[i] for i in range(column, -1, -1) if row[i] != 0) for row in _SAMPLES["answers"])
    return [row.split(" ") if row else [] for row in rows]


def _pieces(tokenizer: hub.Tokenizer, texts: list[str], *, offsets: bool) -> list[list[str]]:
    segments = tokenizer.segments(texts, offsets=offsets)
    flat = iter(tokenizer.convert_ids_to_tokens(segments.ids.tolist()))
    return [list(itertools.islice(flat, length)) for length in segments.lengths.tolist()]


@pytest.mark.parametrize("offsets", [False, True])
@pytest.mark.parametrize("column", range(4))
def test_hard_texts_are_cut_as_by_the_references(column: int, offsets: bool) -> None:
    ours = _pieces(_tokenizer(*_COLUMNS[column]), _SAMPLES["texts"], offsets=offsets)
    theirs = _answers(column)
    wrong = [rows for rows in zip(_SAMPLES["texts"], ours, theirs, strict=True) if rows[1] != rows[2]]
    assert not wrong, f"{len(wrong)} texts differ, such as {wrong[0]}"


def test_the_references_differ_on_hard_texts() -> None:
    uncased, cased = (sum(row[i] != 0 for row in _SAMPLES["answers"]) for i in (2, 3))
    assert uncased > 500
    assert cased > 500


@pytest.mark.slow
@pytest.mark.parametrize("lower_case", [True, False])
def test_the_library_does_as_google_where_no_care_is_taken(lower_case: bool) -> None:
    basic = BasicTokenizer(lower_case=lower_case, strip_accents=lower_case, split_chinese=True)
    normalizer, cut = normalizers.BertNormalizer(lowercase=lower_case), pre_tokenizers.BertPreTokenizer()
    easy = [character for character in characters() if not differs_from_library(character)]
    assert len(easy) > 100_000
    for start in range(0, len(easy), 2000):
        text = " ".join(f"a{character}b {character}" for character in easy[start : start + 2000])
        ours = [word.text for word in basic.words(text)]
        assert ours == [word for word, _ in cut.pre_tokenize_str(normalizer.normalize_str(text))]


@pytest.mark.parametrize("lower_case", [True, False])
@pytest.mark.parametrize("strip_accents", [True, False])
@given(text=st.text(st.one_of(st.sampled_from(_HARD.rstrip("\ud800")), st.sampled_from(_SIGMAS)), max_size=30))
@settings(deadline=None)
def test_the_table_does_as_the_transcription(strip_accents: bool, lower_case: bool, text: str) -> None:
    basic = BasicTokenizer(lower_case=lower_case, strip_accents=strip_accents, split_chinese=True)
    spaced = basic.align(text)
    assert basic.spaced(text) == (spaced and spaced.text)
    if spaced is None:
        # Only where characters change places.
        parts = unicodedata.normalize("NFD", text)
        staying = [part for part in parts if unicodedata.combining(part) and unicodedata.category(part) != "Mn"]
        assert strip_accents
        assert len(staying) > 1
        return
    words = [match.span() for match in re.finditer("[^ ]+", spaced.text)]
    assert [(spaced.text[begin:end], spaced.origins[begin:end].tolist()) for begin, end in words] == [
        (word.text, word.origins) for word in basic.words(text)
    ]


@pytest.mark.parametrize("lower_case", [True, False])
@given(text=st.text(st.characters(codec="ascii"), max_size=300))
@settings(deadline=None)
def test_ascii_by_the_library_and_by_the_table(lower_case: bool, text: str) -> None:
    tokenizer = _tokenizer("tf_text", lower_case)
    fast, careful = (tokenizer.segments([form], offsets=True) for form in (text, text + " \u0085"))
    np.testing.assert_array_equal(fast.ids, careful.ids)
    np.testing.assert_array_equal(fast.offsets, careful.offsets)


@pytest.mark.parametrize("column", range(4))
@given(texts=st.lists(_TEXTS, max_size=4))
@settings(deadline=None)
def test_offsets_hold_what_becomes_the_token(column: int, texts: list[str]) -> None:
    reference, lower_case = _COLUMNS[column]
    tokenizer = _tokenizer(reference, lower_case)
    segments = tokenizer.segments(texts, offsets=True)
    np.testing.assert_array_equal(segments.ids, tokenizer.segments(texts).ids)
    assert segments.offsets is not None
    splits = np.cumsum(segments.lengths)[:-1]
    rows = zip(texts, np.split(segments.ids, splits), np.split(segments.offsets, splits), strict=True)
    for text, ids, places in rows if texts else ():
        assert (places[:, 0] < places[:, 1]).all()
        assert (np.diff(places, axis=0) >= 0).all()
        assert (places >= 0).all()
        assert (places <= len(text)).all()
        for piece, (start, end) in zip(tokenizer.convert_ids_to_tokens(ids.tolist()), places.tolist(), strict=True):
            if piece != "[UNK]":
                held = _normalized(without_surrogates(text[start:end]), reference, lower_case=lower_case)
                assert set(piece.removeprefix("##") or piece) <= set(held)


def _normalized(text: str, reference: str, *, lower_case: bool) -> str:
    if reference == "tf_text":
        return Spacer(lower_case=lower_case)(text)
    basic = BasicTokenizer(lower_case=lower_case, strip_accents=lower_case, split_chinese=True)
    # Its form depends on what follows.
    return "".join(word.text for word in basic.words(text)) + "\u03c2" * ("\u03a3" in text)


def test_characters_that_change_places_keep_offsets_in_order() -> None:
    tokenizer = hub.Tokenizer(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##\u1b44", "##\u302e", "##b"], tokenization="tf_text"
    )
    # The second has the lower class: 9 before 224.
    for text, places in (
        ("a\u302e\u1b44b", [[0, 1], [1, 3], [1, 3], [3, 4]]),
        ("a\u1b44\u302e", [[0, 1], [1, 2], [2, 3]]),
    ):
        segments = tokenizer.segments([text], offsets=True)
        assert tokenizer.convert_ids_to_tokens(segments.ids.tolist())[:3] == ["a", "##\u1b44", "##\u302e"]
        assert segments.offsets is not None
        assert segments.offsets.tolist() == places


@pytest.mark.parametrize("text", ["a", "\u00e9", "\u03a3", "\u0300"])
@pytest.mark.parametrize("reference", ["google", "tf_text"])
def test_a_million_characters_without_a_blank(reference: str, text: str) -> None:
    tokenizer = _tokenizer(reference, True)
    segments = tokenizer.segments([text * 1_000_000 + ". the"], offsets=True)
    expected = ["[UNK]", ".", "the"]
    if text == "\u0300":
        # A mark, which is removed.
        expected = expected[1:]
    assert tokenizer.convert_ids_to_tokens(segments.ids.tolist()) == expected
    assert segments.offsets is not None
    places = [[0, 1_000_000], [1_000_000, 1_000_001], [1_000_002, 1_000_005]]
    assert segments.offsets.tolist() == places[-len(expected) :]


def test_the_longest_words() -> None:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"a\u00e9\u6f22", "##a", "##\u00e9", "##\u6f22"]
    for letter, google, tf_text in (("a", 200, 100), ("\u00e9", 200, 50)):
        for reference, longest in (("google", google), ("tf_text", tf_text)):
            tokenizer = hub.Tokenizer(vocabulary, lower_case=False, tokenization=reference)
            assert len(tokenizer.tokenize(letter * longest)) == longest
            assert tokenizer.tokenize(letter * (longest + 1)) == ["[UNK]"]


class TestChoice:
    def test_a_model_s_configuration_says_it(self, models: Path, tmp_path: Path) -> None:
        text = "soft\u00adware \u00bd"
        google, tf_text = (
            hub.load(models / "tf2_v4", engine="numpy", tokenization=name) for name in ("google", "tf_text")
        )
        assert google.tokenizer.tokenize(text) != tf_text.tokenizer.tokenize(text)
        assert tf_text.tokenizer.tokenization == tf_text.config.tokenization == "tf_text"
        tf_text.save(tmp_path / "model")
        again = hub.load(tmp_path / "model", engine="numpy")
        assert again.tokenizer.tokenization == "tf_text"
        assert again.tokenizer.tokenize(text) == tf_text.tokenizer.tokenize(text)
        assert hub.load(models / "tf2_v4", engine="numpy").tokenizer.tokenization == "google"
        assert hub.Tokenizer.from_pretrained(tmp_path / "model").tokenization == "tf_text"

    def test_a_preprocessing_model_has_its_own(self, models: Path) -> None:
        assert Preprocessor(models / "preprocess").tokenizer.tokenization == "tf_text"
        assert Preprocessor(models / "tf2_v4").tokenizer.tokenization == "google"

    def test_what_is_not_known(self, models: Path) -> None:
        with pytest.raises(InputError, match="tokenization='bert' is not known; use one of 'google', 'tf_text'"):
            hub.load(models / "tf2_v4", tokenization="bert")  # type: ignore[call-overload]
        with pytest.raises(
            CheckpointError, match="tokenization must be one of google, tf_text, transformers, not 'bert'"
        ):
            hub.load(models / "tf2_v4", settings={"tokenization": "bert"})
        for options in (
            {"strip_accents": False},
            {"split_chinese": False},
            {"lower_case": False, "strip_accents": True},
        ):
            with pytest.raises(InputError, match="tokenization='tf_text' strips accents where it lower-cases"):
                hub.Tokenizer(vocabulary_of("a"), tokenization="tf_text", **options)


def test_the_old_name_of_the_argument_still_works(models: Path) -> None:
    vocabulary = vocabulary_of("a")
    with pytest.warns(DeprecationWarning, match=r"write tokenization='tf_text'") as caught:
        old = hub.Tokenizer(vocabulary, reference="tf_text")
    assert caught[0].filename == __file__
    assert old.tokenization == pickle.loads(pickle.dumps(old)).tokenization == "tf_text"
    with pytest.warns(DeprecationWarning, match="write tokenization"):
        assert old.reference == "tf_text"
    checkpoint = hub.load(models / "tf2_v4", engine="numpy").checkpoint
    with pytest.warns(DeprecationWarning, match="write tokenization"):
        assert hub.Tokenizer.from_checkpoint(checkpoint, reference="tf_text").tokenization == "tf_text"
    with pytest.raises(InputError, match="contradict each other"):
        hub.Tokenizer(vocabulary, tokenization="tf_text", reference="google")


def test_a_pickle_of_before_the_argument_was_renamed() -> None:
    tokenizer = hub.Tokenizer(vocabulary_of("a"), tokenization="tf_text")
    state = tokenizer.__getstate__()
    state["_options"] = {**state["_options"], "reference": state["_options"]["tokenization"]}
    del state["_options"]["tokenization"]
    state["reference"] = state.pop("tokenization")
    old = hub.Tokenizer.__new__(hub.Tokenizer)
    old.__setstate__(state)
    assert old.tokenization == "tf_text"
    assert old.tokenize("a") == tokenizer.tokenize("a")
