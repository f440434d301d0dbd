"""Arrow's own files and streams."""

import gzip
import io
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from berthub.errors import InputError
from berthub.tables.arrow_ipc import open_arrow
from berthub.tables.block import BLOCK_ROWS
from berthub.tables.opening import open_file
from berthub.tables.reading import TextColumns, reading
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.rows import RowReader
from berthub.tables.source import find_source
from berthub.tables.start import Start

TABLE = pa.table(
    {
        "text": pa.array(["one", None, "drei\u00e4", "four", "five"]),
        "id": pa.array(range(5), pa.int64()),
        "kind": pa.array(["a", "b", "a", None, "c"]).dictionary_encode(),
    }
)


def written(table: pa.Table, form: str = "file", rows: int = 2, **options: Any) -> bytes:
    buffer = io.BytesIO()
    new = pa.ipc.new_file if form == "file" else pa.ipc.new_stream
    with new(buffer, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=rows)
    return buffer.getvalue()


def blocks(path: Path, columns: TextColumns | None = None) -> list[Any]:
    with reading(find_source([str(path)], ReadingOptions()), columns or TextColumns()) as rows:
        return list(rows.blocks)


def texts(path: Path) -> list[Any]:
    return [text for block in blocks(path) for text in block.texts]


@pytest.mark.parametrize("form", ["file", "stream"])
@pytest.mark.parametrize("options", [{}, {"compression": "zstd"}, {"compression": "lz4"}])
@pytest.mark.parametrize("suffix", [".arrow", ".feather", ".ipc"])
def test_all_columns_are_read(tmp_path: Path, form: str, options: Any, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(written(TABLE, form, **options))
    (block,) = blocks(path)
    assert block.texts == ["one", "", "drei\u00e4", "four", "five"]
    assert block.carried.schema == TABLE.schema
    assert block.carried.to_pydict() == TABLE.to_pydict()
    assert block.place(4) == f"{path}, row 5"
    assert block.end > 0


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())])
def test_kinds_of_strings(cli: Any, tmp_path: Path, kind: pa.DataType) -> None:
    table = pa.table({"text": pa.array(["one", "two"]).cast(kind), "tags": [["a"], []]})
    (tmp_path / "a.arrow").write_bytes(written(table))
    assert cli("encode", "a.arrow", "-o", "b.parquet", "-q").exit_code == 0
    assert pq.read_table(tmp_path / "b.parquet")["text"].to_pylist() == ["one", "two"]


def test_string_views_inside_of_other_columns(tmp_path: Path) -> None:
    inner = pa.list_(pa.struct([("a", pa.string_view()), ("b", pa.binary_view())]))
    table = pa.table({"text": ["one"], "more": pa.array([[{"a": "x", "b": b"y"}]], inner)})
    (tmp_path / "a.arrow").write_bytes(written(table))
    (block,) = blocks(tmp_path / "a.arrow")
    assert block.carried.to_pydict() == table.to_pydict()
    assert "view" not in str(block.carried.schema)
    assert block.chosen([0]).carried.num_rows == 1


def test_dictionaries_that_change_in_a_stream(cli: Any, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    parts = [pa.table({"text": pa.array(values).dictionary_encode()}) for values in (["a", "b"], ["c", "a"])]
    with pa.ipc.new_stream(buffer, parts[0].schema) as writer:
        for part in parts:
            writer.write_table(part)
    (tmp_path / "a.arrow").write_bytes(buffer.getvalue())
    assert cli("encode", "a.arrow", "-o", "b.parquet", "-q").exit_code == 0
    assert pq.read_table(tmp_path / "b.parquet")["text"].to_pylist() == ["a", "b", "c", "a"]


@pytest.mark.parametrize("form", ["file", "stream"])
def test_blocks_are_neither_batches_nor_the_file(tmp_path: Path, form: str) -> None:
    count = 3 * BLOCK_ROWS
    table = pa.table({"text": [str(number) for number in range(count)]})
    for rows in (7, count):
        path = tmp_path / f"{rows}.arrow"
        path.write_bytes(written(table, form, rows=rows))
        found = blocks(path)
        assert [text for block in found for text in block.texts] == table["text"].to_pylist()
        assert all(BLOCK_ROWS // 2 < len(block.texts) <= BLOCK_ROWS for block in found[:-1])
        ends = [block.end for block in found]
        assert ends == sorted(ends)


@pytest.mark.parametrize("form", ["file", "stream"])
@pytest.mark.parametrize("every", [1, 2, 3, 5, 9])
def test_rows_from_any_place(tmp_path: Path, form: str, every: int) -> None:
    path = tmp_path / "a.arrow"
    path.write_bytes(written(TABLE, form))

    def reader(opened: Any) -> RowReader:
        return RowReader(opened=opened, read_as="arrow", options=ReadingOptions(), columns=TextColumns())

    with open_file(path, "a") as opened:
        assert open_arrow(opened.stream, "a", TextColumns()).count() == 5
    found = []
    for first in range(0, 5, every):
        with open_file(path, "a") as opened:
            for block in reader(opened).blocks(Start(first), every):
                assert block.first_row == first + 1
                found += block.carried["id"].to_pylist()
    assert found == list(range(5))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.arrow", b"", "is no Arrow file, or a damaged one"),
        ("a.arrow", b"text,id\none,1\n", "is no Arrow file, or a damaged one"),
        ("a.arrow", written(TABLE)[:-50], "is no Arrow file, or a damaged one"),
        ("a.arrow", written(TABLE, "stream")[:900], "is no Arrow file, or a damaged one"),
        ("a.arrow", written(TABLE, "stream") * 2, "holds more after the end of its Arrow stream"),
        ("a.arrow", gzip.compress(written(TABLE)), "an Arrow file inside gzip, which has to be unpacked: gunzip it"),
        ("a.feather", b"FEA1" + bytes(40), "a Feather file of version 1: write it again"),
        ("a.arrow", written(pa.table({"text": [1, 2]})), 'column "text" of .*a.arrow holds int64, not strings'),
        ("a.arrow", written(pa.table({"id": ["1"], "n": ["2"]})), "--text-column"),
        (
            "a.arrow",
            written(pa.table({"text": ["a"], "x": pa.array([[1]], pa.list_view(pa.int8()))})),
            'the column "x" of .* holds list_view<item: int8>, which is not read',
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        texts(tmp_path / name)


@pytest.mark.parametrize("form", ["file", "stream"])
def test_damage_is_an_error_and_never_a_crash(tmp_path: Path, form: str) -> None:
    data, chance = written(TABLE, form), random.Random(form)
    path = tmp_path / "a.arrow"
    refused = 0
    for number in range(400):
        damaged = bytearray(data)
        if number % 2:
            damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        else:
            del damaged[chance.randrange(len(data)) :]
        path.write_bytes(damaged)
        try:
            texts(path)
        except InputError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 200


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    broken = pa.array([b"one", b"\xff", b"three"], pa.binary()).view(pa.string())
    (tmp_path / "a.arrow").write_bytes(written(pa.table({"text": broken})))
    with pytest.raises(InputError, match='row 2: "text" is no valid UTF-8'):
        texts(tmp_path / "a.arrow")
    with open_file(tmp_path / "a.arrow", "a") as opened:
        (block,) = open_arrow(opened.stream, "a", TextColumns(), lenient=True).blocks()
    assert (block.texts, list(block.faults)) == (["one", None, "three"], [1])


def test_standard_input(cli: Any) -> None:
    stream = cli("encode", "-", "-f", "arrow", "-o", "-", "-q", stdin=written(TABLE, "stream"))
    assert (stream.exit_code, stream.stdout.count("\n")) == (0, 5)


def test_options_without_effect(tmp_path: Path) -> None:
    (tmp_path / "a.arrow").write_bytes(written(TABLE))
    for options in ({"encoding": "latin-1"}, {"delimiter": ";"}, {"header": False}):
        with pytest.raises(InputError, match="arrow"):
            find_source([str(tmp_path / "a.arrow")], ReadingOptions(**options))
