import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import berthub as hub
from berthub.tokenization.alignment import byte_offsets, second_starts, word_ids
from berthub.tokenization.tokenizer import Text, Tokenizer

_DATA = Path(__file__).parent.parent / "data"
_GOLDEN = json.loads((_DATA / "preprocess" / "offsets.json").read_text(encoding="utf-8"))
# Byte pairs, of which no model of the fixtures has any.
_MERGES = b"t h\nth e\n\xc4\xa0 f\n\xc4\xa0f o\n\xc4\xa0fo x\n"

_TEXTS = st.lists(
    st.sampled_from(
        ["the", " ", "fox", "São", "日本", "don't", "!?", "[SEP]", "\n", "\u200b", "👍🏽", "\ud800", "ﬁ", "e\u0301"]
    )
).map("".join)


def _byte_pairs() -> Tokenizer:
    from tokenizers.pre_tokenizers import ByteLevel

    merged = [line.replace(" ", "") for line in _MERGES.decode().splitlines()]
    pieces = ("<s>", "<pad>", "</s>", "<unk>", *sorted(ByteLevel.alphabet()), *merged)
    special = {"unknown": "<unk>", "classify": "<s>", "separate": "</s>", "pad": "<pad>", "mask": "<mask>"}
    return Tokenizer(hub.Vocabulary(pieces, **special, algorithm="byte_bpe", model=_MERGES.strip()))


@pytest.fixture(scope="module", params=["wordpiece", "sentencepiece", "byte_bpe"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    folders = {"wordpiece": "tf2_v4", "sentencepiece": "albert_v3"}
    if request.param == "byte_bpe":
        return _byte_pairs()
    return Tokenizer.from_pretrained(_DATA / "models" / folders[request.param])


def _separate(tokenizer: Tokenizer) -> int:
    return tokenizer.vocabulary.ids[tokenizer.vocabulary.separate]


@pytest.mark.parametrize("name", ["uncased", "cased"])
def test_bytes_are_those_of_the_preprocessing_models(name: str) -> None:
    path = "models/preprocess/assets/vocab.txt" if name == "uncased" else "preprocess/cased_vocab.txt"
    tokenizer = Tokenizer(_DATA / path, lower_case=name == "uncased")
    cases = _GOLDEN[name]
    texts = [case["text"] for case in cases]
    tokens = tokenizer.tokens(texts, offsets=True)
    places = np.split(byte_offsets(tokens, texts, separate=_separate(tokenizer)), tokens.row_splits[1:-1])
    words = word_ids(tokens, texts, tokenizer.vocabulary)
    for case, found, numbers in zip(cases, places, words, strict=True):
        starts, limits = (list(itertools.chain.from_iterable(case[key])) for key in ("start", "limit"))
        assert found[1:-1].tolist() == [list(pair) for pair in zip(starts, limits, strict=True)]
        assert numbers == [None, *(number for number, word in enumerate(case["start"]) for _ in word), None]


@given(text=_TEXTS, second=_TEXTS | st.none())
def test_bytes_and_characters_are_the_same_places(tokenizer: Tokenizer, text: str, second: str | None) -> None:
    texts: list[Text] = ["the", text if second is None else (text, second)]
    tokens = tokenizer.tokens(texts, offsets=True)
    begin = int(tokens.row_splits[1])
    start = begin + int(second_starts(tokens, separate=_separate(tokenizer))[1])
    assert tokens.offsets is not None
    found = byte_offsets(tokens, texts, separate=_separate(tokenizer))
    for index, (characters, places) in enumerate(zip(tokens.offsets[begin:], found[begin:], strict=True), begin):
        source = (text if second is None or index < start else second).encode("utf-16", "surrogatepass")
        clean = source.decode("utf-16", "replace")
        assert clean.encode()[slice(*places)].decode() == clean[slice(*characters)]


@given(text=_TEXTS, second=_TEXTS | st.none())
def test_words_are_cut_at_blanks_and_punctuation(tokenizer: Tokenizer, text: str, second: str | None) -> None:
    pair: Text = text if second is None else (text, second)
    tokens = tokenizer.tokens(["fox", pair], offsets=True)
    words = word_ids(tokens, ["fox", pair], tokenizer.vocabulary)[1]
    assert len(words) == tokens.lengths[1]
    # Where None is: `[CLS]` and the separators.
    separators = tokens.ids[tokens.row_splits[1] :] == _separate(tokenizer)
    assert [number is None for number in words] == [True, *separators[1:].tolist()]
    segments = [list(group) for none, group in itertools.groupby(words, lambda number: number is None) if not none]
    for segment in segments:
        assert segment[0] == 0
        assert set(np.diff(segment)) <= {0, 1}


def _numbered(tokenizer: Tokenizer, text: Text) -> list[tuple[str, Any]]:
    tokens = tokenizer.tokens([text], offsets=True)
    pieces = tokenizer.convert_ids_to_tokens(tokens.ids.tolist())
    return list(zip(pieces, word_ids(tokens, [text], tokenizer.vocabulary)[0], strict=True))


def test_words_of_a_pair() -> None:
    tokenizer = Tokenizer.from_pretrained(_DATA / "models" / "tf2_v4")
    assert _numbered(tokenizer, ("the fox!", "It")) == [
        ("[CLS]", None),
        ("the", 0),
        ("f", 1),
        ("##o", 1),
        ("##x", 1),
        ("!", 2),
        ("[SEP]", None),
        ("it", 0),
        ("[SEP]", None),
    ]


def test_words_of_byte_pairs() -> None:
    assert _numbered(_byte_pairs(), ("the fox.x", "the")) == [
        ("<s>", None),
        ("the", 0),
        ("Ġfox", 1),
        (".", 2),
        ("x", 3),
        ("</s>", None),
        ("</s>", None),
        ("the", 0),
        ("</s>", None),
    ]


def test_where_the_last_text_begins(tokenizer: Tokenizer) -> None:
    texts = [("the fox", "the"), "the", ("", ""), ("[SEP] </s>", ""), ""]
    tokens = tokenizer.tokens(texts)
    starts = second_starts(tokens, separate=_separate(tokenizer)).tolist()
    firsts = tokenizer.segments(["the fox", "", "[SEP] </s>"]).lengths.tolist()
    between = tokenizer.least(pairs=True) - 2
    assert starts == [firsts[0] + 1 + between, 1, 1 + between, firsts[2] + 1 + between, 1]
    assert second_starts(tokenizer.tokens([]), separate=_separate(tokenizer)).tolist() == []
