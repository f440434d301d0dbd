"""Embedding tables with more rows than the vocabulary has pieces, as tables that are padded to a multiple of 64."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from berthub.checkpoint import Checkpoint
from berthub.encoding.encoder import Encoder
from berthub.engines.create import create_engine
from berthub.errors import CheckpointError
from berthub.exports import export
from berthub.formats import read
from berthub.tokenization.tokenizer import Tokenizer
from berthub.vocabulary import Vocabulary
from support.tiny import tiny_checkpoint

_ROWS, _PIECES = 40, 33
_TABLE, _BIAS = "bert/embeddings/word_embeddings", "cls/predictions/output_bias"


@pytest.fixture
def padded() -> Checkpoint:
    tiny = tiny_checkpoint("bert", embedding_size=None)
    bias = tiny.weights[_BIAS].copy()
    # The likeliest of all, if it were a piece.
    bias[_PIECES:] = 100
    return dataclasses.replace(
        tiny,
        weights={**tiny.weights, _BIAS: bias},
        vocabulary=Vocabulary(tiny.vocabulary.pieces[:_PIECES]),
    )


@pytest.mark.parametrize("form", ["native", "huggingface", "google"])
def test_they_load_and_keep_their_rows(padded: Checkpoint, tmp_path: Path, form: str) -> None:
    again = read(export(padded, tmp_path / "model", to=form))
    assert (again.config.vocab_size, len(again.vocabulary)) == (_ROWS, _PIECES)
    np.testing.assert_array_equal(again.weights[_TABLE], padded.weights[_TABLE])


@pytest.mark.parametrize("engine", ["numpy", "openvino"])
def test_rows_without_a_piece_fill_no_mask(padded: Checkpoint, engine: str) -> None:
    tokenizer = Tokenizer.from_checkpoint(padded)
    encoder = Encoder(padded, tokenizer, create_engine(padded, engine=engine, precision="float32"))
    found = encoder.fill_mask("w1 [MASK] w2", top_k=_PIECES)
    assert {filling.id for filling in found} == set(range(_PIECES))
    assert encoder.encode(["w1 w2"])["sequence_output"].shape == (1, 4, 24)
    assert f"{_PIECES} pieces" in encoder.summary()


def test_fewer_rows_than_pieces_are_an_error(padded: Checkpoint) -> None:
    pieces = (*padded.vocabulary.pieces, *(f"new{number}" for number in range(8)))
    with pytest.raises(CheckpointError, match="has 41 pieces, and the embedding table 40 rows for them"):
        dataclasses.replace(padded, vocabulary=Vocabulary(pieces))
