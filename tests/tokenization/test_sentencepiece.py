import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import berthub as hub
from berthub.errors import CheckpointError, CorruptFileError, InputError
from berthub.formats.vocabularies import sentencepiece_vocabulary
from berthub.tokenization.normalization import Normalizer
from berthub.tokenization.tf_text import composed, decomposed
from berthub.tokenization.words import word_tokens
from berthub.vocabulary import Vocabulary
from support.vocabularies import ALBERT_MODEL, TEXTS, sentencepiece_model

sentencepiece = pytest.importorskip("sentencepiece")

GOLDEN = json.loads((Path(__file__).parent.parent / "data" / "preprocess" / "albert.json").read_text(encoding="utf-8"))
NEWER = json.loads(
    (Path(__file__).parent.parent / "data" / "tokenization" / "newer_characters.json").read_text(encoding="utf-8")
)
_ANY_TEXT = st.one_of(
    st.text(st.characters(codec=None), max_size=40),
    st.text("aB1,5 \u00a0\tß́éİΣﬁ①\u200b中각가", max_size=20),
)


@pytest.fixture(scope="module")
def tokenizer() -> hub.Tokenizer:
    return hub.Tokenizer(ALBERT_MODEL)


@pytest.fixture(scope="module")
def commas() -> hub.Tokenizer:
    """Its vocabulary has pieces such as `▁1969,`."""
    return hub.Tokenizer(
        sentencepiece_model(model_type="bpe", split_by_unicode_script=False, split_by_number=False, vocab_size=200)
    )


@pytest.mark.parametrize("offsets", [False, True])
@pytest.mark.parametrize("reference", ["google", "tf_text"])
def test_equals_the_original(reference: str, offsets: bool) -> None:
    tokenizer = hub.Tokenizer(ALBERT_MODEL, tokenization=reference)
    texts = [case["text"] for case in GOLDEN["cases"]]
    segments = tokenizer.segments(texts, offsets=offsets)
    rows = np.split(segments.ids, np.cumsum(segments.lengths)[:-1])
    column = {"google": "google", "tf_text": "savedmodel"}[reference]
    assert [row.tolist() for row in rows] == [case[column] for case in GOLDEN["cases"]]


@pytest.mark.parametrize("name", ["albert_v3", "albert_tf1_hub"])
def test_the_inputs_of_the_goldens(models: Path, name: str) -> None:
    golden = json.loads((models / name / "golden.json").read_text(encoding="utf-8"))
    with np.load(models / name / "golden.npz") as arrays:
        stored = {key: arrays[f"d.{key}"] for key in ("input_word_ids", "input_mask", "input_type_ids")}
    tokenizer = hub.Tokenizer(models / name / "assets" / "30k-clean.model")
    width = stored["input_mask"].shape[1]
    made = tokenizer(golden["sentences"], padding="max_length", max_length=width, return_tensors="np")
    np.testing.assert_array_equal(made.input_ids, stored["input_word_ids"])
    np.testing.assert_array_equal(made.attention_mask, stored["input_mask"])
    np.testing.assert_array_equal(made.token_type_ids, stored["input_type_ids"])


@pytest.mark.parametrize(
    ("column", "options"),
    [
        ("stripped_folded", {"lower_case": True, "strip_accents": True}),
        ("folded", {"lower_case": True, "strip_accents": False}),
        ("stripped", {"lower_case": False, "strip_accents": True}),
    ],
)
def test_newer_characters_are_composed_as_by_tensorflow_text(column: str, options: dict[str, bool]) -> None:
    normalizer = Normalizer("tf_text", **options)
    assert [*map(normalizer, NEWER["texts"])] == NEWER[column]
    for text in NEWER["texts"]:
        aligned = normalizer.align(text)
        assert aligned.text == normalizer(text)
        assert (aligned.starts < aligned.ends).all()


@given(text=st.text("ae\u0301\u0327\u05bc\u0f71\u0f72\u0344\u1100\u1161\u11a8\uac00\u1b44\u302e\u0958", max_size=12))
def test_forms_are_those_of_the_standard(text: str) -> None:
    assert decomposed(text) == unicodedata.normalize("NFD", text)
    assert composed("".join(unicodedata.normalize("NFD", part) for part in text)) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("reference", ["google", "tf_text"])
def test_half_a_million_marks_behind_a_letter(reference: Any) -> None:
    # In no order: where they are put in order one by one, this does not end.
    text = "a" + "\u0301\u0327" * 250_000
    segments = hub.Tokenizer(ALBERT_MODEL, tokenization=reference).segments([text], offsets=True)
    assert segments.offsets is not None
    assert len(text) == segments.offsets.max() == 500_001
    assert len(segments.ids) < 3


def test_unicode_is_pinned_for_google() -> None:
    # Capital letters, a mark and a composed character of Unicode 15 and 16: nothing to that of 14.
    text = "\ua7cb\u1c89 \u0897 \U000105c9 \U0001e030"
    assert Normalizer("google", lower_case=True, strip_accents=True)(text) == text


def test_one_and_many_texts(tokenizer: hub.Tokenizer) -> None:
    texts = ["The  fox", "", "S\u00e3o 5, Paulo", "\ud800", " "] * 20
    for offsets in (False, True):
        many = tokenizer.segments(texts, offsets=offsets)
        one = [tokenizer.segments([text], offsets=offsets) for text in texts]
        np.testing.assert_array_equal(many.ids, np.concatenate([row.ids for row in one]))
        assert many.lengths.tolist() == [len(row.ids) for row in one]
        if offsets:
            assert many.offsets is not None
            assert many.offsets.tolist() == [place for row in one for place in row.offsets.tolist()]


def encode_pieces(processor: "sentencepiece.SentencePieceProcessor", text: str) -> list[int]:
    """What ALBERT's tokenization.py has under this name, and the ids of the pieces."""
    pieces: list[str] = []
    for piece in processor.EncodeAsPieces(text):
        if len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit():
            parts = processor.EncodeAsPieces(piece[:-1].replace("▁", ""))
            if piece[0] != "▁" and parts[0][0] == "▁":
                parts[:1] = [] if len(parts[0]) == 1 else [parts[0][1:]]
            pieces += [*parts, ","]
        else:
            pieces.append(piece)
    return [processor.PieceToId(piece) for piece in pieces]


@settings(deadline=None)
@given(text=st.text("1269053,, a€", max_size=30))
def test_numbers_with_commas_are_cut_again(commas: hub.Tokenizer, text: str) -> None:
    vocabulary = commas.vocabulary
    assert {"▁1969,", "69,"} < set(vocabulary.pieces)
    processor = sentencepiece.SentencePieceProcessor(model_proto=vocabulary.model)
    for candidate in (text, TEXTS[1]):
        aligned = commas.segments([candidate], offsets=True)
        assert aligned.ids.tolist() == commas.segments([candidate]).ids.tolist()
        assert aligned.ids.tolist() == encode_pieces(processor, " ".join(candidate.split()).lower())
        assert aligned.offsets is not None
        for index, (begin, end) in zip(aligned.ids.tolist(), aligned.offsets.tolist(), strict=True):
            if vocabulary.pieces[index] != vocabulary.unknown:
                assert candidate[begin:end].lower() == vocabulary.pieces[index].replace("▁", "")


@pytest.mark.parametrize("lower_case", [True, False])
@pytest.mark.parametrize("reference", ["google", "tf_text"])
@settings(deadline=None, max_examples=60)
@given(text=_ANY_TEXT)
def test_offsets_lie_in_the_text_in_order(reference: str, lower_case: bool, text: str) -> None:
    tokenizer = hub.Tokenizer(ALBERT_MODEL, tokenization=reference, lower_case=lower_case)
    segments = tokenizer.segments([text], offsets=True)
    np.testing.assert_array_equal(segments.ids, tokenizer.segments([text]).ids)
    assert segments.offsets is not None
    assert ((segments.offsets >= 0) & (segments.offsets <= len(text))).all()
    assert (np.diff(segments.offsets, axis=0) >= 0).all()
    assert (segments.offsets[:, 0] <= segments.offsets[:, 1]).all()
    unknown = tokenizer.vocabulary.ids["<unk>"]
    for index, (begin, end) in zip(segments.ids.tolist(), segments.offsets.tolist(), strict=True):
        piece = tokenizer.vocabulary.pieces[index].replace("▁", "")
        slice_ = text[begin:end]
        # Of a character that became several, a piece may hold some.
        if slice_ and index != unknown:
            assert piece in "".join(tokenizer.tokenize(slice_)).replace("▁", "")


@pytest.mark.parametrize("reference", ["google", "tf_text"])
def test_offsets_through_all_changes(reference: str) -> None:
    tokenizer = hub.Tokenizer(ALBERT_MODEL, tokenization=reference)
    text = "\u00a0 U\u0308BER  the \ufb01x\u0301 \u2460 日本"
    segments = tokenizer.segments([text], offsets=True)
    assert segments.offsets is not None
    slices = [text[begin:end] for begin, end in segments.offsets.tolist()]
    expected = ["", "U\u0308", "B", "ER", "the", "", "\ufb01", "\ufb01", "x\u0301", "", "\u2460", "", "日本"]
    assert slices == expected
    pieces = tokenizer.convert_ids_to_tokens(segments.ids.tolist())
    assert pieces == ["▁", "u", "b", "er", "▁the", "▁", "f", "i", "x", "▁", "1", "▁", "<unk>"]


def test_accents_can_be_kept(tokenizer: hub.Tokenizer) -> None:
    kept = hub.Tokenizer(ALBERT_MODEL, strip_accents=False)
    assert tokenizer.tokenize("Café") == tokenizer.tokenize("cafe")
    assert tokenizer.vocabulary.ids["<unk>"] in kept.convert_tokens_to_ids(kept.tokenize("Café"))
    cased = hub.Tokenizer(ALBERT_MODEL, lower_case=False)
    assert cased.tokenize("café") == tokenizer.tokenize("cafe") != cased.tokenize("CAFE")


def test_special_pieces_in_a_text_are_text(tokenizer: hub.Tokenizer) -> None:
    ids = tokenizer.vocabulary.ids
    assert not {ids[piece] for piece in ("[CLS]", "[SEP]", "[MASK]", "<pad>")} & set(
        tokenizer.segments(["[CLS] a [SEP] [MASK] <pad>"]).ids.tolist()
    )


def test_pairs_have_the_form_of_bert(tokenizer: hub.Tokenizer) -> None:
    encoded = tokenizer("the", "it", max_length=5, truncation=True)
    pieces = tokenizer.convert_ids_to_tokens(encoded.input_ids)
    assert pieces == ["[CLS]", "▁the", "[SEP]", "▁it", "[SEP]"]
    assert encoded.token_type_ids == [0, 0, 0, 1, 1]


def test_words_for_tagging(tokenizer: hub.Tokenizer) -> None:
    words = word_tokens(tokenizer, [["the", "", "lazy"], ["it"]], max_length=16)
    pieces = tokenizer.convert_ids_to_tokens(words.tokens.ids)
    assert [pieces[place] for place in words.first_pieces] == ["▁the", "<unk>", tokenizer.tokenize("lazy")[0], "▁it"]


def test_a_model_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "spiece.model"
    for content, error, message in (
        (b"\x00\x01 no model", CorruptFileError, "no valid ModelProto"),
        (b"", CorruptFileError, "no SentencePiece model"),
        (ALBERT_MODEL.read_bytes()[:1000], (CheckpointError, CorruptFileError), "spiece.model is damaged"),
    ):
        path.write_bytes(content)
        with pytest.raises(error, match=message):
            hub.Tokenizer(path)
    model = ALBERT_MODEL.read_bytes()
    whole = sentencepiece_vocabulary(model, source="a test")
    fewer = Vocabulary.with_special(
        whole.pieces[:-1],
        {role: getattr(whole, role) for role in ("unknown", "classify", "separate", "pad", "mask")},
        algorithm="sentencepiece",
        model=model,
    )
    with pytest.raises(CheckpointError, match="499 pieces, and its SentencePiece model 500"):
        hub.Tokenizer(fewer)


def test_an_unknown_reference(tokenizer: hub.Tokenizer) -> None:
    with pytest.raises(InputError, match="tokenization='bert' is not known; use one of 'google', 'tf_text'"):
        hub.Tokenizer(tokenizer.vocabulary, tokenization="bert")
