from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import berthub
from berthub.errors import InputError
from berthub.tokenization.texts import checked, listed

TEXTS = ["fox", "", "S\u00e3o"]
BYTES = [text.encode() for text in TEXTS]


@pytest.mark.parametrize(
    "made",
    [
        list,
        tuple,
        iter,
        np.array,
        lambda texts: np.array(texts, object),
        pa.array,
        lambda texts: pa.array(texts, pa.large_string()),
        lambda texts: pa.array(texts, pa.string_view()),
        lambda texts: pa.array(texts).dictionary_encode(),
        lambda texts: pa.chunked_array([texts[:1], texts[1:]]),
        lambda texts: pa.table({"text": texts})["text"],
        lambda texts: [text.encode() for text in texts],
        lambda texts: np.array([text.encode() for text in texts]),
        lambda texts: np.array([text.encode() for text in texts], object),
        lambda texts: pa.array([text.encode() for text in texts]),
    ],
)
def test_texts_come_in_many_containers(made: Callable[[list[str]], Any]) -> None:
    assert listed(made(TEXTS)) == TEXTS
    assert all(isinstance(text, str) for text in listed(made(TEXTS)))


def test_one_text_counts_as_a_list_of_one() -> None:
    assert listed("fox") == ["fox"]


def test_pairs_may_be_bytes() -> None:
    assert listed([(b"a", "b"), [b"c", b"d"]]) == [("a", "b"), ["c", "d"]]  # type: ignore[list-item]


def test_series_of_pandas_and_polars() -> None:
    for name in ("pandas", "polars"):
        library = pytest.importorskip(name)
        assert listed(library.Series(TEXTS)) == TEXTS
        with pytest.raises(InputError, match="one column"):
            listed(library.DataFrame({"text": TEXTS}))


def test_long_arrow_arrays_are_read_in_slices() -> None:
    array = pa.array([str(number) for number in range(10_000)])
    found = iter(checked(array))
    assert next(found) == "0"
    assert [*found][-1] == "9999"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([b"fox", b"S\xe3o"], "text 1 is bytes, which are taken as UTF-8, and byte 1 of it is none"),
        (pa.table({"text": TEXTS}), 'this is a pyarrow Table: choose the column, as in table\\["text"\\]'),
        (pa.record_batch({"text": TEXTS}), "this is a pyarrow RecordBatch"),
        ({"text": TEXTS}, "not of type dict"),
        (1, "not of type int"),
        (np.array([TEXTS]), "has 2 dimensions"),
    ],
)
def test_what_are_no_texts(texts: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        listed(texts)


@pytest.fixture(scope="module")
def encoder(models: Path) -> berthub.Encoder:
    return berthub.load(models / "tf2_v4", precision="float32")


def test_a_null_is_told_by_its_place(encoder: berthub.Encoder) -> None:
    with pytest.raises(InputError, match="text 1 is of type NoneType"):
        encoder.encode(pa.array(["fox", None]))


def test_vectors_of_arrow_and_bytes_are_those_of_texts(encoder: berthub.Encoder) -> None:
    expected = encoder.embed(TEXTS)
    np.testing.assert_array_equal(encoder.embed(pa.chunked_array([TEXTS])), expected)
    np.testing.assert_array_equal(encoder.embed(np.array(BYTES)), expected)
    chunks = [*encoder.stream(pa.array(TEXTS), pooling="mean", chunk_size=2)]
    np.testing.assert_allclose(np.concatenate([chunk["embedding"] for chunk in chunks]), expected, atol=1e-6)
