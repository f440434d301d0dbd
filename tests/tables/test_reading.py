import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from berthub import Encoder


def _rows(result: Any) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout_bytes.splitlines()]
    for row in rows:
        assert len(row.pop("embedding")) == 32
    return rows


def test_csv_values_stay_the_strings_that_they_are(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(
        b'\xef\xbb\xbfid,text,note\r\n007,"a ""fox"",\r\nquick",\r\n1e3,,NULL\r\n\r\n,"",-1.50\r\n'
    )
    assert _rows(cli("encode", "a.csv", "-o", "-")) == [
        {"id": "007", "text": 'a "fox",\r\nquick', "note": ""},
        {"id": "1e3", "text": "", "note": "NULL"},
        {"id": "", "text": "", "note": "-1.50"},
    ]


def test_tsv_has_no_quoting(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b'id\ttext\n1\t"the fox\n2\tsaid ""no"\n\n3\t')
    assert _rows(cli("encode", "a.tsv", "-o", "-")) == [
        {"id": "1", "text": '"the fox'},
        {"id": "2", "text": 'said ""no"'},
        {"id": "3", "text": ""},
    ]


def test_text_lines(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\r\n\ntwo\rthree\xe2\x80\xa8four\nlast")
    assert [row["text"] for row in _rows(cli("encode", "a.txt", "-o", "-"))] == [
        "one",
        "",
        "two\rthree\u2028four",
        "last",
    ]


def test_the_only_column_is_the_text(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"review\nthe fox\n\n")
    assert _rows(cli("encode", "a.csv", "-o", "-")) == [{"review": "the fox"}, {"review": ""}]


def test_json_lines_are_carried_as_they_are(cli: Any, tmp_path: Path) -> None:
    lines = [
        '{"text": "the fox", "n": 123456789012345678901234567890, "x": 1.10}',
        '{"y": {"a": [null, "\\u00e9"]}, "text": ""}',
    ]
    (tmp_path / "a.ndjson").write_text(f"{lines[0]}\n \n{lines[1]}  \n")
    result = cli("encode", "a.ndjson", "-o", "-")
    assert result.exit_code == 0, result.output
    for line, carried in zip(result.stdout.splitlines(), lines, strict=True):
        assert line.startswith(carried[:-1] + ',"embedding":[')


def test_parquet_columns_keep_their_types(cli: Any, tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array([1, None, 3], pa.int8()),
            "when": pa.array([0, 1, None], pa.timestamp("ns")),
            "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
            "text": pa.array(["the fox", "", "quick"], pa.large_string()),
            "tags": pa.array([["a"], [], None]),
        }
    )
    pq.write_table(table, "a.parquet", row_group_size=2)
    result = cli("encode", "a.parquet", "-o", "b.parquet")
    assert result.exit_code == 0, result.output
    written = pq.read_table("b.parquet")
    assert written.drop_columns("embedding").equals(table)
    assert written.schema.names == [*table.schema.names, "embedding"]
    lines = cli("encode", "a.parquet", "-o", "-").stdout.splitlines()
    assert json.loads(lines[1])["when"] == "1970-01-01 00:00:00.000000001"
    assert json.loads(lines[0])["kind"] == "x"


def test_dictionary_encoded_texts(cli: Any, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array(["fox", "fox"]).dictionary_encode()}), "a.parquet")
    assert _rows(cli("encode", "a.parquet", "-o", "-")) == [{"text": "fox"}] * 2


@pytest.mark.parametrize(
    ("options", "data"),
    [
        ([], b"the fox\n\n"),
        (["--format", "text"], b"the fox\n\n"),
        (["--format", "csv"], b'text\nthe fox\n""\n'),
        (["--format", "tsv"], b"text\tn\nthe fox\t1\n\t2\n"),
        (["--format", "jsonl"], b'{"text": "the fox"}\n{"text": ""}'),
    ],
)
def test_standard_input(cli: Any, options: list[str], data: bytes) -> None:
    rows = _rows(cli("encode", "-", "-o", "-", *options, stdin=data))
    assert [row["text"] for row in rows] == ["the fox", ""]


def test_the_format_stands_above_the_extension(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "a.data").write_text("text\nfox\n")
    assert _rows(cli("encode", "a.data", "-o", "-", "--format", "csv")) == [{"text": "fox"}]
    assert _rows(cli("encode", "a.data", "-o", "-", "-f", "text")) == [{"text": "text"}, {"text": "fox"}]


@pytest.mark.filterwarnings("ignore::berthub.TruncationWarning")
def test_a_huge_line(cli: Any, encoder: Encoder, tmp_path: Path) -> None:
    huge = "the quick fox " * 300_000
    (tmp_path / "a.csv").write_text(f"text\nfox\n{huge}\nquick\n")
    result = cli("encode", "a.csv", "-o", "out.npy")
    assert result.exit_code == 0, result.output
    assert result.stderr.rstrip().endswith("1 text truncated to 64 tokens")
    expected = encoder.embed(["fox", huge[:1000], "quick"])
    np.testing.assert_allclose(np.load("out.npy"), expected, atol=1e-6)


BROKEN = {
    "empty.csv": (b"", "empty.csv has no texts"),
    "header.csv": (b"text,id\n", "header.csv has no texts"),
    "empty.txt": (b"", "has no texts"),
    "empty.jsonl": (b"\n\n", "has no texts"),
    "utf8.txt": (b"fine\nbr\xc3\xa9 \xff\n", "line 2, byte 6 of the line (offset 10 in the file) is 0xff"),
    "bom.txt": (b"\xef\xbb\xbfab\xe9\n", "line 1, byte 6 of the line (offset 5 in the file) is 0xe9"),
    "utf16.txt": ("fox".encode("utf-16"), "it looks like UTF-16"),
    "utf8.csv": (b"text\nfox\n\x80\n", "line 3, byte 1"),
    "quote.csv": (b'text\nfox\n"quick" brown\n', "quote.csv, line 3: this row is no valid CSV"),
    "open.csv": (b'text\nfox\n"quick\nbrown\n', "open.csv, line 3: this row is no valid CSV"),
    "fields.csv": (b"text,id\nfox,1\nquick\n", "line 3: the row has 1 fields and the header 2"),
    "fields.tsv": (b"text\tid\nfox\t1\t2\n", "line 2: the row has 3 fields and the header 2"),
    "twice.csv": (b"text,id,id\nfox,1,1\n", 'more than one column "id"'),
    "columns.csv": (
        b"a,b\nfox,1\n",
        'has no column "text": name the one to encode with --text-column. Its columns: "a"',
    ),
    "broken.jsonl": (b'{"text": "fox"}\n{"text": \n', "broken.jsonl, line 2: no valid JSON"),
    "list.jsonl": (b'["fox"]\n', "every line must be an object"),
    "number.jsonl": (b'{"text": 1}\n', 'row 1 (line 1): "text" is of type int'),
    "missing.jsonl": (b'{"text": "fox"}\n{"n": 1}\n', 'row 2 (line 2): the row has no "text"'),
    "no.parquet": (b"fox", "is no Parquet file, or a damaged one"),
    "a.xml": (b"<a/>", "tells no format"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(cli: Any, tmp_path: Path, name: str) -> None:
    data, message = BROKEN[name]
    (tmp_path / name).write_bytes(data)
    result = cli("encode", name, "-o", "out.jsonl")
    assert result.exit_code == 2
    assert message in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_broken_parquet_files(cli: Any, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["fox", None], "n": [1, 2]}), "a.parquet")
    result = cli("encode", "a.parquet", "-o", "out.npy", "--missing", "error")
    assert "a.parquet, row 2: the row has no text; --missing empty takes it as an empty text" in result.stderr
    assert 'the column "n" of a.parquet holds int64' in cli("encode", "a.parquet", "-o", "-", "-c", "n").stderr

    noise = [f"{number * 7919 % 10007} fox" for number in range(3000)]
    pq.write_table(pa.table({"text": noise}), "b.parquet", use_dictionary=False, compression="none", data_page_size=512)
    data = bytearray(Path("b.parquet").read_bytes())
    data[len(data) // 3 : 2 * len(data) // 3] = b"\xff" * (2 * len(data) // 3 - len(data) // 3)
    Path("b.parquet").write_bytes(data)
    result = cli("encode", "b.parquet", "-o", "out.npy")
    assert result.exit_code == 2
    assert "b.parquet is no Parquet file, or a damaged one" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]


def test_wrong_columns(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,text\nx,fox\n")
    result = cli("encode", "a.csv", "-o", "-", "-c", "texts")
    assert result.exit_code == 2
    assert 'a.csv has no column "texts" (--text-column). Its columns: "a", "text"' in result.stderr
    result = cli("encode", "a.csv", "-o", "-", "--text-pair-column", "b")
    assert 'no column "b" (--text-pair-column)' in result.stderr
    assert "is the column of the texts already" in cli(
        "encode", "a.csv", "-o", "-", "--text-pair-column", "text"
    ).stderr.replace("which ", "")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["missing.csv"], "file not found: missing.csv"),
        (["my missing reviews.TSV"], "file not found"),
        (["missing.json"], "file not found"),
        (["missing", "--format", "csv"], "file not found"),
        (["the quick fox " * 100 + ".csv"], "file not found"),
        (["folder"], 'the folder "folder" holds no files'),
        (["a.csv", "fox"], '"a.csv" is a file and "fox" is none, of 2 arguments'),
        (["-", "fox"], "standard input and takes no other"),
        (["-", "--format", "parquet"], "cannot be read from standard input"),
        (["caf\udce9"], "text 1 of the command line is not valid UTF-8"),
    ],
)
def test_inputs_that_mean_nothing(cli: Any, tmp_path: Path, inputs: list[str], message: str) -> None:
    (tmp_path / "folder").mkdir()
    result = cli("encode", *inputs, "-o", "out.jsonl")
    assert result.exit_code == 2
    assert message in result.stderr
