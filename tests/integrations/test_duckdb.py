"""The function for DuckDB's SQL, in a real connection."""

from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.errors import InputError
from support.needs import needs

pytestmark = needs("duckdb")


@pytest.fixture(scope="module")
def bert(models: Path) -> hub.Encoder:
    return hub.load(models / "tf2_v4", engine="numpy")


def test_texts_nulls_and_constants(bert: hub.Encoder) -> None:
    import duckdb

    texts = ["The quick brown fox.", None, "", "Über café 日本 🙂", None, "a dog"]
    with duckdb.connect() as connection:
        hub.integrations.duckdb.register(connection, bert)
        connection.execute("CREATE TABLE docs AS SELECT unnest($texts) AS text", {"texts": texts})
        connection.execute("CREATE TABLE vectors AS SELECT text, embed(text) AS vector FROM docs")
        assert connection.execute("SELECT DISTINCT typeof(vector) FROM vectors").fetchall() == [("FLOAT[32]",)]
        found = connection.execute("SELECT text, vector FROM vectors ORDER BY rowid").fetchall()
        nearest = "SELECT text FROM vectors ORDER BY array_cosine_distance(vector, embed('a dog')) LIMIT 1"
        assert connection.execute(nearest).fetchall() == [("a dog",)]
    assert [text for text, _ in found] == texts
    for text, vector in found:
        if text is None:
            assert vector is None
        else:
            np.testing.assert_allclose(vector, bert.embed(text)[0], atol=1e-5)


def test_more_rows_than_a_vector_of_duckdb_has(bert: hub.Encoder) -> None:
    import duckdb

    with duckdb.connect() as connection:
        hub.integrations.duckdb.register(connection, bert)
        query = "SELECT i, embed(CASE WHEN i % 3 = 0 THEN NULL ELSE 'dog ' || (i % 5) END) FROM range(2500) t(i)"
        rows = dict(connection.execute(query).fetchall())
    expected = bert.embed([f"dog {number}" for number in range(5)])
    for number in (0, 1, 2047, 2048, 2049, 2498):
        if number % 3 == 0:
            assert rows[number] is None
        else:
            np.testing.assert_allclose(rows[number], expected[number % 5], atol=1e-5)


def test_a_function_of_its_own_for_queries(bert: hub.Encoder) -> None:
    import duckdb

    with duckdb.connect() as connection:
        hub.integrations.duckdb.register(connection, bert, "ask", prompt="was: ", normalize=True)
        ((vector,),) = connection.execute("SELECT ask('a dog')").fetchall()
    np.testing.assert_array_equal(np.float32(vector), bert.embed("a dog", prompt="was: ", normalize=True)[0])


def test_what_does_not_fit_is_said(bert: hub.Encoder) -> None:
    import duckdb

    with pytest.raises(InputError, match=r"duckdb\.connect\(\)"):
        hub.integrations.duckdb.register("file.db", bert)
    with duckdb.connect() as connection, pytest.raises(InputError, match="pooling"):
        hub.integrations.duckdb.register(connection, bert, pooling="none")
