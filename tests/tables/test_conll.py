import json
from pathlib import Path
from typing import Any

import pytest

from berthub.errors import InputError
from berthub.tables.columns import TextColumns
from berthub.tables.reading import reading
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.source import file_source

FILE = (
    b"\xef\xbb\xbf-DOCSTART- -X- -X- O\r\n\r\nEU NNP B-NP B-ORG\r\nrejects\tVBZ   B-VP O \r\n \r\n\r\n"
    b"S\xc3\xa3o\xc2\xa0Paulo NNP B-NP B-LOC\r\n-DOCSTART- O\r\nlast NN I-NP O"
)
WORDS = [["EU", "rejects"], ["São\xa0Paulo"], ["last"]]


def _blocks(path: Path, **columns: Any) -> list[Any]:
    with reading(file_source(path, ReadingOptions()), TextColumns(**columns)) as rows:
        return list(rows.blocks)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.conll"
    path.write_bytes(FILE)
    return path


def test_sentences(path: Path) -> None:
    (block,) = _blocks(path, words=True, labelled=True)
    assert block.texts == WORDS
    assert block.labels == [["B-ORG", "O"], ["B-LOC"], ["O"]]
    assert block.carried.column_names == ["words", "column_2", "column_3", "tags"]
    assert block.carried.column("column_2").to_pylist() == [["NNP", "VBZ"], ["NNP"], ["NN"]]
    assert [block.place(index) for index in range(3)] == [
        f"{path}, row {n} (line {m})" for n, m in ((1, 3), (2, 7), (3, 9))
    ]
    assert (block.begin, block.end) == (0, len(FILE))


def test_other_columns_can_be_the_labels(path: Path) -> None:
    (block,) = _blocks(path, words=True, labelled=True, label="column_2")
    assert block.labels == [["NNP", "VBZ"], ["NNP"], ["NN"]]


def test_words_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.iob"
    path.write_text("\n\none\ntwo\n\n")
    (block,) = _blocks(path, words=True)
    assert block.texts == [["one", "two"]]
    assert block.carried.column_names == ["words"]


def test_sentences_are_texts_for_other_commands(cli: Any, path: Path) -> None:
    result = cli("encode", path, "-o", "-", "--output", "mean")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["words"] for row in rows] == WORDS
    assert (
        json.loads(cli("encode", "EU rejects", "--to", "jsonl", "--output", "mean").stdout)["mean"] == rows[0]["mean"]
    )


def test_more_sentences_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "a.bio"
    path.write_text("".join(f"word{n} O\nx B-X\n\n" for n in range(5000)))
    blocks = _blocks(path, words=True)
    assert len(blocks) > 1
    assert [sentence for block in blocks for sentence in block.texts] == [[f"word{n}", "x"] for n in range(5000)]
    assert blocks[1].place(0) == f"{path}, row 2049 (line 6145)"


def test_what_cannot_be_read(tmp_path: Path, path: Path) -> None:
    with pytest.raises(InputError, match="sentences of words, which have no pairs"):
        _blocks(path, words=True, pair="tags")
    ragged = tmp_path / "ragged.conll"
    ragged.write_text("a O\nb c O\n")
    with pytest.raises(InputError, match=r"ragged\.conll, line 2: the line has 3 columns and the first one 2"):
        _blocks(ragged, words=True)
    ragged.write_bytes(b"a O\n\xff O\n")
    with pytest.raises(InputError, match="is not UTF-8: line 2"):
        _blocks(ragged, words=True)
