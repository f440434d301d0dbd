import sys
from typing import Any

import numpy as np
import pytest

from berthub.errors import InputError, MissingDependencyError
from berthub.evaluation.scores import MAIN_SCORE, confusion, main_score, scores
from berthub.head import TASKS
from support.needs import needs

BIO = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def test_classify() -> None:
    # One false alarm: of "yes", precision 2/3, recall 1, F1 4/5; of "no", F1 2/3.
    result = scores(
        "classify", labels=("no", "yes"), truth=["no", "no", "yes", "yes"], predicted=["no", "yes", "yes", "yes"]
    )
    assert result == pytest.approx(
        {"accuracy": 3 / 4, "f1_macro": (4 / 5 + 2 / 3) / 2, "matthews": 1 / np.sqrt(3), "f1": 4 / 5}
    )


def test_f1_is_that_of_the_second_label_whatever_it_is_called() -> None:
    result = scores("classify", labels=("z", "a"), truth=["z", "z", "a"], predicted=["a", "z", "a"])
    assert result["f1"] == pytest.approx(2 / 3)


def test_three_labels_have_no_f1_of_one() -> None:
    result = scores("classify", labels=("a", "b", "c"), truth=["a", "b"], predicted=["a", "b"])
    # The label that occurs nowhere does not lower the average.
    assert result == {"accuracy": 1, "f1_macro": 1, "matthews": 1}


@pytest.mark.parametrize("label", ["no", "yes"])
def test_one_label_alone_is_no_error(label: str) -> None:
    result = scores("classify", labels=("no", "yes"), truth=[label] * 3, predicted=[label] * 3)
    assert result == {"accuracy": 1, "f1_macro": 1, "matthews": 0, "f1": float(label == "yes")}


def test_multi_label() -> None:
    # a: found 1 of 1; b: 1 of 2, with one false alarm; c occurs nowhere.
    result = scores(
        "multi_label",
        labels=("a", "b", "c"),
        truth=[("a", "b"), ("b",), ()],
        predicted=[["b", "a"], [], {"b"}],
    )
    assert result == pytest.approx({"f1_micro": 2 / 3, "f1_macro": (1 + 1 / 2) / 2, "exact_match": 1 / 3})
    nothing = scores("multi_label", labels=("a", "b"), truth=[(), ()], predicted=[(), ()])
    assert nothing == {"f1_micro": 0, "f1_macro": 0, "exact_match": 1}


def test_regress() -> None:
    result = scores("regress", labels=("x",), truth=[1, 2, 3, 10], predicted=np.float32([2, 4, 6, 20]))
    assert result == pytest.approx(
        {"pearson": 1, "spearman": 1, "mean_absolute_error": 4, "root_mean_squared_error": np.sqrt(114 / 4)}
    )
    monotone = scores("regress", labels=("x",), truth=[1, 2, 3], predicted=[1, 10, 1000])
    assert monotone["spearman"] == pytest.approx(1)
    assert monotone["pearson"] < 0.95


@pytest.mark.parametrize(("truth", "predicted"), [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [2, 2, 2]), ([1], [2])])
def test_correlations_that_are_undefined_are_nan(truth: list[float], predicted: list[float]) -> None:
    result = scores("regress", labels=("x",), truth=truth, predicted=predicted)
    assert np.isnan(result["pearson"])
    assert np.isnan(result["spearman"])
    assert np.isfinite(result["mean_absolute_error"])


@needs("seqeval")
def test_entities_count_whole() -> None:
    # Of three entities one is found; one is found too short, which is a false alarm, too.
    truth = [["B-PER", "I-PER", "O", "B-LOC"], ["B-PER", "O"], []]
    predicted = [["B-PER", "O", "O", "B-LOC"], ["O", "O"], []]
    result = scores("tag", labels=BIO, truth=truth, predicted=predicted)
    assert result == pytest.approx({"precision": 1 / 2, "recall": 1 / 3, "f1": 2 / 5, "accuracy": 4 / 6})


@needs("seqeval")
def test_entities_begin_as_conlleval_has_it() -> None:
    # I- without B- before it begins an entity, too, and so does another type.
    truth = [["B-PER", "B-LOC", "O", "B-PER"]]
    predicted = [["I-PER", "I-LOC", "O", "I-PER"]]
    assert scores("tag", labels=BIO, truth=truth, predicted=predicted)["f1"] == 1


@needs("seqeval")
def test_bilou_counts_as_bio_does() -> None:
    labels = ("O", "B-PER", "I-PER", "L-PER", "U-PER")
    truth = [["B-PER", "L-PER", "U-PER", "O", "B-PER", "I-PER", "L-PER"]]
    predicted = [["B-PER", "L-PER", "U-PER", "O", "B-PER", "L-PER", "O"]]
    result = scores("tag", labels=labels, truth=truth, predicted=predicted)
    assert result["precision"] == result["recall"] == pytest.approx(2 / 3)


@needs("seqeval")
def test_no_entities_anywhere() -> None:
    result = scores("tag", labels=BIO, truth=[["O", "O"]], predicted=[["O", "O"]])
    assert result == {"precision": 0, "recall": 0, "f1": 0, "accuracy": 1}


def test_tags_that_mark_no_entities() -> None:
    result = scores(
        "tag", labels=("NOUN", "VERB"), truth=[["NOUN", "VERB"], ["NOUN"]], predicted=[["NOUN"] * 2, ["NOUN"]]
    )
    assert result == pytest.approx({"accuracy": 2 / 3, "f1_macro": 0.4})
    assert main_score("tag", result) == "accuracy"


@needs("seqeval")
def test_every_task_has_a_main_score_among_its_scores() -> None:
    rows: dict[str, tuple[tuple[str, ...], Any]] = {
        "classify": (("a", "b"), ["a", "b"]),
        "multi_label": (("a", "b"), [("a",), ("b",)]),
        "regress": (("x",), [1.0, 2.0]),
        "tag": (BIO, [["B-PER"], ["O"]]),
    }
    assert set(rows) == set(TASKS) == set(MAIN_SCORE)
    for task, (labels, values) in rows.items():
        result = scores(task, labels=labels, truth=values, predicted=values)  # type: ignore[arg-type]
        assert result[main_score(task, result)] == pytest.approx(1)  # type: ignore[arg-type]


@needs("seqeval")
def test_the_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    truth = [list(rng.choice(BIO, rng.integers(0, 6))) for _ in range(40)]
    predicted = [list(rng.choice(BIO, len(tags))) for tags in truth]
    order = rng.permutation(40)
    there = scores("tag", labels=BIO, truth=truth, predicted=predicted)
    back = scores("tag", labels=BIO, truth=[truth[i] for i in order], predicted=[predicted[i] for i in order])
    assert there == pytest.approx(back)


def test_confusion() -> None:
    matrix = confusion(("a", "b", "c"), ["a", "a", "b"], ["a", "b", "b"])
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    tokens = confusion(("O", "X"), [["O", "X"], [], ["X"]], [["O", "O"], [], ["X"]])
    assert tokens.tolist() == [[1, 0], [1, 1]]


@pytest.mark.parametrize(
    ("task", "truth", "predicted", "message"),
    [
        ("classify", ["a"], ["a", "b"], "1 true rows and 2 predicted"),
        ("classify", [], [], "no rows"),
        (
            "classify",
            ["a"],
            ["q"],
            "predicted has labels that are not among those of the model: 'q'. It knows 'a', 'b'",
        ),
        ("multi_label", [("q", "a")], [()], "truth has labels .*: 'q'"),
        ("multi_label", ["ab"], [()], 'row 0 of truth is the string "ab"'),
        ("regress", [1.0, float("nan")], [1, 2], "row 1 of truth is nan"),
        ("tag", [["a"], ["a", "b"]], [["a"], ["a"]], "sentence 1 has 2 true tags and 1 predicted"),
        ("tag", [[]], [[]], "no words"),
        ("translate", ["a"], ["a"], "the task 'translate'; use one of classify"),
    ],
)
def test_impossible_values(task: Any, truth: Any, predicted: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        scores(task, labels=("a", "b"), truth=truth, predicted=predicted)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(MissingDependencyError, match=r"need sklearn.*pip install 'berthub\[finetune\]'"):
        scores("classify", labels=("a", "b"), truth=["a"], predicted=["a"])
