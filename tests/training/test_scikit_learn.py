"""The tasks as estimators of scikit-learn's: cloned, scored, cross-validated, searched."""

import functools
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.engines.create import create_engine
from berthub.errors import InputError
from berthub.training.tasks import estimator, fine_tuner
from berthub.training.trainer import Trained
from support.finetuning import KINDS, data, tuner
from support.needs import needs

pytestmark = needs("sklearn", "seqeval")

_GUIDE = Path(__file__).parent.parent.parent / "docs" / "guides" / "integrations.md"
SILENT = {"progress": False}


def _small(start: Checkpoint | Path, kind: str = "two", **options: Any) -> Any:
    fit = {"batch_size": 8, "learning_rate": 5e-3, "precision": "float32", "epochs": 6}
    return tuner(kind, start, max_length=16, **{**fit, **options})


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Everything but the steps of training, which take most of the time; the options that each `fit` trains with."""
    trained: list[dict[str, Any]] = []

    def train(step: Any, examples: Any, *, snapshot: Any, **options: Any) -> Trained:
        trained.append({"examples": len(examples), **options["hyperparameters"].to_dict()})
        return Trained(snapshot(), history=[], best_epoch=0)

    monkeypatch.setattr(fine_tuner, "train", train)
    # Which compiles nothing.
    monkeypatch.setattr(estimator, "create_engine", functools.partial(create_engine, engine="numpy"))
    return trained


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_and_clones(kind: str, models: Path) -> None:
    from sklearn.base import clone

    made = _small(models / "tf2_v4", kind, dropout=0.2)
    params = made.get_params()
    assert params["dropout"] == 0.2
    assert params["learning_rate"] == 5e-3
    assert params["warmup"] == hub.Hyperparameters().warmup
    copied = clone(made)
    assert type(copied) is type(made)
    assert copied is not made
    assert copied.get_params() == params
    assert copied.set_params(epochs=2, dropout=0.0) is copied
    assert copied.get_params() == {**params, "epochs": 2, "dropout": 0.0}
    assert made.get_params() == params
    assert clone(pickle.loads(pickle.dumps(made))).get_params() == params


def test_parameters_of_one_task_alone(start: Checkpoint) -> None:
    from sklearn.base import clone

    assert clone(_small(start, "regress", name="stars")).labels == ("stars",)
    assert "labels" not in _small(start, "regress").get_params()
    assert clone(_small(start, "multi_label")).multi_label
    assert clone(_small(start, labels=["b", "a"])).labels == ("b", "a")


def test_what_the_constructor_does_not_know_is_said(start: Checkpoint) -> None:
    with pytest.raises(InputError, match=r"^epoch: not known; .* a TextClassifier are handle, .*epochs, .*multi_label"):
        _small(start, epoch=2)
    with pytest.raises(InputError, match="epochs must be a whole number from 1"):
        _small(start, epochs=0)
    made = _small(start)
    with pytest.raises(InputError, match="warmups: not known"):
        made.set_params(warmups=0.1)
    before = made.get_params()
    with pytest.raises(InputError, match="dropout must be"):
        made.set_params(dropout=2)
    assert made.get_params() == before


def test_a_password_is_in_no_pickle(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.base import clone

    monkeypatch.setattr(fine_tuner, "resolve", lambda handle, **options: models / "tf2_v4")
    made = _small("https://me:secret@example.org/model?token=secret")  # type: ignore[arg-type]
    assert clone(made).get_params() == made.get_params()
    written = pickle.dumps(made)
    assert b"secret" not in written
    again = pickle.loads(pickle.dumps(pickle.loads(written)))
    assert repr(again) == repr(made)
    with pytest.raises(InputError, match=r"address with a password.*hub\.resolve"):
        clone(again)


def test_what_fit_is_given_stands_above(start: Checkpoint, untrained: list[dict[str, Any]]) -> None:
    texts, labels = data("two", count=8)
    made = _small(start, epochs=3, warmup=0.5)
    made.fit(texts, labels, progress=False).fit(texts, labels, progress=False, epochs=1)
    assert [(given["epochs"], given["warmup"]) for given in untrained] == [(3, 0.5), (1, 0.5)]
    assert made.classes_.tolist() == ["love", "war"]
    assert made.set_params(epochs=2).labels == ()
    with pytest.raises(InputError, match="learned nothing yet"):
        made.score(texts, labels)
    with pytest.raises(AttributeError, match="classes_"):
        _ = made.classes_


def test_a_search_over_a_pipeline(start: Checkpoint, untrained: list[dict[str, Any]]) -> None:
    from sklearn.base import is_classifier, is_regressor
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    texts, labels = data("two", count=16)
    pipeline = make_pipeline(FunctionTransformer(_lower), _small(start))
    assert is_classifier(pipeline)
    assert is_regressor(_small(start, "regress"))
    search = GridSearchCV(pipeline, {"textclassifier__learning_rate": [1e-5, 1e-4]}, cv=2)
    search.fit(np.array(texts), np.array([int(label == "war") for label in labels]), textclassifier__progress=False)
    assert [(given["examples"], given["learning_rate"]) for given in untrained[:4]] == [(8, 1e-5)] * 2 + [(8, 1e-4)] * 2
    assert untrained[4]["examples"] == 16
    assert search.classes_.tolist() == ["0", "1"]
    assert 0 <= search.score(texts, [1] * 16) <= 1
    assert "TextClassifier" in search._repr_html_()


def test_the_program_of_the_guide(
    models: Path, untrained: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Marked as no program there, since its trainings would take long.
    (program,) = re.findall(r"^```python no-run\n(.*?GridSearchCV.*?)^```", _GUIDE.read_text("utf-8"), re.M | re.S)
    monkeypatch.setattr(fine_tuner, "resolve", lambda handle, **options: models / "tf2_v4")
    exec(compile(program, str(_GUIDE), "exec"), {"hub": hub})
    rates = [given["learning_rate"] for given in untrained]
    assert rates[:6] == [None] * 2 + [5e-5] * 2 + [2e-4] * 2
    assert re.search(r"learning_rate.*\['(good|bad)'\]", capsys.readouterr().out)


@pytest.mark.parametrize(("kind", "main"), [("multi_label", "f1_micro"), ("regress", "pearson"), ("tag", "f1")])
def test_cross_validation_of_the_other_tasks(
    kind: str, main: str, start: Checkpoint, untrained: list[dict[str, Any]]
) -> None:
    from sklearn.model_selection import KFold, cross_validate

    texts, labels = data(kind, count=16)
    folds = KFold(2, shuffle=True, random_state=0)
    found = cross_validate(_small(start, kind), texts, labels, cv=folds, params=SILENT, return_estimator=True)
    for (_, judged), made, score in zip(folds.split(texts), found["estimator"], found["test_score"], strict=True):
        assert made.evaluate([texts[row] for row in judged], [labels[row] for row in judged])[main] == score


@pytest.mark.backends
def test_folds_are_learned_as_fit_learns_them(models: Path) -> None:
    from sklearn.base import clone
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    texts, labels = data("two", count=24)
    made = _small(models / "tf2_v4")
    found = cross_val_score(made, texts, labels, cv=2, params=SILENT)
    expected = []
    for learned, judged in StratifiedKFold(2).split(texts, labels):
        one = clone(made).fit([texts[i] for i in learned], [labels[i] for i in learned], progress=False)
        expected.append(one.score([texts[i] for i in judged], [labels[i] for i in judged]))
    assert found.tolist() == expected
    assert made.labels == ()


@pytest.mark.backends
def test_a_search_finds_the_rate_that_learns(models: Path) -> None:
    from sklearn.metrics import get_scorer
    from sklearn.model_selection import GridSearchCV

    texts, labels = data("two", count=24)
    search = GridSearchCV(_small(models / "tf2_v4"), {"learning_rate": [1e-8, 5e-3]}, cv=2, scoring="accuracy")
    search.fit(texts, labels, progress=False)
    assert search.best_params_ == {"learning_rate": 5e-3}
    assert search.best_estimator_.score(texts, labels) == search.score(texts, labels) > 0.9
    assert search.predict(texts[:2]) == search.best_estimator_.predict(texts[:2])
    assert 0.5 < get_scorer("roc_auc")(search.best_estimator_, texts, labels) <= 1


def _lower(texts: Any) -> Any:
    return [str(text).lower() for text in texts]
