import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import berthub as hub
from berthub.encoding.prediction import Logits
from berthub.encoding.stages import Stages
from berthub.engines.create import create_engine
from berthub.errors import InputError
from berthub.formats import read
from berthub.head import Head

_MODEL = Path(__file__).parent.parent / "data" / "models" / "tf2_v4"
_TEXTS = ["The quick brown fox.", "", ("was it", "12 dogs?"), "It was the first day of May!"]
_SENTENCES = [["The", "quick", "fox"], [], ["São", "Paulo", "\u200b", "!"], ["dogs"] * 40]
_LABELS = ("a", "b", "c")
# Of float32 logits that are sums of 32 products.
_TOLERANCE = 1e-5


def _encoder(task: str, pooling: str | None = "pooled", labels: tuple[str, ...] = _LABELS, **options: Any) -> Any:
    checkpoint = read(_MODEL)
    draw = np.random.default_rng(1)
    head = Head(
        task=task,
        labels=labels,
        pooling=pooling,
        max_length=options.pop("max_length", 64),
        kernel=draw.normal(0, 0.3, (checkpoint.config.hidden_size, len(labels))).astype(np.float32),
        bias=draw.normal(0, 0.3, len(labels)).astype(np.float32),
    )
    checkpoint = dataclasses.replace(checkpoint, head=head)
    batching = {"batch_tokens": options.pop("batch_tokens")} if "batch_tokens" in options else {}
    engine = create_engine(checkpoint, **{"engine": "numpy", "precision": "float32", **options})
    tokenizer = hub.Tokenizer.from_checkpoint(checkpoint, max_length=head.max_length)
    return hub.Encoder(checkpoint, tokenizer, engine, **batching)


@pytest.fixture(scope="module")
def plain() -> hub.Encoder:
    return hub.load(_MODEL, engine="numpy")


@pytest.fixture(scope="module")
def tagger() -> hub.Encoder:
    return _encoder("tag", None)


class TestFidelity:
    @pytest.mark.parametrize("pooling", ["cls", "max", "mean", "pooled"])
    def test_a_head_on_texts(self, plain: hub.Encoder, pooling: str) -> None:
        encoder = _encoder("classify", pooling)
        expected = plain.embed(_TEXTS, pooling=pooling) @ encoder.head.kernel + encoder.head.bias
        np.testing.assert_allclose(encoder.logits(_TEXTS).values, expected, rtol=0, atol=_TOLERANCE)

    def test_a_head_on_words(self, plain: hub.Encoder, tagger: hub.Encoder) -> None:
        # Words that are no others when they are written as one text.
        out = plain.encode([" ".join(sentence) for sentence in (["the", "fox"], ["was", "May", "12"])])
        assert out.tokens == [
            ["[CLS]", "the", "f", "##o", "##x", "[SEP]"],
            ["[CLS]", "was", "may", "1", "##2", "[SEP]"],
        ]
        firsts = np.concatenate([out["sequence_output"][0, [1, 2]], out["sequence_output"][1, [1, 2, 3]]])
        expected = firsts @ tagger.head.kernel + tagger.head.bias
        logits = tagger.logits([["the", "fox"], ["was", "May", "12"]])
        np.testing.assert_allclose(logits.values, expected, rtol=0, atol=_TOLERANCE)
        assert logits.word_splits.tolist() == [0, 2, 5]

    def test_a_sentence_in_parts(self, plain: hub.Encoder) -> None:
        tagger = _encoder("tag", None, max_length=6)
        words = ["the", "fox", "was", "12"]
        alone = [tagger.predict_proba([part])[0] for part in (words[:2], words[2:])]
        np.testing.assert_allclose(tagger.predict_proba([words])[0], np.concatenate(alone), rtol=0, atol=_TOLERANCE)

    @pytest.mark.parametrize(("task", "pooling", "inputs"), [("classify", "mean", _TEXTS), ("tag", None, _SENTENCES)])
    def test_the_fast_engine_agrees_with_the_reference(self, task: str, pooling: str | None, inputs: list) -> None:
        ours, theirs = (_encoder(task, pooling, engine=name).logits(inputs) for name in ("openvino", "numpy"))
        np.testing.assert_allclose(ours.values, theirs.values, rtol=0, atol=_TOLERANCE)


class TestTasks:
    def test_classify(self) -> None:
        encoder = _encoder("classify")
        shares = encoder.predict_proba(_TEXTS)
        assert shares.shape == (4, 3)
        assert shares.dtype == np.float32
        np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
        assert encoder.predict(_TEXTS) == [_LABELS[index] for index in shares.argmax(1)]
        assert encoder.predict("The fox") == encoder.predict(["The fox"])
        assert encoder.predict([]) == []
        assert encoder.predict_proba([]).shape == (0, 3)

    def test_multi_label(self) -> None:
        encoder = _encoder("multi_label")
        shares = encoder.predict_proba(_TEXTS)
        assert shares.dtype == np.float32
        assert encoder.predict(_TEXTS) == [
            tuple(name for name, share in zip(_LABELS, row, strict=True) if share >= 0.5) for row in shares
        ]
        np.testing.assert_allclose(shares, 1 / (1 + np.exp(-encoder.logits(_TEXTS).values)), atol=1e-6)

    def test_regress(self) -> None:
        encoder = _encoder("regress", labels=("stars",))
        values = encoder.predict(_TEXTS)
        assert values.shape == (4,)
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, encoder.logits(_TEXTS).values[:, 0])
        for refused in (encoder.predict_proba, lambda texts: encoder.logits(texts).probabilities()):
            with pytest.raises(InputError, match=r"no probabilities: predict\(\) gives its values"):
                refused(_TEXTS)

    def test_tag(self, tagger: hub.Encoder) -> None:
        shares, tags = tagger.predict_proba(_SENTENCES), tagger.predict(_SENTENCES)
        assert [rows.shape for rows in shares] == [(len(sentence), 3) for sentence in _SENTENCES]
        assert tags == [[_LABELS[index] for index in rows.argmax(1)] for rows in shares]
        assert tags[1] == []
        assert tagger.predict([]) == tagger.predict_proba([]) == []
        assert tagger.predict([[]]) == [[]]

    def test_probabilities_do_not_overflow(self) -> None:
        values = np.array([[-1e4, 0], [1e4, -80]], np.float32)
        none_truncated = np.zeros(2, np.bool_)
        heads = [_encoder(task, labels=("a", "b")).head for task in ("classify", "multi_label")]
        softmax, sigmoid = (Logits(head, values, none_truncated).probabilities() for head in heads)
        np.testing.assert_array_equal(softmax, [[0, 1], [1, 0]])
        np.testing.assert_allclose(sigmoid, [[0, 0.5], [1, np.exp(-80.0)]], rtol=1e-6)


@settings(deadline=None, max_examples=25)
@given(
    inputs=st.lists(st.lists(st.sampled_from(["the", "fox", "12", "São", "!", "a" * 30]), max_size=30), max_size=8),
    budget=st.sampled_from([1, 64, 4096]),
    task=st.sampled_from(["classify", "tag"]),
    seed=st.randoms(),
)
@pytest.mark.filterwarnings("ignore::berthub.TruncationWarning")
def test_order_company_and_batches_change_nothing(inputs: list, budget: int, task: str, seed: Any) -> None:
    order = list(range(len(inputs)))
    seed.shuffle(order)
    if task == "classify":
        inputs = [" ".join(words) for words in inputs]
    encoder = _encoder(task, None if task == "tag" else "mean", batch_tokens=budget)
    together = encoder.predict_proba(iter(inputs))
    shuffled = encoder.predict_proba([inputs[index] for index in order])
    for place, index in enumerate(order):
        (alone,) = encoder.predict_proba([inputs[index]])
        np.testing.assert_allclose(together[index], alone, rtol=0, atol=_TOLERANCE)
        np.testing.assert_allclose(shuffled[place], alone, rtol=0, atol=_TOLERANCE)


class TestTruncation:
    @pytest.mark.parametrize("method", ["predict", "predict_proba", "logits"])
    def test_is_reported_once(self, method: str) -> None:
        encoder = _encoder("classify")
        with pytest.warns(
            hub.TruncationWarning, match="2 of 3 texts had more than 64 tokens and were truncated"
        ) as caught:
            getattr(encoder, method)(["the " * 100, "the", "fox " * 70])
        assert len(caught) == 1
        assert caught[0].filename == __file__

    def test_of_words(self, tagger: hub.Encoder) -> None:
        message = "1 of 3 sentences had a word of more than 62 pieces, of which the first were kept"
        with pytest.warns(hub.TruncationWarning, match=message) as caught:
            logits = tagger.logits([["the"], [], ["the", "a" * 90, "b" * 90]])
        assert len(caught) == 1
        assert logits.truncated.tolist() == [False, False, True]
        assert [len(tags) for tags in logits.predictions()] == [1, 0, 3]
        tagger.predict([["the"] * 200])  # split into rows, and nothing lost


class TestErrors:
    @pytest.mark.parametrize("method", ["predict", "predict_proba", "logits"])
    def test_no_head(self, plain: hub.Encoder, method: str) -> None:
        assert plain.head is None
        with pytest.raises(InputError, match=r"was not fine-tuned, it has no head .* berthub\.TextClassifier trains"):
            getattr(plain, method)(["a"])

    def test_texts_for_words_and_words_for_texts(self, tagger: hub.Encoder) -> None:
        for texts in ("The fox", ["The fox"]):
            with pytest.raises(InputError, match="split"):
                tagger.predict(texts)
        with pytest.raises(InputError, match="text 0 is of type list"):
            _encoder("classify").predict([["The", "quick", "fox"]])


class TestSaved:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        _encoder("classify", max_length=7).save(tmp_path / "model")
        return tmp_path / "model"

    def test_predicts_the_same(self, folder: Path) -> None:
        texts = ["The fox", "was it", ""]
        saved = hub.load(folder, precision="float32")
        np.testing.assert_allclose(
            saved.predict_proba(texts), _encoder("classify", max_length=7).predict_proba(texts), rtol=0, atol=1e-5
        )

    def test_the_length_of_the_fine_tuning_is_the_default(self, folder: Path) -> None:
        assert hub.load(folder, engine="numpy").max_length == 7
        assert hub.load(folder, engine="numpy", max_length=64).max_length == 64


def test_summary(plain: hub.Encoder, tagger: hub.Encoder) -> None:
    assert "fine-tuned" not in plain.summary()
    assert "fine-tuned:   tag, 3 labels: a, b, c\n" in tagger.summary()
    assert "regress, 1 label: stars\n" in _encoder("regress", labels=("stars",)).summary()
    many = _encoder("classify", labels=tuple(f"label{number}" for number in range(2000)))
    assert "classify, 2,000 labels: label0, " in many.summary()
    assert "label9, ...\n" in many.summary()


def test_the_stages_take_the_parts_of_a_model() -> None:
    encoder = _encoder("classify")
    checkpoint = dataclasses.replace(read(_MODEL), head=encoder.head)
    engine = create_engine(checkpoint, engine="numpy")
    logits = Stages(checkpoint, encoder.tokenizer, engine, engine.limits).logits(_TEXTS)
    np.testing.assert_allclose(logits.values, encoder.logits(_TEXTS).values, rtol=0, atol=_TOLERANCE)


def test_only_the_vectors_of_words_are_kept(tagger: hub.Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine may use its memory again for the next result."""
    run: Callable[..., Any] = tagger._engine.run

    def reusing(batches: Any, outputs: Any) -> Any:
        for done in run(batches, outputs):
            yield done
            done.outputs[0].fill(np.nan)

    expected = tagger.logits(_SENTENCES).values
    monkeypatch.setattr(tagger._engine, "run", reusing)
    np.testing.assert_array_equal(tagger.logits(_SENTENCES).values, expected)
