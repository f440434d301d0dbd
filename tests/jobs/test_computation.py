"""Blocks in, results out, without the command line: what a job on many machines is made of."""

import ast
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import berthub
from berthub import Encoder, jobs
from berthub.errors import InputError
from berthub.jobs.computation import write_blocks
from berthub.jobs.encode import EncodeComputation
from berthub.jobs.predict import PredictComputation
from berthub.jobs.step import Step
from berthub.jobs.vectors import resolve_request
from berthub.tables.block import Block
from berthub.tables.writing import create_writer
from support.heads import with_head

TEXTS = ["The quick fox.", "", "It was not."]


@pytest.fixture(scope="module")
def encoder(models: Path) -> Encoder:
    return berthub.load(models / "tf2_v4", engine="numpy", max_length=16)


def _block(texts: list[str], first_row: int = 1, begin: int = 0) -> Block:
    carried = pa.table({"text": texts})
    return Block(
        name="in.csv", texts=texts, carried=carried, first_row=first_row, lines=None, begin=begin, end=begin + 10
    )


def _computation(encoder: Encoder, *, truncation: bool = True) -> EncodeComputation:
    request = resolve_request("mean", None, encoder=encoder, normalize=None, dtype="float32", column="vector")
    return EncodeComputation(encoder=encoder, request=request, model="a model", truncation=truncation)


def test_vectors_are_the_encoders(encoder: Encoder) -> None:
    chunks = list(_computation(encoder).chunks(_block(TEXTS)))
    vectors = np.concatenate([chunk.vectors for chunk in chunks])
    np.testing.assert_allclose(vectors, encoder.embed(TEXTS, pooling="mean"), atol=1e-6)


def test_blocks_are_written_and_steps_reported(encoder: Encoder) -> None:
    file, steps = io.BytesIO(), list[Step]()
    writer = create_writer("parquet", file, carries=True, source="csv", metadata={})
    blocks = [_block(TEXTS), _block(["a long text " * 9], first_row=4, begin=10)]
    write_blocks(blocks, _computation(encoder), writer=writer, on_step=steps.append)
    writer.close()
    table = pq.read_table(file)
    assert table.column_names == ["text", "vector"]
    assert table["text"].to_pylist()[:3] == TEXTS
    assert sum(step.rows for step in steps) == 4
    assert [step.truncated for step in steps][-1] == 1
    assert steps[-1].done == 20


def test_long_texts_are_refused_with_their_row(encoder: Encoder) -> None:
    computation = _computation(encoder, truncation=False)
    block = _block(["short", "a long text " * 9], first_row=7)
    with pytest.raises(InputError, match=r"in\.csv, row 8: the text has .* tokens and the limit is 16"):
        list(computation.compute(block))


def test_predictions_are_written(models: Path, tmp_path: Path) -> None:
    encoder = berthub.load(with_head(models / "tf2_v4", tmp_path / "run", "classify"), engine="numpy")
    assert encoder.head is not None
    computation = PredictComputation(
        encoder=encoder,
        head=encoder.head,
        model="a model",
        to="csv",
        column="found",
        probabilities=False,
        separator=",",
    )
    file, steps = io.BytesIO(), list[Step]()
    writer = create_writer("csv", file, carries=True, source="csv", metadata={})
    write_blocks([_block(TEXTS)], computation, writer=writer, on_step=steps.append)
    rows = file.getvalue().decode().splitlines()
    assert rows[0] == "text,found"
    assert [row.rpartition(",")[2] for row in rows[1:]] == encoder.predict(TEXTS)
    assert steps == [Step(rows=3, truncated=0, done=10)]


def test_names_of_the_input_are_refused(encoder: Encoder) -> None:
    block = Block(name="x", texts=["a"], carried=pa.table({"vector": ["a"]}), first_row=1, lines=None, begin=0, end=1)
    writer = create_writer("jsonl", io.BytesIO(), carries=True, source="csv", metadata={})
    with pytest.raises(InputError, match='has a column "vector" already'):
        write_blocks([block], _computation(encoder), writer=writer, on_step=lambda step: None)


def test_jobs_know_of_no_terminal() -> None:
    for path in Path(jobs.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            assert not {name.split(".")[0] for name in names} & {"typer", "rich", "sys"}, path.name
