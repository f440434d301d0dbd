"""Tokens as text again, against Hugging Face's decoders."""

from pathlib import Path

import pytest

import berthub as hub
from berthub.errors import InputError
from berthub.tokenization.decoding import decoded


@pytest.mark.parametrize("model", ["tf2_v4", "albert_v3", "keras_hub_roberta"])
def test_texts_come_back(models: Path, model: str) -> None:
    tokenizer = hub.Tokenizer.from_pretrained(models / model)
    text = "the fox was quick."
    ids = tokenizer(text)["input_ids"]
    known = tokenizer.vocabulary.ids[tokenizer.vocabulary.unknown] not in ids
    found = decoded(ids, tokenizer, skip_special=True)
    assert found.strip() == text or not known
    whole = decoded(ids, tokenizer, skip_special=False)
    assert whole.strip().startswith(tokenizer.vocabulary.classify)
    assert decoded([], tokenizer, skip_special=True) == ""


def test_ids_that_are_none(models: Path) -> None:
    tokenizer = hub.Tokenizer.from_pretrained(models / "tf2_v4")
    with pytest.raises(InputError, match="ids are whole numbers from 0 to"):
        decoded([10**6], tokenizer, skip_special=True)
