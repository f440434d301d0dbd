"""What does not fit is told before any model is built, and leaves nothing behind."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.embedding import Embedding
from berthub.errors import InputError, MissingDependencyError
from berthub.training.tasks import fine_tuner
from support.finetuning import data, tuner

NAN = float("nan")


@pytest.fixture(autouse=True)
def _nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: Any, **__: Any) -> None:
        raise AssertionError("a model was built")

    monkeypatch.setattr(fine_tuner, "build_model", build)


TEXTS = ["the war", "of love", "the war"]
LABELS = ["a", "b", "a"]
WORDS = [["the", "war"], ["of"]]
TAGS = [["O", "B-X"], ["O"]]


@pytest.mark.parametrize(
    ("kind", "texts", "labels", "options", "message"),
    [
        ("two", TEXTS, LABELS[:2], {}, "there are 3 training texts and 2 labels: each text needs its own"),
        ("two", [], [], {}, "there are no training texts"),
        ("two", TEXTS, ["a"] * 3, {}, "classification needs at least 2 different labels, and there are 1: ['a']"),
        ("two", TEXTS, "aba", {}, "the training labels are a list, one for each text, and not 'aba' (of type str)"),
        ("two", TEXTS, 3, {}, "the training labels are a list"),
        ("two", None, LABELS, {}, "texts are a list of str or of pairs of them, not of type NoneType"),
        ("two", np.array([TEXTS]), LABELS, {}, "has 2 dimensions"),
        ("two", ["a", 3, "b"], LABELS, {}, "text 1 is of type int: 3; a text is a str, or a pair"),
        ("two", ["a", None, "b"], LABELS, {}, "text 1 is of type NoneType: None"),
        ("two", ["a", NAN, "b"], LABELS, {}, "text 1 is of type float: nan"),
        ("two", TEXTS, ["a", None, "b"], {}, "that of training text 1 is None (of type NoneType)"),
        ("two", TEXTS, ["a", 0.5, "b"], {}, "a label is a str, or a whole number; that of training text 1 is 0.5"),
        ("two", TEXTS, ["a", "", "b"], {}, "that of training text 1 is '' (of type str)"),
        ("two", TEXTS, LABELS, {"labels": ["a", "b", "c"]}, "no training text has the label 'c': the class is empty"),
        ("two", TEXTS, LABELS, {"labels": ["a", "c"]}, "the training labels 'b' are not known; known are: 'a', 'c'"),
        ("multi_label", TEXTS, LABELS, {}, "the labels of a text are a collection of str; those of training text 0"),
        ("multi_label", TEXTS, [(), (), ()], {}, "at least 1 different labels, and there are 0"),
        ("multi_label", TEXTS, np.eye(3, dtype=int), {}, "has a label twice"),
        ("multi_label", TEXTS, [("a",), (None,), ()], {}, "that of training text 1 is None"),
        ("regress", TEXTS, [1.0, NAN, 2.0], {}, "the value of training text 1 must be a finite number, not nan"),
        ("regress", TEXTS, [1.0, "2", 2.0], {}, "the value of training text 1 must be a finite number, not '2'"),
        ("regress", TEXTS, [True, False, True], {}, "the value of training text 0 must be a finite number, not True"),
        ("regress", TEXTS, [2, 2, 2.0], {}, "all training values are 2: there is nothing to learn"),
        ("tag", WORDS, [["O"], ["O"]], {}, "training sentence 0 has 2 words and 1 tags"),
        ("tag", ["the war", "of"], TAGS, {}, "training sentence 0: the words must be a list, not 'the war'"),
        ("tag", WORDS, ["O B", "O"], {}, "training sentence 0: the tags must be a list, not 'O B'"),
        ("tag", WORDS, [["O", 1], ["O"]], {}, "tag 1 of training sentence 0 must be a str, not 1"),
        ("tag", [["the", 1], ["of"]], TAGS, {}, "word 1 of sentence 0 is of type int: 1"),
        ("tag", WORDS, [["O", "O"], ["O"]], {}, "tagging needs at least two different tags, and there are 1: ['O']"),
        ("tag", WORDS, TAGS, {"labels": ["O", "B-X", "I-X"]}, "no training word has the tag 'I-X'"),
        ("tag", [[], []], [[], []], {}, "there are no words in the training sentences"),
    ],
)
def test_training_data_that_do_not_fit(
    start: Checkpoint, tmp_path: Path, kind: str, texts: Any, labels: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        tuner(kind, start, **options).fit(texts, labels, run=tmp_path / "run")
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "dev", "message"),
    [
        ("two", (["the war"], ["peace"]), "the dev labels 'peace' are not known; known are: 'love', 'war'"),
        ("two", (["the war"], []), "there are 1 dev texts and 0 labels"),
        ("two", ([], []), "there are no dev texts"),
        ("two", (["the war", 7], ["war", "love"]), "text 1 is of type int: 7"),
        ("two", ["the war"], "dev must be a tuple of texts and labels"),
        ("two", "ab", "dev must be a tuple of texts and labels, dev=(texts, labels), not 'ab' (of type str)"),
        ("multi_label", (["the war"], [("peace",)]), "the dev labels 'peace' are not known"),
        ("regress", (["the war"], [NAN]), "the value of dev text 0 must be a finite number"),
        ("regress", (["the war"] * 2, [3, 3]), "all dev values are 3: there is no correlation to tell epochs by"),
        ("tag", ([["sea"]], [["B-SEA"]]), "the dev labels 'B-SEA' are not known; known are: 'O', 'B-LOC'"),
        ("tag", ([["sea"]], [["O", "O"]]), "dev sentence 0 has 1 words and 2 tags"),
        ("tag", ([["sea", 3]], [["O", "O"]]), "word 1 of sentence 0 is of type int: 3"),
    ],
)
def test_dev_data_that_do_not_fit(start: Checkpoint, tmp_path: Path, kind: str, dev: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        tuner(kind, start).fit(*data(kind), dev=dev, run=tmp_path / "run")
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("two", {"labels": "ab"}, "labels must be a list of str, not 'ab'"),
        ("two", {"labels": 2}, "labels must be a list of str, not 2"),
        ("two", {"labels": []}, "labels must not be empty: leave them out"),
        ("two", {"labels": ["a", None]}, "labels must be a list of str, and one of them is None"),
        ("two", {"labels": ["a", "b", "a"]}, "labels must be different from each other"),
        ("two", {"pooling": "average"}, "pooling='average' is not known; use one of "),
        ("tag", {"pooling": "mean"}, "a tagger sees every token, so there is no pooling to choose"),
        ("two", {"max_length": 2}, "max_length must be a whole number from 3 to 64, not 2"),
        ("two", {"max_length": 65}, "max_length must be a whole number from 3 to 64, not 65"),
        ("two", {"dropout": 1}, "dropout must be from 0 to less than 1, not 1"),
        ("two", {"seed": -1}, "seed must be a whole number from 0, not -1"),
        ("two", {"freeze_layers": 3}, "freeze_layers must be a whole number from 0 to 1, not 3"),
        ("two", {"lora_rank": 0}, "lora_rank must be a whole number from 1 to 32, not 0"),
        ("two", {"lora_rank": 2, "lora_alpha": "x"}, "lora_alpha must be a number more than 0, not 'x'"),
        ("regress", {"labels": ["a"]}, "a regression has no labels; name= is what its number is called"),
        ("regress", {"name": 3}, "name must be a str, not 3"),
    ],
)
def test_options_that_do_not_fit(start: Checkpoint, kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        tuner(kind, start, **options)
    assert message in str(caught.value)


def test_the_length_of_sentence_vectors_is_not_that_of_training(start: Checkpoint) -> None:
    own = dataclasses.replace(start, embedding=Embedding(poolings=("mean",), max_length=4))
    # No text is reported as truncated.
    with pytest.raises(AssertionError, match="a model was built"):
        hub.TextClassifier(own).fit(["the war of love " * 3, "of love", "the war"], LABELS)


def test_a_model_without_pooler_has_no_pooled_output(start: Checkpoint) -> None:
    bare = dataclasses.replace(
        start,
        config=dataclasses.replace(start.config, pooler=False),
        weights={name: weight for name, weight in start.weights.items() if "pooler" not in name},
    )
    with pytest.raises(InputError, match="this model has no pooler: use pooling='cls', 'mean' or 'max'"):
        hub.TextClassifier(bare, pooling="pooled")


def test_run_folders_that_do_not_fit(start: Checkpoint, tmp_path: Path) -> None:
    def fit(run: Any, **options: Any) -> None:
        tuner("two", start).fit(*data("two"), run=run, **options)

    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("")
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "berthub.json").write_text("{}")
    (tmp_path / "half" / "training-state").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    for run, options, message in (
        ("full", {}, "exists and is not an empty folder"),
        ("full/notes.txt", {}, "exists and is not an empty folder"),
        ("done", {}, "holds a finished model"),
        ("done", {"resume": True}, "holds a finished model"),
        ("half", {}, "holds an interrupted training: go on with it"),
        ("new", {"resume": True}, "there is no interrupted training in .* that could be resumed"),
    ):
        with pytest.raises(InputError, match=message):
            fit(tmp_path / run, **options)
    with pytest.raises(InputError, match="resume=True needs the run folder"):
        fit(None, resume=True)
    assert sorted(tmp_path.rglob("*")) == before
    # Interrupted before there was any state: it begins anew.
    with pytest.raises(AssertionError, match="a model was built"):
        fit(tmp_path / "half", resume=True)


def test_unknown_hyperparameters_come_first(start: Checkpoint) -> None:
    with pytest.raises(InputError, match="lr: not known; the hyperparameters are epochs, batch_size, learning_rate"):
        tuner("two", start).fit([], [], lr=1e-3)


@pytest.mark.parametrize(
    ("kind", "missing", "options"),
    [
        ("two", "sklearn.metrics", {"dev": data("two")}),
        ("regress", "scipy.stats", {"dev": data("regress")}),
        ("tag", "seqeval.metrics.sequence_labeling", {"dev": data("tag")}),
        ("two", "matplotlib.figure", {"run": "run"}),
    ],
)
def test_what_is_not_installed_is_told_before_training(
    start: Checkpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, missing: str, options: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingDependencyError, match="finetune"):
        tuner(kind, start).fit(*data(kind), **options)
    assert not list(tmp_path.iterdir())
    # Who needs neither scores nor pictures gets as far as the model.
    with pytest.raises(AssertionError, match="a model was built"):
        tuner(kind, start).fit(*data(kind))


def test_what_has_learned_nothing_cannot_predict(start: Checkpoint, tmp_path: Path) -> None:
    classifier = tuner("two", start)
    for call in (
        lambda: classifier.predict(["a"]),
        lambda: classifier.predict_proba(["a"]),
        lambda: classifier.evaluate(["a"], ["a"]),
        lambda: classifier.save(tmp_path / "model"),
        classifier.checkpoint,
    ):
        with pytest.raises(InputError, match="this TextClassifier has learned nothing yet: call fit"):
            call()
    assert not list(tmp_path.iterdir())
    assert classifier.labels == ()
    assert tuner("two", start, labels=[0, 1, True]).labels == ("0", "1", "true")
