"""Columns of every kind through every writer, without a model and without the command line."""

import io
import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from berthub.choices import TableFormat
from berthub.errors import InputError
from berthub.tables.block import Block
from berthub.tables.results import Column, ListColumn, NumberColumn, RaggedColumn, ShareColumn, TextColumn, VectorColumn
from berthub.tables.writer import refuse_clash
from berthub.tables.writing import create_writer

VECTORS = np.array([[0.5, 1], [2, -3], [1e-7, 4]], np.float32)
LENGTHS = np.array([2, 0, 1])


def _block() -> Block:
    texts = ["fox", "", 'an "owl", too']
    table = pa.table({"id": ["a", "b", "c"]})
    return Block(name="in.csv", texts=texts, carried=table, first_row=1, lines=[2, 3, 4], begin=0, end=3)


def _written(to: TableFormat, steps: Sequence[Sequence[Column]], *, carries: bool = True) -> bytes:
    file = io.BytesIO()
    writer = create_writer(to, file, carries=carries, source="csv", metadata={"key": "value"})
    writer.begin(_block())
    for columns in steps:
        writer.write(columns)
    writer.close()
    return file.getvalue()


def _columns() -> list[Column]:
    return [
        TextColumn(name="text", values=["x", "", "y"]),
        NumberColumn(name="number", values=np.array([0.1, 2, 3], np.float32)),
        ListColumn(name="list", values=[["a", "b"], [], ["c"]]),
        ShareColumn(name="shares", values=VECTORS, labels=["no", "yes"], field_prefix="share_"),
        VectorColumn(name="vector", values=VECTORS),
    ]


def test_parquet_has_a_type_for_every_kind() -> None:
    ragged = [
        RaggedColumn(name="ragged", values=VECTORS, lengths=LENGTHS),
        RaggedColumn(name="offsets", values=np.zeros((3, 2), np.int32), lengths=LENGTHS),
        ShareColumn(name="many", values=VECTORS, labels=["no", "yes"], field_prefix="", lengths=LENGTHS),
    ]
    table = pq.read_table(io.BytesIO(_written("parquet", [[*_columns(), *ragged]])))
    shares = pa.struct({"no": pa.float32(), "yes": pa.float32()})
    assert dict(zip(table.schema.names, table.schema.types, strict=True)) == {
        "id": pa.string(),
        "text": pa.string(),
        "number": pa.float32(),
        "list": pa.list_(pa.string()),
        "shares": shares,
        "vector": pa.list_(pa.float32(), 2),
        "ragged": pa.list_(pa.list_(pa.float32(), 2)),
        "offsets": pa.list_(pa.list_(pa.int32(), 2)),
        "many": pa.list_(shares),
    }
    assert table.schema.metadata == {b"key": b"value"}
    assert [len(row) for row in table["ragged"].to_pylist()] == [2, 0, 1]
    assert table["many"].to_pylist()[2] == [{"no": VECTORS[2, 0], "yes": 4}]


def test_parquet_compresses_what_is_not_plain() -> None:
    about = pq.read_metadata(io.BytesIO(_written("parquet", [_columns()]))).row_group(0)
    found = [about.column(index) for index in range(about.num_columns)]
    compression = {column.path_in_schema.partition(".")[0]: column.compression for column in found}
    assert [compression[name] for name in ("id", "text", "number", "vector")] == [*["SNAPPY"] * 3, "UNCOMPRESSED"]


def test_json_lines_have_a_form_for_every_kind() -> None:
    ragged = RaggedColumn(name="ragged", values=VECTORS, lengths=LENGTHS)
    many = ShareColumn(name="many", values=VECTORS, labels=["no", "yes"], field_prefix="", lengths=LENGTHS)
    rows = [json.loads(line) for line in _written("jsonl", [[*_columns(), ragged, many]]).splitlines()]
    assert rows[0] == {
        "id": "a",
        "text": "x",
        "number": 0.1,
        "list": ["a", "b"],
        "shares": {"no": 0.5, "yes": 1},
        "vector": [0.5, 1],
        "ragged": [[0.5, 1], [2, -3]],
        "many": [{"no": 0.5, "yes": 1}, {"no": 2, "yes": -3}],
    }
    assert (rows[1]["ragged"], rows[1]["many"]) == ([], [])


def test_separated_rows_have_fields_for_every_kind() -> None:
    assert _written("csv", [_columns()]).decode().splitlines() == [
        "id,text,number,list,share_no,share_yes,vector_0,vector_1",
        "a,x,0.1,a b,0.5,1.0,0.5,1.0",
        "b,,2.0,,2.0,-3.0,2.0,-3.0",
        "c,y,3.0,c,1e-07,4.0,1e-7,4.0",
    ]
    assert _written("tsv", [_columns()]).replace(b"\t", b",") == _written("csv", [_columns()])


@pytest.mark.parametrize("to", ["parquet", "jsonl", "csv", "npy"])
def test_rows_may_come_in_steps(to: TableFormat) -> None:
    steps = [[VectorColumn(name="v", values=VECTORS[start:end])] for start, end in ((0, 1), (1, 3))]
    whole = [[VectorColumn(name="v", values=VECTORS)]]
    if to == "parquet":
        tables = [pq.read_table(io.BytesIO(_written(to, each))) for each in (steps, whole)]
        assert tables[0].equals(tables[1])
    else:
        assert _written(to, steps) == _written(to, whole)


def test_results_alone() -> None:
    assert _written("csv", [[TextColumn(name="x", values=["a", "b", "c"])]], carries=False) == b"x\na\nb\nc\n"


def test_errors_name_the_row() -> None:
    with pytest.raises(InputError, match=r"in\.csv, row 2 \(line 3\): 'a\\tb' has a tab"):
        _written("tsv", [[TextColumn(name="x", values=["a", "a\tb", "c"])]])
    with pytest.raises(InputError, match=r'has a column "b" already.*or use --drop-columns'):
        refuse_clash(["a", "b"], {"c": "--else", "b": "--drop-columns"})
