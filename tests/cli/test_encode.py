import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from berthub import Encoder
from berthub.formats import read
from berthub.formats.native import write_native

TEXTS = ["The quick brown fox.", "", "Unbelievable!", "the fox was not quick " * 5]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("".join(f"{text}\n" for text in TEXTS))
    return path


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("options", "pooling", "layer"),
    [
        ([], None, -1),
        (["--output", "embedding"], "mean", -1),
        (["--output", "pooled_output"], "pooled", -1),
        (["--output", "mean"], "mean", -1),
        (["--output", "max"], "max", -1),
        (["--output", "cls", "--layer", "0"], "cls", 0),
        (["--layer", "-2"], "mean", 0),
    ],
)
def test_vectors_are_those_of_the_library(
    cli: Any, encoder: Encoder, corpus: Path, options: list[str], pooling: Any, layer: int
) -> None:
    result = cli("encode", corpus, "-o", "out.npy", *options)
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(np.load("out.npy"), encoder.embed(TEXTS, pooling=pooling, layer=layer), atol=1e-6)


def test_stream_takes_a_pooling(encoder: Encoder) -> None:
    chunks = list(encoder.stream(TEXTS, pooling="max", layer=-2, chunk_size=3))
    assert [list(chunk) for chunk in chunks] == [["embedding"], ["embedding"]]
    vectors = np.concatenate([chunk["embedding"] for chunk in chunks])
    np.testing.assert_allclose(vectors, encoder.embed(TEXTS, pooling="max", layer=-2), atol=1e-6)
    both = next(encoder.stream(TEXTS, pooling="mean", outputs=["sequence_output"]))
    assert set(both) == {"embedding", "sequence_output"}


def test_normalize(cli: Any, encoder: Encoder, corpus: Path) -> None:
    cli("encode", corpus, "-o", "out.npy", "--normalize", "--output", "mean")
    np.testing.assert_allclose(np.load("out.npy"), encoder.embed(TEXTS, normalize=True), atol=1e-6)


@pytest.mark.parametrize(("options", "layer"), [([], 1), (["--layer", "-2"], 0)])
@pytest.mark.parametrize("name", ["out.parquet", "out.jsonl"])
def test_token_vectors(cli: Any, encoder: Encoder, corpus: Path, options: list[str], layer: int, name: str) -> None:
    result = cli("encode", corpus, "-o", name, "--output", "sequence_output", *options)
    assert result.exit_code == 0, result.output
    rows = pq.read_table(name).to_pylist() if name.endswith("parquet") else _lines(Path(name).read_text())
    expected = encoder.encode(TEXTS, outputs=[], layers=[layer])
    assert [row["text"] for row in rows] == TEXTS
    assert [row["tokens"] for row in rows] == expected.tokens
    assert rows[1]["tokens"] == ["[CLS]", "[SEP]"]
    for row, offsets, vectors, length in zip(
        rows,
        expected.offsets,
        expected["encoder_outputs"][layer],
        expected.ragged_tokens.lengths,
        strict=True,
    ):
        assert row["offsets"] == offsets.tolist()
        np.testing.assert_allclose(row["sequence_output"], vectors[:length], atol=1e-6)


def test_normalized_token_vectors_have_length_one(cli: Any, corpus: Path) -> None:
    cli("encode", corpus, "-o", "out.jsonl", "--output", "sequence_output", "--normalize")
    for row in _lines(Path("out.jsonl").read_text()):
        np.testing.assert_allclose(np.linalg.norm(row["sequence_output"], axis=1), 1, atol=1e-6)


@pytest.mark.slow
def test_more_rows_than_a_block_keep_their_order(cli: Any, encoder: Encoder, tmp_path: Path) -> None:
    texts = [f"the fox {number}" + " quick" * (number % 7) for number in range(5000)]
    (tmp_path / "many.txt").write_text("\n".join(texts))
    result = cli("encode", "many.txt", "-o", "out.parquet", "--engine", "numpy")
    assert result.exit_code == 0, result.output
    table = pq.read_table("out.parquet")
    assert table.column("text").to_pylist() == texts
    vectors = np.array(table.column("embedding").to_pylist(), np.float32)
    some = slice(2040, 2060)
    np.testing.assert_allclose(vectors[some], encoder.embed(texts[some]), atol=1e-5)


def test_pairs(cli: Any, encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("question\tanswer\tid\nWas it?\tIt was.\t1\n\tNo.\t2\n")
    result = cli("encode", "pairs.tsv", "-o", "-", "-c", "question", "--text-pair-column", "answer", "--output", "mean")
    rows = _lines(result.stdout)
    assert [list(row) for row in rows] == [["question", "answer", "id", "mean"]] * 2
    expected = encoder.embed([("Was it?", "It was."), ("", "No.")])
    np.testing.assert_allclose([row["mean"] for row in rows], expected, atol=1e-6)


def test_summary_counts_truncated_texts_and_nothing_else_is_said(cli: Any, corpus: Path) -> None:
    result = cli("encode", corpus, "-o", "out.npy", "--max-length", "5")
    assert result.stdout == ""
    vectors, line = result.stderr.splitlines()
    assert vectors == "vectors: embedding: the mean of the token vectors (no file of the model says otherwise)"
    assert "4 rows, 17 tokens" in line
    assert "float32" in line
    assert line.endswith("3 texts truncated to 5 tokens")
    assert cli("encode", corpus, "-o", "out2.npy", "--quiet").stderr == ""


def test_no_truncation_names_the_row(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text\nfox\n"two\nlines"\n' + "fox " * 100 + "\n")
    result = cli("encode", "a.csv", "-o", "out.npy", "--no-truncation")
    assert result.exit_code == 2
    assert "a.csv, row 3 (line 5): the text has 302 tokens and the limit is 64" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv"]


@pytest.mark.parametrize("options", [["--window", "16", "--stride", "4"], ["--window", "16"]])
def test_windows_truncate_nothing(cli: Any, encoder: Encoder, tmp_path: Path, options: list[str]) -> None:
    texts = ["the fox was not quick " * 30, "the fox"]
    (tmp_path / "long.txt").write_text("\n".join(texts))
    result = cli("encode", "long.txt", "-o", "out.npy", "--output", "mean", *options)
    assert result.exit_code == 0, result.output
    assert result.stderr.rstrip().endswith("no text truncated")
    np.testing.assert_allclose(np.load("out.npy"), encoder.embed(texts, window=16, stride=4), atol=1e-5)
    cli("encode", "long.txt", "-o", "out.parquet", "--output", "sequence_output", *options)
    table = pq.read_table("out.parquet")
    expected = encoder.encode(texts, outputs=["sequence_output"], window=16)
    assert table.column("tokens").to_pylist() == expected.tokens
    np.testing.assert_allclose(table.column("sequence_output")[0].as_py(), expected.ragged()[0], atol=1e-5)
    metadata = {
        key: value for key, value in table.schema.metadata.items() if key in (b"berthub.window", b"berthub.stride")
    }
    assert metadata == {b"berthub.window": b"16", b"berthub.stride": b"4"}


def test_cased(cli: Any, encoder: Encoder, corpus: Path) -> None:
    cli("encode", corpus, "-o", "out.jsonl", "--output", "sequence_output", "--cased")
    assert "[UNK]" in _lines(Path("out.jsonl").read_text())[0]["tokens"]


def test_texts_are_shown_as_a_table(cli: Any) -> None:
    result = cli("encode", "The [CLS] fox.", "")
    assert result.exit_code == 0, result.output
    assert "The [CLS] fox." in result.stdout
    assert "first components" in result.stdout
    shown = " ".join(result.stdout.split())
    assert "embedding: the mean of the token vectors (no file of the model says otherwise), layer 1 of 0 to 1" in shown
    assert "32 components of float32" in shown


def test_token_vectors_are_shown_too(cli: Any) -> None:
    result = cli("encode", "The fox.", "--output", "sequence_output", "--max-length", "3")
    assert "[SEP]" in result.stdout
    assert "1 of these texts truncated to 3 tokens." in " ".join(result.stdout.split())


def test_standard_input_is_shown_and_not_all_of_it(cli: Any) -> None:
    result = cli("encode", "-", stdin=b"the fox\n" * 60)
    assert result.stdout.count("the fox") == 50
    assert "Only the first 50 texts are shown" in " ".join(result.stdout.split())


def test_a_table_of_a_text_that_is_too_long_is_refused(cli: Any) -> None:
    result = cli("encode", "fox", "fox " * 100, "--no-truncation")
    assert result.exit_code == 2
    assert "row 2: the text has 302 tokens" in result.stderr


def test_literal_texts_can_be_written(cli: Any, encoder: Encoder) -> None:
    result = cli("encode", "One fox.", "Two.", "--to", "jsonl")
    rows = _lines(result.stdout)
    assert [row["text"] for row in rows] == ["One fox.", "Two."]
    np.testing.assert_allclose(
        [row["embedding"] for row in rows],
        encoder.embed(["One fox.", "Two."]),
        atol=1e-6,
    )


def test_without_a_pooler(cli: Any, models: Path, tmp_path: Path) -> None:
    whole = read(models / "tf2_v4")
    weights = {name: weight for name, weight in whole.weights.items() if "pooler" not in name}
    write_native(replace(whole, config=replace(whole.config, pooler=False), weights=weights), tmp_path / "model")
    result = cli("encode", "fox", "--to", "jsonl", "-m", "./model")
    assert list(_lines(result.stdout)[0]) == ["text", "embedding"]
    result = cli("encode", "fox", "--to", "jsonl", "-m", "./model", "--output", "pooled_output")
    assert result.exit_code == 2
    assert "use --output mean, max or cls" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layer", "7"], "layer 7 does not exist"),
        (["--output", "pooled_output", "--layer", "0"], "the pooler belongs to the last layer"),
        (["--max-length", "1000"], "must be from 2 to 64"),
        (["--window", "65"], "window must be from 3 to 64"),
        (["--stride", "5"], "it needs window="),
        (["--vectors-column", "text"], 'a column "text" already'),
        (["--sha256", "nothex"], "nothex"),
        (["--sha256", "a=1", "--sha256", "1234"], "--sha256 1234 is not understood"),
    ],
)
def test_impossible_options(cli: Any, corpus: Path, tmp_path: Path, options: list[str], message: str) -> None:
    result = cli("encode", corpus, "-o", "out.parquet", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.glob("*out*")) == list(tmp_path.glob(".*")) == []


def test_calibration_for_int8_is_announced(cli: Any, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # On processors that are refused int8, too: what is computed there is near enough for a message.
    monkeypatch.setattr("berthub.engines.openvino.multiplies_bytes_exactly", lambda: True)
    result = cli("encode", "hello", "--model", models / "tf2_v4", "--precision", "int8")
    assert result.exit_code == 0
    assert "calibrating for 8-bit integers" in result.stderr


def test_int8_is_refused_with_the_reason_where_the_processor_cannot(
    cli: Any, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("berthub.engines.openvino.multiplies_bytes_exactly", lambda: False)
    result = cli("encode", "hello", "--model", models / "tf2_v4", "--precision", "int8")
    assert result.exit_code == 2
    assert "not offered on this processor" in result.stderr
