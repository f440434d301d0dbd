import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.encoding.request import Request
from berthub.encoding.windows import Window
from berthub.engines.numpy import NumpyEngine
from berthub.errors import InputError

_TEXTS = ["The quick brown fox.", "", ("was it", "12 dogs?"), "a dog", "a dog", "the " * 100]


@pytest.fixture(scope="module")
def encoder(models: Path) -> hub.Encoder:
    return hub.load(models / "tf2_v4", engine="numpy")


@pytest.fixture(autouse=True)
def _no_warning() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _expected(encoder: hub.Encoder, texts: list[Any], **options: Any) -> hub.Encodings:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hub.TruncationWarning)
        return encoder.encode(texts, **options)


def test_stages_of_different_calls_overlap(encoder: hub.Encoder) -> None:
    stages, calls = encoder.stages, [_TEXTS[:3], _TEXTS[2:]]
    request = Request.of_outputs(encoder.checkpoint, layers="all", pooling="mean", outputs=["pooled_output"])
    prepared = [stages.prepare(texts) for texts in calls]
    computed = [stages.compute(one, request) for one in reversed(prepared)][::-1]
    for texts, one, arrays in zip(calls, prepared, computed, strict=True):
        out = stages.finish(one, arrays, request)
        expected = _expected(encoder, texts, layers="all")
        np.testing.assert_array_equal(out["pooled_output"], expected["pooled_output"])
        for layer, other in zip(out["encoder_outputs"], expected["encoder_outputs"], strict=True):
            np.testing.assert_array_equal(layer, other)
        assert out["embedding"].shape == (len(texts), encoder.config.hidden_size)
        np.testing.assert_array_equal(out.input_ids, expected.input_ids)


def test_what_is_prepared_tells_what_was_truncated_and_what_is_computed(encoder: hub.Encoder) -> None:
    prepared = encoder.stages.prepare(_TEXTS)
    assert prepared.truncated.tolist() == [False] * 5 + [True]
    assert len(prepared.tokens) == 6
    assert len(prepared.distinct) == 5
    assert prepared.which is not None
    assert prepared.which.tolist() == [0, 1, 2, 3, 3, 4]
    assert prepared.windows is None
    whole = encoder.stages.prepare(_TEXTS, window=Window(16, 4))
    assert not whole.truncated.any()
    assert whole.windows is not None
    assert whole.windows.lengths.tolist() == whole.distinct.lengths.tolist()


def test_what_cannot_be_computed_is_refused_when_it_is_prepared(encoder: hub.Encoder) -> None:
    with pytest.raises(InputError, match="1 of 6 texts have more than 64 tokens, the first is text 5 with 102"):
        encoder.stages.prepare(_TEXTS, truncation=False)
    with pytest.raises(InputError, match="text 0 is a pair, whose first text is kept whole"):
        encoder.stages.prepare([("the " * 20, "a dog " * 20)], window=Window(16, 4))
    with pytest.raises(InputError, match="text 1 is of type int"):
        encoder.stages.prepare(["a", 1])  # type: ignore[list-item]


def test_nothing_warns_and_the_results_tell(encoder: hub.Encoder) -> None:
    request = Request.of_vectors(encoder.checkpoint, pooling="mean")
    encodings = encoder.stages.encode(_TEXTS, request)
    assert encodings.truncated.sum() == 1
    chunks = [*encoder.stages.stream(_TEXTS, request, chunk_size=4)]
    assert [int(chunk.truncated.sum()) for chunk in chunks] == [0, 1]
    np.testing.assert_allclose(
        np.concatenate([chunk["embedding"] for chunk in chunks]), encodings["embedding"], rtol=0, atol=1e-6
    )


def test_the_budget_of_an_encoder_is_that_of_its_stages(encoder: hub.Encoder) -> None:
    assert encoder.stages.limits == encoder._engine.limits
    other = hub.Encoder(encoder.checkpoint, encoder.tokenizer, encoder._engine, batch_tokens=7)
    assert other.stages.limits.tokens == 7
    assert other.stages.limits.padded


def test_texts_are_checked_and_copied(encoder: hub.Encoder) -> None:
    stages, request = encoder.stages, Request.of_outputs(encoder.checkpoint)
    assert len(stages.encode("a dog", request)) == len(encoder.encode("a dog"))
    assert stages.encode((text for text in ["a dog", "12"]), request).texts == ["a dog", "12"]
    texts = ["a dog", "12"]
    prepared = stages.prepare(texts)
    texts[0] = "changed"
    assert prepared.texts == ["a dog", "12"]
    with pytest.raises(InputError, match="texts are a list"):
        stages.prepare(3)  # type: ignore[arg-type]


def test_a_request_for_nothing_is_refused(encoder: hub.Encoder) -> None:
    stages = encoder.stages
    with pytest.raises(InputError, match="asks for nothing"):
        stages.compute(stages.prepare(["a dog"]), Request())
    with pytest.raises(InputError, match="asks for nothing"):
        next(stages.stream(["a dog"], Request()))
    with pytest.raises(InputError, match="asks for nothing"):
        encoder.encode(["a dog"], outputs=(), layers=[])
    with pytest.raises(InputError, match="asks for nothing"):
        next(iter(encoder.stream(["a dog"], outputs=(), layers=[])))


def test_stages_say_what_to_pickle(encoder: hub.Encoder) -> None:
    with pytest.raises(TypeError, match="pickle or copy the Encoder"):
        pickle.dumps(encoder.stages)
    assert pickle.loads(pickle.dumps(encoder)).stages.prepare(["a dog"]).tokens.ids.tolist()


def test_an_engine_without_limits_is_refused(encoder: hub.Encoder) -> None:
    class WithoutLimits(NumpyEngine):
        limits = None  # type: ignore[assignment]

    with pytest.raises(InputError, match="WithoutLimits does not say which batches suit it"):
        hub.Encoder(encoder.checkpoint, encoder.tokenizer, WithoutLimits(encoder.checkpoint))


@pytest.mark.parametrize("batch_tokens", [0, 1.5, True, "a"])
def test_batch_tokens_are_a_number(encoder: hub.Encoder, batch_tokens: Any) -> None:
    with pytest.raises(InputError, match="batch_tokens must be a whole number from 1"):
        hub.Encoder(encoder.checkpoint, encoder.tokenizer, NumpyEngine(encoder.checkpoint), batch_tokens=batch_tokens)


def test_the_error_of_a_property_is_not_hidden(models: Path) -> None:
    class Broken(hub.Encoder):
        @property
        def precision(self) -> str:
            return self._engine.no_such_thing  # type: ignore[attr-defined]

    encoder = hub.load(models / "tf2_v4", engine="numpy")
    broken = Broken(encoder.checkpoint, encoder.tokenizer, NumpyEngine(encoder.checkpoint))
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = broken.precision
