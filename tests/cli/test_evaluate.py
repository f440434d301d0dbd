import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import berthub
from berthub.evaluation.scores import scores
from berthub.head import Task
from support.heads import LABELS, with_head
from support.needs import needs

TEXTS = ["The quick fox.", "", "Was it quick?", "It was not.", "fox " * 40]
WORDS = [["The", "quick", "fox"], ["Unbelievable", "!"]]
LABELLED: dict[Task, tuple[list[Any], list[Any]]] = {
    "classify": (TEXTS, ["negative", "positive", "positive", "positive", "negative"]),
    "multi_label": (TEXTS, [["arts"], ["news", "sports"], [], ["sports"], ["arts", "news"]]),
    "regress": (TEXTS, [1.5, 2, -3, 0, 1]),
    "tag": (WORDS, [["O", "B-PER", "I-PER"], ["B-LOC", "O"]]),
}


def _write(path: Path, task: Task) -> Path:
    texts, labels = LABELLED[task]
    name = "words" if task == "tag" else "text"
    rows = ({name: text, "label": label} for text, label in zip(texts, labels, strict=True))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    "task", [pytest.param(task, marks=needs("seqeval")) if task == "tag" else task for task in LABELS]
)
def test_scores_are_those_of_the_library(
    cli: Any, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: Task
) -> None:
    run = with_head(models / "tf2_v4", tmp_path / "run", task)
    data = _write(tmp_path / "data.jsonl", task)
    texts, truth = LABELLED[task]
    # More than one part.
    monkeypatch.setattr(sys.modules["berthub.cli.evaluate"], "_ROWS", 2)
    result = cli("evaluate", run, data, "--engine", "numpy", "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    found = json.loads(result.stdout)
    model = berthub.load(run, engine="numpy")
    with contextlib.nullcontext() if task == "tag" else pytest.warns(berthub.TruncationWarning):
        predicted = model.predict(texts)
    expected = scores(task, labels=LABELS[task], truth=truth, predicted=predicted)
    assert found.pop("scores") == pytest.approx(expected, abs=1e-5)
    assert found == {
        "model": str(run),
        "data": str(data),
        "task": task,
        "rows": len(texts),
        "truncated": int(task != "tag"),
        "precision": "float32",
    }
    table = cli("evaluate", run, data, "--engine", "numpy")
    assert table.exit_code == 0, table.output
    for name, value in expected.items():
        assert [name.replace("_", " "), f"{value:.4f}"] in [line.rsplit(maxsplit=1) for line in _stripped(table.stdout)]
    assert f"{task}, {len(texts)} rows of" in " ".join(table.stdout.split())


def _stripped(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if len(line.split()) > 1]


def test_what_is_undefined_is_said_so(cli: Any, models: Path, tmp_path: Path) -> None:
    run = with_head(models / "tf2_v4", tmp_path / "run", "regress")
    (tmp_path / "a.csv").write_text("text,score\nx,1\ny,1\n")
    assert "undefined" in cli("evaluate", run, "a.csv", "--engine", "numpy").stdout
    result = cli("evaluate", run, "a.csv", "--engine", "numpy", "--json")
    assert json.loads(result.stdout)["scores"]["pearson"] is None


def test_columns_and_formats_can_be_named(cli: Any, models: Path, tmp_path: Path) -> None:
    run = with_head(models / "tf2_v4", tmp_path / "run", "multi_label")
    (tmp_path / "a.data").write_text("q\ta\ttopics\nx\ty\tarts|news\nx\ty\t\n")
    options = ["--format", "tsv", "-c", "q", "--text-pair-column", "a", "--label-column", "topics"]
    result = cli("evaluate", run, "a.data", *options, "--label-separator", "|", "--engine", "numpy", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["rows"] == 2


def test_labels_that_the_model_does_not_know(cli: Any, models: Path, tmp_path: Path) -> None:
    run = with_head(models / "tf2_v4", tmp_path / "run", "tag")
    (tmp_path / "a.txt").write_text("fox B-ANIMAL\nruns O\n\nBern B-GPE\n")
    result = cli("evaluate", run, "a.txt", "--engine", "numpy")
    assert result.exit_code == 2
    assert "a.txt has labels that the model does not know: 'B-ANIMAL', 'B-GPE'. It knows 'O', 'B-PER'" in result.stderr


def test_a_model_without_a_head(cli: Any, models: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nx,1\n")
    result = cli("evaluate", models / "tf2_v4", "a.csv", "--engine", "numpy")
    assert result.exit_code == 2
    assert "was not fine-tuned" in result.stderr


def test_help_has_examples(cli: Any) -> None:
    for command in ("predict", "evaluate"):
        assert f"   berthub {command} RUN " in cli(command, "--help").stdout
