import dataclasses
import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.engines.create import create_engine
from berthub.evaluation.scores import main_score
from berthub.head import Head, HiddenLayer
from berthub.networks.interface import INPUTS
from berthub.training.model import Adaptation, Scaling, TaskModel, build_model
from berthub.training.tasks import fine_tuner
from support.finetuning import EPOCHS, FIT, KINDS, WORDS, data, tuner

Fitted = Callable[..., Any]
Networks = Callable[..., tuple[Any, TaskModel]]


@pytest.fixture(scope="module")
def networks(start: Checkpoint) -> Networks:
    """A tuner that has learned a kind of task, and the Keras model that it made for that; done once."""

    @functools.cache
    def fit(kind: str, **options: Any) -> tuple[Any, TaskModel]:
        built = []

        def build(*args: Any, **given: Any) -> TaskModel:
            built.append(build_model(*args, **given))
            return built[0]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fine_tuner, "build_model", build)
            model = tuner(kind, start, **options).fit(*data(kind), **FIT, epochs=EPOCHS[kind])
        return model, built[0]

    return fit


@pytest.fixture(scope="module")
def fitted(networks: Networks) -> Fitted:
    """The tuner alone; not to be trained further."""
    return lambda kind, **options: networks(kind, **options)[0]


def _equal(ours: Any, theirs: Any, tolerance: float = 0.0) -> None:
    if isinstance(ours, list):
        assert len(ours) == len(theirs)
        ours, theirs = np.concatenate(ours), np.concatenate(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_each_task_is_learned(fitted: Fitted, kind: str) -> None:
    model = fitted(kind)
    losses = [entry["loss"] for entry in model.history]
    assert [entry["epoch"] for entry in model.history] == list(range(1, EPOCHS[kind] + 1))
    assert losses[-1] < 0.4 * losses[0]
    assert model.best_epoch == EPOCHS[kind]
    # Texts that it has not seen.
    found = model.evaluate(*data(kind, count=40, seed=1))
    assert found[main_score(model.checkpoint().head.task, found)] > 0.9
    if kind == "regress":
        # On the scale of the targets, 1000 to 1030.
        assert found["mean_absolute_error"] < 4


def test_what_comes_out_has_the_form_of_what_went_in(fitted: Fitted) -> None:
    assert fitted("many").labels == tuple(sorted(WORDS))
    assert fitted("many").predict(["the book", "of love"]) == ["book", "love"]
    assert fitted("two").predict_proba(["the war"]).shape == (1, 2)
    assert fitted("multi_label").predict(["the war and love", "the city"]) == [("love", "war"), ()]
    assert fitted("tag").predict([["the", "king", "of", "london"], []])[0][3] == "B-LOC"
    assert fitted("tag").labels == ("O", "B-LOC", "B-PER", "I-PER")
    values = fitted("regress").predict(["the war"])
    assert values.dtype == np.float32
    assert values.shape == (1,)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_it_says_the_same(fitted: Fitted, kind: str, tmp_path: Path) -> None:
    model, texts = fitted(kind), data(kind, seed=2)[0]
    model.save(tmp_path / "model")
    saved = hub.load(tmp_path / "model")
    assert list(saved.predict(texts)) == list(model.predict(texts))
    if kind != "regress":
        _equal(saved.predict_proba(texts), model.predict_proba(texts))


@pytest.mark.parametrize(
    ("kind", "options"), [*[(kind, {}) for kind in KINDS], ("two", {"lora_rank": 4}), ("two", {"pooling": "max"})]
)
def test_the_engine_gives_the_numbers_of_keras(
    keras: Any, start: Checkpoint, networks: Networks, kind: str, options: dict[str, Any]
) -> None:
    model, task_model = networks(kind, **options)
    texts = data(kind, seed=3)[0]
    tokenizer = hub.Tokenizer.from_checkpoint(start)
    if kind == "tag":
        # Every word here is one piece.
        encoded = tokenizer([" ".join(words) for words in texts], padding=True, return_tensors="np")
    else:
        encoded = tokenizer(texts, padding=True, return_tensors="np")
    inputs = {
        name: np.asarray(encoded[theirs], np.int32)
        for name, theirs in (
            ("input_word_ids", "input_ids"),
            ("input_mask", "attention_mask"),
            ("input_type_ids", "token_type_ids"),
        )
    }
    logits = keras.ops.convert_to_numpy(task_model.keras(inputs, training=False))
    logits = logits * task_model.scaling.scale + task_model.scaling.centre
    encoder = hub.Encoder(
        model.checkpoint(),
        tokenizer,
        create_engine(model.checkpoint(), precision="float32"),
    )
    ours = encoder.logits(texts).values
    if kind == "tag":
        logits = np.concatenate([row[1 : 1 + len(words)] for row, words in zip(logits, texts, strict=True)])
    _equal(ours, logits, 1e-5 * max(1.0, float(np.abs(logits).max())))


def test_without_keras_it_still_predicts(fitted: Fitted, tmp_path: Path) -> None:
    expected = {}
    for kind in ("two", "regress", "tag"):
        fitted(kind).save(tmp_path / kind)
        expected[kind] = [*fitted(kind).predict(data(kind, count=4)[0])]
    program = f"""
import sys
for name in ("keras", "torch", "tensorflow", "jax"):
    sys.modules[name] = None
import berthub as hub
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from support.finetuning import data
for kind in ("two", "regress", "tag"):
    print([str(part) for part in hub.load({str(tmp_path)!r} + "/" + kind).predict(data(kind, count=4)[0])])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str([str(part) for part in rows]) for rows in expected.values()]


@pytest.mark.parametrize("pooling", [None, "mean"])
def test_a_model_without_pooler_learns(start: Checkpoint, pooling: Any) -> None:
    bare = dataclasses.replace(
        start,
        config=dataclasses.replace(start.config, pooler=False),
        weights={name: weight for name, weight in start.weights.items() if "pooler" not in name},
    )
    model = tuner("two", bare, pooling=pooling).fit(*data("two"), **FIT, epochs=12)
    assert model.evaluate(*data("two", seed=1))["accuracy"] > 0.9
    assert model.checkpoint().head.pooling == (pooling or "cls")


def test_a_second_training_goes_on_with_the_head(fitted: Fitted, start: Checkpoint, tmp_path: Path) -> None:
    first = tuner("many", start, pooling="mean", max_length=20, labels=WORDS).fit(*data("many"), **FIT, epochs=12)
    first.save(tmp_path / "first")
    # In all that was not said anew, labels and their order too, the folder decides.
    second = hub.TextClassifier(tmp_path / "first")
    assert second.labels == WORDS
    assert second.predict(["the book"]) == ["book"]
    second.fit(*data("many"), **{**FIT, "learning_rate": 1e-4}, epochs=1)
    head = second.checkpoint().head
    assert (head.labels, head.pooling, head.max_length) == (WORDS, "mean", 20)
    assert second.history[0]["loss"] < 2 * first.history[-1]["loss"] + 0.05


def test_a_second_training_goes_on_with_the_hidden_layers(keras: Any, start: Checkpoint) -> None:
    draw, width = np.random.default_rng(3), start.config.hidden_size
    layer = HiddenLayer(
        kernel=draw.normal(0, 0.3, (width, width)).astype(np.float32),
        bias=draw.normal(0, 0.3, width).astype(np.float32),
        activation="gelu_erf",
        gamma=np.ones(width, np.float32),
        beta=np.zeros(width, np.float32),
        eps=1e-5,
    )
    head = Head(
        task="classify",
        labels=WORDS,
        pooling="cls",
        max_length=20,
        kernel=draw.normal(0, 0.3, (width, len(WORDS))).astype(np.float32),
        bias=np.zeros(len(WORDS), np.float32),
        hidden=(layer,),
    )
    begin = dataclasses.replace(start, head=head)
    model = build_model(
        begin,
        task="classify",
        labels=WORDS,
        pooling="cls",
        max_length=20,
        adaptation=Adaptation(),
        policy="float32",
        scaling=Scaling(),
    )
    found = model.checkpoint().head
    assert found is not None
    assert found.described() == head.described()
    for name, weight in head.weights.items():
        np.testing.assert_array_equal(found.weights[name], weight)
    assert sum("head" in variable.path for variable in model.keras.trainable_variables) == len(head.weights)
    encoded = hub.Tokenizer.from_checkpoint(start)(WORDS, padding=True, return_tensors="np")
    inputs = [np.asarray(encoded[name], np.int32) for name in ("input_ids", "attention_mask", "token_type_ids")]
    logits = keras.ops.convert_to_numpy(model.keras(dict(zip(INPUTS, inputs, strict=True)), training=False))
    encoder = hub.Encoder(begin, hub.Tokenizer.from_checkpoint(start), create_engine(begin, engine="numpy"))
    _equal(encoder.logits(WORDS).values, logits, 1e-5 * max(1.0, float(np.abs(logits).max())))


def test_a_second_training_with_other_labels_begins_with_a_new_head(fitted: Fitted) -> None:
    again = hub.TextClassifier(fitted("many").checkpoint(), labels=["no", "yes"])
    with pytest.raises(hub.BerthubError, match="has learned nothing yet"):
        again.predict(["the book"])
    texts, labels = data("two", count=8)
    again.fit(texts, ["yes" if label == "war" else "no" for label in labels], **FIT, epochs=1)
    assert again.labels == ("no", "yes")


def test_a_regression_begins_at_the_mean(start: Checkpoint) -> None:
    model = hub.TextRegressor(start, name="stars").fit(*data("regress"), **{**FIT, "learning_rate": 0.0}, epochs=1)
    np.testing.assert_allclose(model.predict(["the war"]), 1015, atol=5)
    assert model.labels == ("stars",)
    assert 0.8 < model.history[0]["loss"] < 1.3
    assert hub.TextRegressor(model.checkpoint()).labels == ("stars",)


def test_the_seed_decides(fitted: Fitted, start: Checkpoint) -> None:
    def weights(model: Any) -> Any:
        checkpoint = model.checkpoint()
        return np.concatenate([checkpoint.head.kernel.ravel(), *map(np.ravel, checkpoint.weights.values())])

    def train(seed: int) -> Any:
        return weights(tuner("two", start, seed=seed).fit(*data("two"), **FIT, epochs=EPOCHS["two"]))

    first = weights(fitted("two"))
    np.testing.assert_array_equal(train(0), first)
    assert not np.array_equal(train(1), first)


def test_only_what_is_not_frozen_moves(fitted: Fitted, start: Checkpoint) -> None:
    def moved(model: Any) -> set[str]:
        weights = model.checkpoint().weights
        return {name for name, weight in weights.items() if not np.array_equal(weight, start.weights[name])}

    partly = tuner("two", start, freeze_layers=1).fit(*data("two", count=8), **FIT, epochs=1)
    assert moved(partly) == {name for name in start.weights if "pooler" in name}
    assert moved(fitted("two", lora_rank=4)) == {name for name in start.weights if name.endswith("/kernel")}
    assert moved(fitted("two")) == set(start.weights)
    # Nothing that a tagger computes goes through the pooler.
    assert moved(fitted("tag")) == {name for name in start.weights if "pooler" not in name}


def test_bfloat16_trains_float32_weights(start: Checkpoint) -> None:
    model = tuner("two", start).fit(*data("two"), **{**FIT, "precision": "bfloat16"}, epochs=12)
    assert model.history[-1]["loss"] < 0.3 * model.history[0]["loss"]
    assert {weight.dtype for weight in model.checkpoint().weights.values()} == {np.dtype(np.float32)}


def test_the_best_epoch_is_kept(start: Checkpoint) -> None:
    texts, labels = data("two")
    wrong = ["love" if label == "war" else "war" for label in labels]
    model = tuner("two", start).fit(texts, labels, dev=(texts, wrong), **FIT, epochs=12, patience=2)
    accuracies = [entry["dev_accuracy"] for entry in model.history]
    assert model.best_epoch == 1 + int(np.argmax(accuracies))
    assert len(model.history) == model.best_epoch + 2
    assert model.evaluate(texts, wrong)["accuracy"] == max(accuracies)
