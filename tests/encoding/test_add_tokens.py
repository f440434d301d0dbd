"""Tokens that are added to a model: found in texts, with rows of their own, kept by everything that is written."""

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.errors import InputError
from berthub.exports import export
from berthub.formats import read
from berthub.vocabulary import AddedToken
from support.tiny import tiny_checkpoint
from support.vocabularies import sentencepiece_model

_NEW = ["covid", AddedToken(content="[E1]", normalized=False, special=True), "w3"]
_TEXT = "w1 covid w2[E1]w3 covids"


@pytest.fixture(scope="module")
def encoder(models: Path) -> hub.Encoder:
    encoder = hub.load(models / "hf_bert", engine="numpy")
    assert isinstance(encoder, hub.Encoder)
    return encoder


def test_tokens_are_found_and_have_the_mean_as_their_vectors(encoder: hub.Encoder) -> None:
    new = encoder.add_tokens(["covid", AddedToken(content="[E1]", normalized=False, special=True)])
    count = len(encoder.vocabulary)
    assert new.tokenizer.convert_tokens_to_ids(["covid", "[E1]"]) == [count, count + 1]
    assert "covid" in new.tokenizer.tokenize("Covid[E1] now")
    assert "covid" not in encoder.tokenizer.tokenize("covid")
    table = "bert/embeddings/word_embeddings"
    old, grown = encoder.checkpoint.weights[table], new.checkpoint.weights[table]
    np.testing.assert_array_equal(grown[:count], old[:count])
    np.testing.assert_allclose(grown[count:], np.tile(old[:count].mean(0), (2, 1)), atol=1e-7)
    np.testing.assert_array_equal(new.embed(["the cat"]), encoder.embed(["the cat"]))
    assert np.isfinite(new.embed(["covid [E1]"])).all()


def test_ids_are_those_of_transformers(encoder: hub.Encoder, models: Path) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(models / "hf_bert")
    theirs.add_tokens([str(_NEW[0]), transformers.AddedToken("[E1]", normalized=False, special=True), "w3"])
    ours = encoder.tokenizer.add_tokens(_NEW)
    assert ours(_TEXT)["input_ids"] == theirs(_TEXT)["input_ids"]


def test_what_is_written_keeps_them(encoder: hub.Encoder, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(3, encoder.config.hidden_size)).astype(np.float32)
    new = encoder.add_tokens(_NEW, vectors=vectors)
    expected = new.embed([_TEXT])
    new.save(tmp_path / "native")
    export(new.checkpoint, tmp_path / "huggingface", to="huggingface")
    for form in ("native", "huggingface"):
        again = hub.load(tmp_path / form, engine="numpy")
        assert isinstance(again, hub.Encoder)
        np.testing.assert_allclose(again.embed([_TEXT]), expected, atol=1e-6)
        assert again.tokenizer(_TEXT)["input_ids"] == new.tokenizer(_TEXT)["input_ids"]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(new)).embed([_TEXT]), expected)
    np.testing.assert_array_equal(read(tmp_path / "native").weights["bert/embeddings/word_embeddings"][-3:], vectors)


def test_a_padded_table_gives_its_own_rows() -> None:
    checkpoint = tiny_checkpoint("bert", vocab_size=48, tokenization="transformers")
    pieces = len(checkpoint.vocabulary)
    new = checkpoint.add_tokens(["covid"])
    assert new.config.vocab_size == 48
    bias = "cls/predictions/output_bias"
    np.testing.assert_allclose(new.weights[bias][pieces], checkpoint.weights[bias][:pieces].mean(), atol=1e-7)
    np.testing.assert_array_equal(new.weights[bias][pieces + 1 :], checkpoint.weights[bias][pieces + 1 :])


def test_what_cannot_be_added_is_an_error() -> None:
    checkpoint = tiny_checkpoint("bert", tokenization="transformers")
    for tokens in ("covid", [""], [" "], [3], 3):
        with pytest.raises(InputError, match=r"added token|tokens are a list"):
            checkpoint.add_tokens(tokens)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"vectors must have the shape \(1, 12\)"):
        checkpoint.add_tokens(["covid"], vectors=np.zeros((2, 12)))
    google = dataclasses.replace(checkpoint, config=dataclasses.replace(checkpoint.config, tokenization="google"))
    for thing in (google, hub.Tokenizer(google.vocabulary)):
        with pytest.raises(InputError, match="'google'"):
            thing.add_tokens(["covid"])
    with pytest.raises(InputError, match="ALBERT"):
        hub.Tokenizer(sentencepiece_model(), tokenization="transformers").add_tokens(["covid"])
