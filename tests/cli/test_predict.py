import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import berthub
from support.heads import LABELS, with_head

TEXTS = ["The quick fox.", "", 'Was it, "so called", quick?', "It was not.\nNot at all."]
WORDS = [["The", "quick", "fox"], [], ["Unbelievable", "!"]]
TASKS = tuple(LABELS)


@pytest.fixture(scope="session")
def runs(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {task: with_head(models / "tf2_v4", folder / task, task) for task in TASKS}


@pytest.fixture(scope="session")
def loaded(runs: dict[str, Path]) -> dict[str, berthub.Encoder]:
    return {task: berthub.load(run, engine="numpy") for task, run in runs.items()}


@pytest.fixture
def predict(cli: Any, runs: dict[str, Path]) -> Any:
    def run(task: str, *arguments: object, stdin: bytes = b"", code: int = 0) -> Any:
        result = cli("predict", runs[task], *arguments, "--engine", "numpy", stdin=stdin)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "in.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "text"), *((f"0{n}", text) for n, text in enumerate(TEXTS))])
    return path


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def _plain(values: Any) -> Any:
    return json.loads(json.dumps(values.tolist() if isinstance(values, np.ndarray) else values))


@pytest.mark.parametrize("task", ["classify", "multi_label", "regress"])
@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
def test_predictions_are_those_of_the_library(predict: Any, loaded: Any, table: Path, task: str, kind: str) -> None:
    predict(task, table, "-o", f"out.{kind}")
    if kind == "parquet":
        rows = pq.read_table("out.parquet").to_pylist()
    elif kind == "jsonl":
        rows = _lines(Path("out.jsonl").read_text())
    else:
        with Path("out.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            if task == "multi_label":
                row["prediction"] = row["prediction"].split(",") if row["prediction"] else []
            elif task == "regress":
                row["prediction"] = float(row["prediction"])
    assert [list(row) for row in rows] == [["id", "text", "prediction"]] * 4
    assert [(row["id"], row["text"]) for row in rows] == [(f"0{n}", text) for n, text in enumerate(TEXTS)]
    found, expected = [row["prediction"] for row in rows], _plain(loaded[task].predict(TEXTS))
    if task == "regress":
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    else:
        assert found == expected


@pytest.mark.parametrize("task", ["classify", "multi_label"])
def test_probabilities(predict: Any, loaded: Any, table: Path, task: str) -> None:
    expected = loaded[task].predict_proba(TEXTS)
    for name in ("out.jsonl", "out.parquet"):
        predict(task, table, "-o", name, "--probabilities")
        rows = pq.read_table(name).to_pylist() if name.endswith("t") else _lines(Path(name).read_text())
        assert list(rows[0]) == ["id", "text", "prediction", "probabilities"]
        assert list(rows[0]["probabilities"]) == list(LABELS[task])  # type: ignore[index]
        np.testing.assert_allclose([list(row["probabilities"].values()) for row in rows], expected, atol=1e-6)
    predict(task, table, "-o", "out.csv", "--probabilities", "--drop-columns")
    with Path("out.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["prediction", *(f"probability_{label}" for label in LABELS[task])]  # type: ignore[index]
    np.testing.assert_allclose([[float(cell) for cell in row[1:]] for row in rows], expected, atol=1e-6)


def test_tags(predict: Any, loaded: Any, tmp_path: Path) -> None:
    tags, shares = loaded["tag"].predict(WORDS), loaded["tag"].predict_proba(WORDS)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"n": 1, "words": words}) + "\n" for words in WORDS))
    predict("tag", "a.jsonl", "-o", "out.jsonl", "--probabilities")
    rows = _lines(Path("out.jsonl").read_text())
    assert [row["prediction"] for row in rows] == tags
    for row, expected in zip(rows, shares, strict=True):
        found = [list(word.values()) for word in row["probabilities"]]
        np.testing.assert_allclose(np.reshape(found, expected.shape), expected, atol=1e-6)
    predict("tag", "a.jsonl", "-o", "out.parquet", "--probabilities")
    kinds = pq.read_schema("out.parquet")
    share = pa.struct([(label, pa.float32()) for label in LABELS["tag"]])
    assert kinds.field("prediction").type.equals(pa.list_(pa.string()))
    assert kinds.field("probabilities").type.equals(pa.list_(share))
    table = pq.read_table("out.parquet").to_pylist()
    assert [row["prediction"] for row in table] == tags
    assert [len(row["probabilities"]) for row in table] == [3, 0, 2]


def test_texts_are_split_into_words_for_tags(predict: Any, loaded: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The  quick fox\n\nUnbelievable\t!\n")
    tags = loaded["tag"].predict(WORDS)
    predict("tag", "a.txt", "-o", "out.csv")
    with Path("out.csv").open(newline="") as file:
        assert [row["prediction"].split() for row in csv.DictReader(file)] == tags
    result = predict("tag", "a.txt", "-o", "-", "--to", "conll")
    words = [line.split() for line in result.stdout.splitlines()]
    expected = [[*pair] for row in zip(WORDS, tags, strict=True) for pair in [*zip(*row, strict=True), ()]]
    assert words == expected


def test_conll_keeps_its_columns(predict: Any, loaded: Any, tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("-DOCSTART- X O\n\nThe\tDT O\nfox NN B-LOC\n\n\nquick JJ O\n")
    (one, two), (three,) = loaded["tag"].predict([["The", "fox"], ["quick"]])
    predict("tag", "a.conll", "-o", "b.conll")
    assert Path("b.conll").read_text() == f"The DT O {one}\nfox NN B-LOC {two}\n\nquick JJ O {three}\n\n"
    predict("tag", "a.conll", "-o", "b.conll", "--overwrite", "--drop-columns")
    assert Path("b.conll").read_text() == f"The {one}\nfox {two}\n\nquick {three}\n\n"
    result = predict("tag", "a.conll", "-o", "-")
    assert _lines(result.stdout)[0] == {
        "words": ["The", "fox"],
        "column_2": ["DT", "NN"],
        "tags": ["O", "B-LOC"],
        "prediction": [one, two],
    }


def test_pairs(predict: Any, loaded: Any, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("label\ttext_a\ttext_b\n0\tWas it?\tIt was.\n1\t\tNo.\n")
    predict("regress", "a.tsv", "-o", "b.tsv")
    header, *rows = [line.split("\t") for line in Path("b.tsv").read_text().splitlines()]
    assert header == ["label", "text_a", "text_b", "prediction"]
    expected = loaded["regress"].predict([("Was it?", "It was."), ("", "No.")])
    np.testing.assert_allclose([float(row[-1]) for row in rows], expected, rtol=1e-5)


def test_more_rows_than_a_block_keep_their_order(predict: Any, loaded: Any, tmp_path: Path) -> None:
    texts = [f"the fox {number}" + " a" * (number % 7) for number in range(2100)]
    (tmp_path / "many.txt").write_text("\n".join(texts))
    predict("regress", "many.txt", "-o", "out.parquet", "--quiet")
    table = pq.read_table("out.parquet")
    assert table.column("text").to_pylist() == texts
    some = slice(2040, 2060)
    found = table.column("prediction").to_numpy()[some]
    np.testing.assert_allclose(found, loaded["regress"].predict(texts[some]), atol=1e-4)


def test_values_that_are_no_strings(predict: Any, tmp_path: Path) -> None:
    rows = [{"text": "a", "n": 1, "x": 0.5, "b": True, "d": None, "l": ["é", 1]}, {"text": "b\r", "n": 2}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    predict("classify", "a.jsonl", "-o", "b.csv", "--drop-columns")
    predict("classify", "a.jsonl", "-o", "b.csv", "--overwrite", "--prediction-column", "said")
    first, second = (label for label in _csv("b.csv", "said"))
    assert Path("b.csv").read_bytes().decode() == (
        f'text,n,x,b,d,l,said\na,1,0.5,true,,"[""é"",1]",{first}\n"b\r",2,,,,,{second}\n'
    )
    result = predict("classify", "a.jsonl", "-o", "b.tsv", code=2)
    assert "a.jsonl, row 2 (line 2): 'b\\r' has a tab or a line end" in result.stderr
    assert not Path("b.tsv").exists()


def _csv(name: str, column: str) -> list[str]:
    with Path(name).open(newline="") as file:
        return [row[column] for row in csv.DictReader(file)]


def test_a_key_that_comes_late_is_refused(predict: Any, tmp_path: Path) -> None:
    lines = ['{"text": "a"}\n'] * 2048 + ['{"text": "a", "late": 1}\n']
    (tmp_path / "a.jsonl").write_text("".join(lines))
    result = predict("classify", "a.jsonl", "-o", "b.csv", code=2)
    assert 'a.jsonl, row 2049 (line 2049): the key "late" is in none of the rows before' in result.stderr


def test_texts_are_shown_as_a_table(predict: Any, loaded: Any) -> None:
    texts = ["The [CLS] fox.", "Quick."]
    result = predict("classify", *texts)
    assert "The [CLS] fox." in result.stdout
    for label, shares in zip(loaded["classify"].predict(texts), loaded["classify"].predict_proba(texts), strict=True):
        assert label in result.stdout
        assert f"{shares.max():.3f}" in result.stdout
    (value,) = loaded["regress"].predict(["fox"])
    assert f"{value:.4f}" in predict("regress", "fox").stdout
    assert "probability" in predict("multi_label", "fox", "").stdout


def test_words_are_shown_with_their_tags(predict: Any, loaded: Any) -> None:
    result = predict("tag", "-", stdin=b"The quick fox\n")
    shown = [line.split()[:2] for line in result.stdout.splitlines()]
    for pair in zip(WORDS[0], loaded["tag"].predict(WORDS)[0], strict=True):
        assert [*pair] in shown


def test_only_the_first_texts_are_shown(predict: Any) -> None:
    result = predict("classify", "-", stdin=b"the fox\n" * 60)
    assert result.stdout.count("the fox") == 50
    assert "Only the first 50 texts are shown" in " ".join(result.stdout.split())


def test_summary_counts_truncated_texts(predict: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("fox\n" + "fox " * 100 + "\n")
    result = predict("classify", "a.txt", "-o", "out.jsonl")
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("2 rows in ")
    assert line.endswith(" s (float32); 1 text truncated to 16 tokens")
    result = predict("classify", "a.txt", "-o", "out2.jsonl", "--no-truncation", code=2)
    assert "a.txt, row 2 (line 2): the text has more tokens than the limit of 16 allows" in result.stderr
    assert not Path("out2.jsonl").exists()


def test_an_existing_file_is_refused(predict: Any, table: Path) -> None:
    Path("out.csv").write_text("precious")
    assert "out.csv exists; use --overwrite" in predict("classify", table, "-o", "out.csv", code=2).stderr
    assert Path("out.csv").read_text() == "precious"
    predict("classify", table, "-o", "out.csv", "--overwrite")
    assert _csv("out.csv", "text") == TEXTS


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("classify", [], "it is not said where the predictions for in.csv go: add -o FILE"),
        ("classify", ["-o", "out.npy"], "tells no format: use one of .parquet"),
        ("classify", ["--to", "parquet"], "Parquet cannot go to standard output"),
        ("classify", ["-o", "out.conll"], "a CoNLL file holds a tag for each word, and this model's task is classify"),
        ("classify", ["-o", "out.csv", "--prediction-column", "text"], 'a column "text" already'),
        ("classify", ["-o", "out.csv", "-c", "no"], 'no column "no" (--text-column)'),
        ("regress", ["-o", "out.csv", "--probabilities"], "a regression, which has no probabilities"),
        ("tag", ["-o", "out.csv", "--probabilities"], "csv has no place for the probabilities of every word"),
        ("tag", ["-o", "out.csv", "--text-pair-column", "id"], "takes no pairs of texts"),
        ("multi_label", ["-o", "out.csv", "--label-separator", "port"], "the label 'sports' holds 'port'"),
    ],
)
def test_impossible_options(predict: Any, table: Path, task: str, options: list[str], message: str) -> None:
    result = predict(task, table.name, *options, code=2)
    assert message in result.stderr
    assert sorted(path.name for path in table.parent.iterdir()) == ["in.csv"]


def test_words_that_conll_cannot_hold(predict: Any, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"words": ["New York"]}\n')
    result = predict("tag", "a.jsonl", "-o", "out.conll", code=2)
    assert "row 1 (line 1): the word 'New York' is empty or has white space in it" in result.stderr


def test_a_model_without_a_head(cli: Any, models: Path) -> None:
    result = cli("predict", models / "tf2_v4", "a text", "--engine", "numpy")
    assert result.exit_code == 2
    assert "was not fine-tuned, it has no head to predict with" in result.stderr


def test_parquet_tells_how_it_was_made(predict: Any, runs: dict[str, Path], table: Path) -> None:
    predict("classify", table, "-o", "out.parquet")
    metadata = pq.read_schema("out.parquet").metadata
    assert metadata[b"berthub.model"].decode() == str(runs["classify"])
    assert metadata[b"berthub.task"] == b"classify"
    assert metadata[b"berthub.max_length"] == b"16"
