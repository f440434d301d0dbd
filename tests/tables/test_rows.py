"""Rows of files from any start: the blocks are those of the whole file, however it is cut into spans."""

import gzip
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from berthub.choices import InputFormat
from berthub.tables.block import Block, JsonRows
from berthub.tables.columns import TextColumns
from berthub.tables.opening import open_file
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.rows import RowReader
from berthub.tables.start import Start

TEXTS = ["one", "", "drei\u00e4", "a, b", 'q "u" q', "two\nlines", "  ", "end"]
PLAIN = [text.replace("\n", " ").replace(",", ";") for text in TEXTS]


def _csv(texts: list[str]) -> bytes:
    quoted = ('"' + text.replace('"', '""') + '"' for text in texts)
    return "\r\n".join(["n,text", *(f"{index},{text}" for index, text in enumerate(quoted))]).encode()


def _jsonl(texts: list[str]) -> bytes:
    import json

    return b"".join(
        json.dumps({"text": text, "n": index}).encode() + b"\n" * (index % 3 + 1) for index, text in enumerate(texts)
    )


def _json(texts: list[str]) -> bytes:
    import json

    return json.dumps([{"text": text} for text in texts], indent=1).encode()


def _conll(texts: list[str]) -> bytes:
    return b"-DOCSTART- O\n\n" + b"".join(
        f"{text.split()[0] if text.split() else 'x'} O\ny B\n\n\n".encode() for text in texts
    )


def _parquet(path: Path, texts: list[str]) -> None:
    pq.write_table(pa.table({"text": texts, "n": range(len(texts))}), path, row_group_size=3)


FILES: dict[str, tuple[InputFormat, Callable[[list[str]], bytes], dict[str, Any]]] = {
    "a.csv": ("csv", _csv, {}),
    "headless.csv": ("csv", lambda texts: _csv(texts).partition(b"\n")[2], {"header": False}),
    "a.tsv": ("tsv", lambda texts: "\n".join(["text", *map(_flat, texts)]).encode(), {}),
    "two.tsv": ("tsv", lambda texts: "\n".join(["text\tn", *(f"{_flat(text)}\t1\n" for text in texts)]).encode(), {}),
    "a.jsonl": ("jsonl", _jsonl, {}),
    "a.json": ("json", _json, {}),
    "a.txt": ("text", lambda texts: "\ufeff".encode() + "\n".join(map(_flat, texts)).encode(), {"format": "text"}),
    "wide.txt": (
        "text",
        lambda texts: "\n".join(map(_flat, texts)).encode("utf-16"),
        {"encoding": "utf-16", "format": "text"},
    ),
    "a.csv.gz": ("csv", lambda texts: gzip.compress(_csv(texts)), {}),
    "a.conll": ("conll", _conll, {}),
}


def _flat(text: str) -> str:
    return text.replace("\n", " ")


@pytest.fixture(params=[*FILES, "a.parquet"])
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    path = tmp_path / request.param
    if path.suffix == ".parquet":
        _parquet(path, TEXTS)
        read_as, options = "parquet", {}
    else:
        read_as, content, options = FILES[request.param]
        path.write_bytes(content(TEXTS))

    def read(function: Callable[[RowReader], Any]) -> Any:
        columns = TextColumns(text="column_2") if not options.get("header", True) else TextColumns()
        with open_file(path, path.name) as opened:
            return function(
                RowReader(opened=opened, read_as=read_as, options=ReadingOptions(**options), columns=columns)
            )

    return read


def _found(blocks: Any) -> list[Any]:
    """What is known of each row: its text, its place, and the columns beside it."""
    return [row for block in blocks for row in _rows(block)]


def _rows(block: Block) -> list[Any]:
    carried = block.carried.objects if isinstance(block.carried, JsonRows) else block.carried.to_pylist()
    return [(text, block.place(index), carried[index]) for index, text in enumerate(block.texts)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 9])
def test_spans_are_the_file(reader: Any, size: int) -> None:
    whole = reader(lambda each: _found(each.blocks()))
    counted = reader(lambda each: each.count(first=0, every=size))
    assert counted.rows == len(whole) == len(TEXTS)
    assert [start.rows for start in counted.starts] == list(range(0, counted.rows, size))
    spans = [reader(lambda each, start=start: _found(each.blocks(start, size))) for start in counted.starts]
    assert list(itertools.chain.from_iterable(spans)) == whole


def test_counting_begins_where_it_is_told(reader: Any) -> None:
    assert [start.rows for start in reader(lambda each: each.count(first=3, every=4)).starts] == [3, 7]
    assert reader(lambda each: each.count(first=8, every=4)).starts == []


def test_columns_are_told_where_all_rows_have_them(reader: Any) -> None:
    schema = reader(lambda each: each.count(first=0, every=4)).schema
    (block, *_) = reader(lambda each: list(each.blocks()))
    if isinstance(block.carried, JsonRows) or block.carried.column_names[0] == "words":
        assert schema is None
    else:
        assert schema.equals(block.carried.schema)


def test_lines_are_read_from_their_offset(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xff broken\nwhole\n")
    with open_file(path, path.name) as opened:
        reader = RowReader(opened=opened, read_as="text", options=ReadingOptions(format="text"), columns=TextColumns())
        (block,) = reader.blocks(Start(1, 1, 9))
    assert block.texts == ["whole"]
    assert (block.place(0), block.begin, block.end) == ("a.txt, row 2 (line 2)", 9, 15)
