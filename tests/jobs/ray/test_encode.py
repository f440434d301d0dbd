"""`berthub.ray.Encode` by itself, as a worker calls it: no Ray is needed."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import berthub as hub
from berthub.errors import InputError, TruncationWarning
from berthub.jobs.ray import process
from support.needs import needs

MODEL = Path(__file__).parent.parent.parent / "data" / "models" / "tf2_v4"
TEXTS = ["The cat sat on the mat.", "Hello!", "It was not so good, was it?", "A dog", "A cat.", "Hello, world!"]


def encode(**options: Any) -> Any:
    return hub.ray.Encode(MODEL, **{"output": "mean", "engine": "numpy", **options})


@pytest.fixture(scope="module")
def encoder() -> hub.Encoder:
    return hub.load(MODEL, engine="numpy")


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_LOADED", {})


def _kinds() -> list[Any]:
    return ["arrow", "numpy", pytest.param("pandas", marks=needs("pandas"))]


def _made(kind: str, columns: dict[str, list[Any]]) -> Any:
    if kind == "arrow":
        return pa.table(columns)
    if kind == "pandas":
        import pandas as pd

        return pd.DataFrame(columns)
    return {name: np.array(values, object) for name, values in columns.items()}


def _matrix(column: Any) -> Any:
    if isinstance(column, pa.ChunkedArray):
        return np.array(column.to_pylist())
    return np.stack(list(column)) if len(column) else np.asarray(column)


@pytest.mark.parametrize("kind", _kinds())
def test_vectors_are_those_of_embed_in_the_order_of_the_rows(kind: str, encoder: hub.Encoder) -> None:
    batch = _made(kind, {"text": TEXTS, "n": list(range(6))})
    given = encode()(batch)
    assert type(given) is type(batch)
    np.testing.assert_array_equal(_matrix(given["mean"]), encoder.embed(TEXTS, pooling="mean"))
    assert list(given["n"]) == list(batch["n"])
    # The batch itself is as it was.
    assert "mean" not in (batch.column_names if kind == "arrow" else batch)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_types_of_vectors(dtype: Any) -> None:
    table = encode(dtype=dtype)(pa.table({"text": TEXTS}))
    assert table.schema.field("mean").type == pa.list_(pa.from_numpy_dtype(np.dtype(dtype)), 32)
    vectors = encode(dtype=dtype)({"text": np.array(TEXTS)})["mean"]
    assert (vectors.shape, vectors.dtype) == ((6, 32), np.dtype(dtype))


@pytest.mark.parametrize("kind", _kinds())
@pytest.mark.parametrize("output", ["embedding", "pooled_output", "cls", "max", "sequence_output"])
def test_no_rows_have_the_types_of_many(kind: str, output: Any) -> None:
    empty, full = (encode(output=output)(_made(kind, {"text": texts})) for texts in ([], TEXTS))
    assert list(getattr(empty, "column_names", empty)) == list(getattr(full, "column_names", full))
    if kind == "arrow":
        assert list(empty.schema)[1:] == list(full.schema)[1:]
    elif kind == "numpy":
        assert [array.dtype for array in empty.values()][1:] == [array.dtype for array in full.values()][1:]


@pytest.mark.parametrize("kind", _kinds())
def test_token_vectors_come_with_their_tokens(kind: str, encoder: hub.Encoder) -> None:
    given = encode(output="sequence_output", layer=0)(_made(kind, {"text": TEXTS}))
    expected = encoder.encode(TEXTS, outputs=["encoder_outputs"], layers=[0])
    rows = given["sequence_output"].to_pylist() if kind == "arrow" else given["sequence_output"]
    for index, row in enumerate(rows):
        length = int(expected.attention_mask[index].sum())
        np.testing.assert_allclose(np.array(row), expected["encoder_outputs"][0][index, :length], atol=1e-6)
    tokens = given["tokens"].to_pylist() if kind == "arrow" else list(given["tokens"])
    assert [list(row) for row in tokens] == expected.tokens
    assert len(given["offsets"]) == len(TEXTS)


def test_options_are_those_of_the_command(encoder: hub.Encoder) -> None:
    batch = pa.table({"a": TEXTS, "b": TEXTS[::-1]})
    pairs = list(zip(TEXTS, TEXTS[::-1], strict=True))
    given = encode(column="a", pair_column="b", output="cls", layer=-2, normalize=True, vectors_column="v")(batch)
    expected = encoder.embed(pairs, pooling="cls", layer=-2, normalize=True)
    np.testing.assert_array_equal(_matrix(given["v"]), expected)
    assert given.column_names == ["a", "b", "v"]
    given = encode(column="a", window=5, stride=1)(batch)
    expected = encoder.embed(TEXTS, pooling="mean", window=5, stride=1)
    np.testing.assert_allclose(_matrix(given["mean"]), expected, atol=1e-6)


@pytest.mark.parametrize("kind", _kinds())
@pytest.mark.parametrize("null", [None, float("nan"), ""])
def test_rows_without_a_text(kind: str, null: Any, encoder: hub.Encoder) -> None:
    if kind == "arrow" and null:
        null = None
    batch = _made(kind, {"text": ["A dog", null, "A cat."], "n": [1, 2, 3]})
    taken = encode(missing="empty")(batch)
    np.testing.assert_allclose(
        _matrix(taken["mean"]), encoder.embed(["A dog", "", "A cat."], pooling="mean"), atol=1e-6
    )
    kept = encode(missing="skip")(batch)
    assert [int(str(value)) for value in kept["n"]] == [1, 3]
    np.testing.assert_allclose(_matrix(kept["mean"]), encoder.embed(["A dog", "A cat."], pooling="mean"), atol=1e-6)
    with pytest.raises(InputError, match=r'row 2: the row has no text; missing="empty"'):
        encode(missing="error")(batch)
    with pytest.warns(UserWarning, match="had no text and were taken as empty"):
        encode()(batch)
    assert len(encode(missing="skip")(_made(kind, {"text": [null, null]}))["mean"]) == 0


def test_warnings_are_given_once_in_a_process() -> None:
    long, one = pa.table({"text": ["a dog " * 60, "a"]}), encode()
    with pytest.warns(TruncationWarning, match="more than 64 tokens and were truncated"):
        one(long)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(pickle.dumps(one))(long)
        encode()(long)
    with pytest.raises(InputError, match="truncation=False refuses it: 'a dog a dog"):
        encode(truncation=False)(long)


def test_a_model_is_loaded_once_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Any] = []
    load = process.load_encoder

    def counted(*given: Any, **options: Any) -> Any:
        loads.append(options)
        return load(*given, **options)

    monkeypatch.setattr(process, "load_encoder", counted)
    one = encode()
    for other in (one, pickle.loads(pickle.dumps(one)), encode(output="cls"), encode()):
        other({"text": np.array(["a dog"])})
    assert len(loads) == 1
    encode(max_length=9)({"text": np.array(["a dog"])})
    assert len(loads) == 2
    assert len(process._LOADED) == 2
    # A third takes the place of the one that was not used for longest.
    one({"text": np.array(["a dog"])})
    encode(max_length=10)({"text": np.array(["a dog"])})
    one({"text": np.array(["a dog"])})
    assert len(loads) == 3
    assert len(process._LOADED) == 2


def test_what_is_sent_is_small_and_understood_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(MODEL.parent)
    one = hub.ray.Encode("tf2_v4", output="mean", engine="numpy")
    one({"text": np.array(["a dog"])})
    sent = pickle.dumps(one)
    assert len(sent) < 1000
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(process, "_LOADED", {})
    assert pickle.loads(sent)({"text": np.array(["a dog"])})["mean"].shape == (1, 32)


def test_secrets_are_not_shown() -> None:
    shown = repr(hub.ray.Encode("https://user:hunter2@example.com/model.tar.gz?token=s3cret", column="body"))
    assert shown == '<berthub.ray.Encode of "body" with https://example.com/model.tar.gz>'


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "sum"}, "output='sum' is not known; use one of embedding, "),
        ({"dtype": "int8"}, "dtype='int8' is not known; use one of float32, float16"),
        ({"dtype": None}, "dtype=None is not known"),
        ({"missing": "drop"}, "missing='drop' is not known; use one of error, empty, skip"),
        ({"engine": "jax"}, "engine='jax' is not known"),
        ({"precision": "int4"}, "precision='int4' is not known"),
        ({"threads": 0}, "threads must be a whole number from 1"),
        ({"pair_column": "text"}, 'pair_column is "text", which is the column of the texts already'),
    ],
)
def test_wrong_options_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        encode(**options)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (pa.table({"body": TEXTS}), "the batch has no column \"text\".* Its columns: 'body'"),
        (pa.table({"text": [1, 2]}), 'the batch, row 1: "text" is of type int, not a string'),
        ({"text": np.array([1.5, 2.5])}, "of type float, not a string"),
        ({"text": np.array([b"a"])}, "of type bytes, not a string"),
        (pa.table({"text": TEXTS, "mean": TEXTS}), 'has a column "mean" already.* vectors_column='),
        ([{"text": "a"}], "a batch is a pyarrow.Table, a pandas.DataFrame or a dict of NumPy arrays, not list"),
    ],
)
def test_wrong_batches_are_refused(batch: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encode()(batch)


def test_wrong_options_for_the_model_are_refused_with_the_first_batch() -> None:
    for options, message in (({"layer": 7}, "layer 7 does not exist"), ({"window": 999}, "window must be from")):
        with pytest.raises(InputError, match=message):
            encode(**options)({"text": np.array(TEXTS)})


def test_outside_of_ray_all_processors_compute() -> None:
    assert process.assigned_threads() is None
