from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.encoding.repeats import without_repeats
from berthub.engines.create import create_engine
from berthub.engines.engine import AnyBatch, Engine, Result
from berthub.formats import read
from berthub.networks.outputs import Output


class _Counting(Engine):
    """Another engine, and how many texts it has computed."""

    def __init__(self, engine: Engine) -> None:
        self.name, self.precision = engine.name, engine.precision
        self.limits = engine.limits
        self.engine, self.rows = engine, 0

    def run(self, batches: Iterable[AnyBatch], outputs: Sequence[Output]) -> Iterator[Result]:
        for result in self.engine.run(batches, outputs):
            self.rows += len(result.batch.rows)
            yield result


@pytest.fixture(params=["tf2_v4", "keras2_classifier"])
def encoder(models: Path, request: pytest.FixtureRequest) -> hub.Encoder:
    checkpoint = read(models / request.param)
    tokenizer = hub.Tokenizer.from_checkpoint(checkpoint)
    return hub.Encoder(checkpoint, tokenizer, _Counting(create_engine(checkpoint, precision="float32")))


# The first two differ in nothing that the model sees; a pair has the pieces of one text, and other type ids.
_TEXTS = [
    "the fox",
    "The  FOX",
    "a dog",
    ("the fox", "a dog"),
    "the fox",
    "a dog",
    ("the", "fox a dog"),
    "a dog and more",
]


def test_equal_texts_are_computed_once_and_all_are_answered(encoder: hub.Encoder) -> None:
    out = encoder.encode(_TEXTS, outputs=["sequence_output"])
    assert encoder._engine.rows == 5
    for place, text in enumerate(_TEXTS):
        alone = encoder.encode([text], outputs=["sequence_output"])["sequence_output"][0]
        np.testing.assert_allclose(out.ragged()[place], alone, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(out.input_ids[0], out.input_ids[4])
    assert out.texts == _TEXTS


def test_predictions_too(models: Path) -> None:
    checkpoint = read(models / "keras2_classifier")
    engine = _Counting(create_engine(checkpoint, precision="float32"))
    encoder = hub.Encoder(checkpoint, hub.Tokenizer.from_checkpoint(checkpoint), engine)
    probabilities = encoder.predict_proba(_TEXTS)
    assert engine.rows == 5
    alone = np.concatenate([encoder.predict_proba([text]) for text in _TEXTS])
    np.testing.assert_allclose(probabilities, alone, rtol=0, atol=1e-5)


def test_in_windows(encoder: hub.Encoder) -> None:
    texts = ["the fox and the dog and the cat", "a", "the fox and the dog and the cat"]
    vectors = encoder.embed(texts, window=6, stride=1)
    np.testing.assert_array_equal(vectors[0], vectors[2])
    np.testing.assert_allclose(vectors[:1], encoder.embed(texts[:1], window=6, stride=1), rtol=0, atol=1e-5)


def test_where_all_differ_the_tokens_are_passed_on(encoder: hub.Encoder) -> None:
    tokens = encoder.tokenizer.tokens(["a", "b", "c"])
    assert without_repeats(tokens) == (tokens, None)
    nothing = encoder.tokenizer.tokens([])
    assert without_repeats(nothing) == (nothing, None)
