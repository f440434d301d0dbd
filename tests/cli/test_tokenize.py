import json
from pathlib import Path
from typing import Any

import pytest

from berthub import Encoder, Tokenizer
from berthub.formats import read
from berthub.formats.native import write_native
from berthub.vocabulary import Vocabulary
from support.vocabularies import byte_bpe, sentencepiece_model, with_vocabulary


def test_table(cli: Any, models: Path) -> None:
    result = cli("tokenize", models / "tf2_v4", "The \u2603 [SEP]")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[1] == ["index", "piece", "id", "characters"]
    assert rows[4][:2] == ["1", "the"]
    assert rows[4][3] == "The"
    assert rows[5][1] == "[UNK]"
    assert rows[5][3] == "\u2603"
    assert "1 of them unknown to the vocabulary" in result.stdout


def test_more_than_the_model_takes(cli: Any, models: Path) -> None:
    result = cli("tokenize", models / "tf2_v4", "fox " * 100)
    assert "The model takes 64: encoding would cut the text." in " ".join(result.stdout.split())


def test_json(cli: Any, models: Path, encoder: Encoder) -> None:
    texts = ["The quick fox.", "", "São"]
    result = cli("tokenize", models / "tf2_v4", "--json", *texts)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    expected = encoder.encode(texts)
    assert [row["text"] for row in rows] == texts
    assert [row["tokens"] for row in rows] == expected.tokens
    assert [row["offsets"] for row in rows] == [offsets.tolist() for offsets in expected.offsets]
    assert rows[1]["ids"] == expected.input_ids[1, :2].tolist()


def test_standard_input(cli: Any, models: Path) -> None:
    result = cli("tokenize", models / "tf2_v4", "-", "--json", stdin=b"The fox\r\n\nnot\n")
    assert [json.loads(line)["text"] for line in result.stdout.splitlines()] == ["The fox", "", "not"]
    assert cli("tokenize", models / "tf2_v4", "-", "fox").exit_code == 2


def test_cased(cli: Any, models: Path) -> None:
    result = cli("tokenize", models / "tf2_v4", "The", "--cased", "--json")
    assert "the" not in json.loads(result.stdout)["tokens"]


def test_file_names_are_texts_here(cli: Any, models: Path) -> None:
    result = cli("tokenize", models / "tf2_v4", "reviews.csv", "--json")
    assert json.loads(result.stdout)["text"] == "reviews.csv"


@pytest.mark.parametrize("vocabulary", [byte_bpe(), sentencepiece_model()], ids=lambda vocabulary: vocabulary.algorithm)
def test_other_vocabularies(cli: Any, models: Path, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write_native(with_vocabulary(read(models / "tf2_v4"), vocabulary), tmp_path / "model")
    text = "The naïve\tfox!"
    row = json.loads(cli("tokenize", tmp_path / "model", "--json", text).stdout)
    tokenizer = Tokenizer(vocabulary)
    assert row["tokens"][1:-1] == tokenizer.tokenize(text)
    assert (row["tokens"][0], row["tokens"][-1]) == (vocabulary.classify, vocabulary.separate)
    assert "fox" in "".join(text[begin:end] for begin, end in row["offsets"])
    result = cli("tokenize", tmp_path / "model", text)
    assert result.exit_code == 0, result.output
    assert "naïve" in "".join(line.split()[3] for line in result.stdout.splitlines() if len(line.split()) == 4)
