import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from berthub.errors import InputError
from berthub.tables.labelled import read_labelled
from berthub.tables.reading_options import ReadingOptions


def _file(folder: Path, name: str, content: str | list[dict[str, Any]]) -> Path:
    path = folder / name
    if isinstance(content, list):
        content = "".join(json.dumps(row) + "\n" for row in content)
    path.write_text(content, encoding="utf-8")
    return path


def test_classify_from_a_table(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", 'id,text,label\n1,"good, yes",1\n2,,0\n3,so so,10\n4,so,2\n')
    data = read_labelled(path, task="classify")
    assert data.texts == ["good, yes", "", "so so", "so"]
    assert data.labels == ["1", "0", "10", "2"]
    assert data.label_names == ("0", "1", "2", "10")


@pytest.mark.parametrize(
    ("header", "options", "text", "label"),
    [
        ("text,label,tags", {}, "0", "1"),
        ("label,sentence", {}, "1", "0"),
        ("text,labels,other", {}, "0", "1"),
        ("other,text,target", {}, "1", "2"),
        ("sentence,score", {}, "0", "1"),
        ("text,tags,other", {}, "0", "1"),
        ("a,b,c", {"text_column": "c", "label_column": "a"}, "2", "0"),
        ("text,label,b", {"text_column": "b", "label_column": "text"}, "2", "0"),
        ("text_a,text_b,label", {}, ("0", "1"), "2"),
        ("label,text_a,text_b", {"text_column": "text_b"}, "2", "0"),
        ("label,text_a,text_b,text", {}, "3", "0"),
        ("label,text,b", {"text_pair_column": "b"}, ("1", "2"), "0"),
        ("q,a,label", {"text_column": "a", "text_pair_column": "q"}, ("1", "0"), "2"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_columns(tmp_path: Path, header: str, options: Any, text: Any, label: str, kind: str) -> None:
    names = header.split(",")
    values = [str(index) for index in range(len(names))]
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({name: [value] for name, value in zip(names, values, strict=True)}), path)
    elif kind == "jsonl":
        path.write_text(json.dumps(dict(zip(names, values, strict=True))))
    else:
        separator = "," if kind == "csv" else "\t"
        path.write_text(separator.join(names) + "\n" + separator.join(values))
    data = read_labelled(path, task="classify", **options)
    assert (data.texts, data.labels) == ([text], [label])


def test_labels_of_json_become_strings(tmp_path: Path) -> None:
    labels = [0, 1.0, True, False, "no", "1 "]
    path = _file(tmp_path, "a.jsonl", [{"text": "x", "label": label} for label in labels])
    assert read_labelled(path, task="classify").labels == ["0", "1", "true", "false", "no", "1 "]


def test_multi_label(tmp_path: Path) -> None:
    values = [["a", "b"], [], "b, a,b", "", [1, "a"]]
    path = _file(tmp_path, "a.jsonl", [{"text": "x", "labels": value} for value in values])
    data = read_labelled(path, task="multi_label")
    assert data.labels == [("a", "b"), (), ("b", "a"), (), ("1", "a")]
    assert data.label_names == ("1", "a", "b")
    path = _file(tmp_path, "a.csv", "text,labels\nx,a|b c\ny,\n")
    assert read_labelled(path, task="multi_label", label_separator="|").labels == [("a", "b c"), ()]


def test_regress(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.tsv", "sentence\tscore\nx\t-1.5e1\ny\t 3\n")
    data = read_labelled(path, task="regress")
    assert data.labels == [-15, 3]
    assert data.label_names == ()


WORDS = [["EU", "rejects"], ["Bern"], []]
TAGS = [["B-ORG", "O"], ["B-LOC"], []]


@pytest.mark.parametrize("name", ["words", "tokens", "text"])
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_tags_in_lists(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        strings = pa.list_(pa.string())
        pq.write_table(pa.table({name: pa.array(WORDS, strings), "tags": pa.array(TAGS, strings)}), path)
    else:
        _file(tmp_path, "a.jsonl", [{name: words, "tags": tags} for words, tags in zip(WORDS, TAGS, strict=True)])
    data = read_labelled(path, task="tag")
    assert (data.texts, data.labels) == (WORDS, TAGS)
    assert data.label_names == ("B-LOC", "B-ORG", "O")


def test_tags_in_strings(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.csv", "text,tags\nEU  rejects,B-ORG O\nBern,B-LOC\n,\n")
    data = read_labelled(path, task="tag")
    assert (data.texts, data.labels) == (WORDS, TAGS)


def test_text_files_of_tags_are_conll(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.txt", "EU B-ORG\nrejects O\n\nBern B-LOC\n")
    data = read_labelled(path, task="tag")
    assert (data.texts, data.labels) == (WORDS[:2], TAGS[:2])
    other = _file(tmp_path, "a.data", path.read_text())
    assert read_labelled(other, task="tag", options=ReadingOptions(format="conll")).labels == TAGS[:2]


def test_more_rows_than_a_block(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.tsv", "label\ttext\n" + "".join(f"{n}\ttext {n}\n" for n in range(5000)))
    data = read_labelled(path, task="classify")
    assert data.labels == list(data.label_names) == [str(n) for n in range(5000)]
    assert data.texts[4321] == "text 4321"


WRONG: list[tuple[Any, str, Any, str]] = [
    ("classify", "a.csv", "text,label\nx,1\ny, \n", r"a\.csv, row 2 \(line 3\): the label is empty"),
    ("classify", "a.csv", "text,x\na,1\n", r'a\.csv has no column "label": name .* --label-column.*"text", "x"'),
    ("classify", "a.csv", "text,target,score\na,1,2\n", '"target" and "score" may each be the one'),
    ("classify", "a.csv", "a,b,label\nx,y,1\n", 'no column "text".*Its columns: "a", "b", "label"'),
    ("classify", "a.csv", "text,label\n", "has no rows"),
    ("classify", "a.csv", "", "has no rows"),
    ("classify", "a.jsonl", [{"text": "x", "label": None}], r"row 1 \(line 1\): the label is null"),
    ("classify", "a.jsonl", [{"text": "x", "label": 0.5}], "the label is 0.5; .* the task regress"),
    ("classify", "a.jsonl", [{"text": "x", "label": ["a"]}], r"the label is \['a'\]"),
    ("classify", "a.jsonl", [{"text": "x", "label": "a"}, {"text": "x"}], r'row 2 \(line 2\): the row has no "label"'),
    ("classify", "a.jsonl", [{"text": ["x"], "label": "a"}], '"text" is of type list, not a string'),
    ("classify", "a.txt", "x\n", "is read as text, which has texts without labels; .* csv, tsv, json, jsonl, parquet"),
    ("classify", "a.conll", "x O\n", "is read as conll, which has sentences with a tag for each word"),
    ("classify", "a.xlsx", "x", "tells no format"),
    ("multi_label", "a.csv", 'text,labels\nx,"a,,b"\n', r"line 2\): the label is empty"),
    ("multi_label", "a.jsonl", [{"text": "x", "labels": None}], "the labels are null; .* string with ',' between"),
    ("regress", "a.csv", "text,score\nx,1\ny,much\n", r"row 2 \(line 3\): the label is 'much'; .* finite number"),
    ("regress", "a.csv", "text,score\nx,nan\n", "'nan'"),
    ("regress", "a.csv", "text,score\nx,1e999\n", "'1e999'"),
    ("regress", "a.csv", "text,score\nx,1_0\n", "'1_0'"),
    ("regress", "a.jsonl", [{"text": "x", "score": True}], "the label is True"),
    ("regress", "a.jsonl", [{"text": "x", "score": None}], "the label is null"),
    ("tag", "a.jsonl", [{"words": ["a", "b"], "tags": ["O"]}], r"row 1 \(line 1\): there are 2 words and 1 tags"),
    ("tag", "a.jsonl", [{"words": ["a"], "tags": None}], "the tags are null"),
    ("tag", "a.jsonl", [{"words": ["a"], "tags": [""]}], "the label is empty"),
    ("tag", "a.jsonl", [{"words": ["a", 1], "tags": ["O", "O"]}], '"words" is a list of more than words'),
    ("tag", "a.jsonl", [{"x": ["a"], "y": 1, "tags": ["O"]}], 'no column "words" or "tokens" or "text"'),
    ("tag", "a.conll", "EU\nBern\n", r"a\.conll, line 1: the line has one column, the word"),
    ("tag", "a.conll", "EU B-ORG\n\nBern\n", r"a\.conll, line 3: the line has 1 column and the first one 2"),
]


@pytest.mark.parametrize(("task", "name", "content", "message"), WRONG)
def test_wrong_data_is_told_by_its_place(tmp_path: Path, task: Any, name: str, content: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_labelled(_file(tmp_path, name, content), task=task)


def test_wrong_files_and_options(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.csv cannot be read: No such file"):
        read_labelled(tmp_path / "no.csv", task="classify")
    path = _file(tmp_path, "a.csv", "text,label\nx,1\n")
    with pytest.raises(InputError, match="both texts and labels"):
        read_labelled(path, task="classify", label_column="text")
    with pytest.raises(InputError, match=r'no column "b" \(--label-column\)'):
        read_labelled(path, task="classify", label_column="b")
    with pytest.raises(InputError, match="separator of labels is empty"):
        read_labelled(path, task="multi_label", label_separator="")
    pq.write_table(pa.table({"words": [1], "tags": [["O"]]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="holds int64, neither words nor strings"):
        read_labelled(tmp_path / "a.parquet", task="tag")
