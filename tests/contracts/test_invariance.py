"""A text's encoding depends on nothing but the text."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import berthub as hub
from berthub.engines.create import create_engine
from berthub.formats import read

TOLERANCE = 1e-5
_MODELS = Path(__file__).parent.parent / "data" / "models"
_WORDS = st.sampled_from(["the", "quick", "brown", "fox", "12", "dogs", ",", "in", "São", "Paulo", "—", "日本", "!"])
_TEXTS = st.one_of(st.text(max_size=60), st.lists(_WORDS, max_size=80).map(" ".join))
_ITEMS = st.one_of(_TEXTS, st.tuples(_TEXTS, _TEXTS))


@pytest.fixture(scope="module")
def bert() -> hub.Encoder:
    return hub.load(_MODELS / "tf2_v4", precision="float32")


@pytest.fixture(scope="module")
def reference() -> hub.Encoder:
    return hub.load(_MODELS / "tf2_v4", engine="numpy")


pytestmark = pytest.mark.filterwarnings("ignore::berthub.TruncationWarning")


@settings(deadline=None, max_examples=40)
@given(texts=st.lists(_ITEMS, min_size=1, max_size=12), seed=st.randoms())
def test_order_and_company_change_nothing(bert: hub.Encoder, texts: list, seed) -> None:
    together = bert.encode(texts, layers=[0])
    order = list(range(len(texts)))
    seed.shuffle(order)
    shuffled = bert.encode([texts[index] for index in order], layers=[0])
    for place, index in enumerate(order):
        alone = bert.encode([texts[index]], layers=[0])
        length = alone.input_ids.shape[1]
        for other, row in ((together, index), (shuffled, place)):
            np.testing.assert_array_equal(other.input_ids[row, :length], alone.input_ids[0])
            np.testing.assert_allclose(other["pooled_output"][row], alone["pooled_output"][0], rtol=0, atol=TOLERANCE)
            for ours, theirs in (
                (other["sequence_output"], alone["sequence_output"]),
                (other["encoder_outputs"][0], alone["encoder_outputs"][0]),
            ):
                np.testing.assert_allclose(ours[row, :length], theirs[0], rtol=0, atol=TOLERANCE)
                assert not ours[row, length:].any()


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(texts=st.lists(_TEXTS, min_size=1, max_size=20), budget=st.sampled_from([1, 7, 64, 100_000]))
def test_batch_size_changes_nothing(bert: hub.Encoder, texts: list[str], budget: int) -> None:
    checkpoint = read(_MODELS / "tf2_v4")
    engine = create_engine(checkpoint, precision="float32")
    other = hub.Encoder(checkpoint, bert.tokenizer, engine, batch_tokens=budget)
    np.testing.assert_allclose(other.embed(texts), bert.embed(texts), rtol=0, atol=TOLERANCE)
    arrays = bert.tokenizer(texts, padding=True, truncation=True, return_tensors="np")
    ours, theirs = other(arrays), bert(arrays)
    np.testing.assert_allclose(ours["sequence_output"], theirs["sequence_output"], rtol=0, atol=TOLERANCE)


@settings(deadline=None, max_examples=20)
@given(texts=st.lists(_ITEMS, min_size=1, max_size=6))
def test_the_engine_agrees_with_the_reference(bert: hub.Encoder, reference: hub.Encoder, texts: list) -> None:
    ours, theirs = (model.encode(texts, layers="all") for model in (bert, reference))
    for key in ("pooled_output", "sequence_output"):
        np.testing.assert_allclose(ours[key], theirs[key], rtol=0, atol=TOLERANCE)
    for pooling in ("cls", "mean", "max", "pooled"):
        layer = -1 if pooling == "pooled" else 0
        np.testing.assert_allclose(
            bert.embed(texts, pooling=pooling, layer=layer),
            reference.embed(texts, pooling=pooling, layer=layer),
            rtol=0,
            atol=TOLERANCE,
        )


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_what_is_masked_does_not_matter(bert: hub.Encoder, data: st.DataObject) -> None:
    rows, width = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 20))
    draw = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    ids = draw.integers(0, bert.config.vocab_size, (rows, width))
    mask = draw.integers(0, 2, (rows, width))
    mask[:, 0] = 1
    other = np.where(mask == 1, ids, draw.integers(0, bert.config.vocab_size, (rows, width)))
    one, two = (bert([each, mask]) for each in (ids, other))
    inside = mask.astype(bool)
    np.testing.assert_allclose(one["sequence_output"][inside], two["sequence_output"][inside], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(one["pooled_output"], two["pooled_output"], rtol=0, atol=TOLERANCE)
