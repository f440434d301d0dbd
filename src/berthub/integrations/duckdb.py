"""A function for DuckDB's SQL that embeds texts: `hub.integrations.duckdb.register`."""

from typing import Any

import pyarrow as pa

from berthub.encoding.encoder import Encoder
from berthub.errors import InputError
from berthub.integrations.vector_array import vector_array

__all__ = ["register"]


def register(connection: Any, encoder: Encoder, name: str = "embed", **options: Any) -> None:
    """Add a function to a DuckDB connection that gives the vector of a text: `SELECT embed(text) FROM ...`.

    It takes a VARCHAR and returns a FLOAT[n], n being the width of the encoder's vectors; the vector of NULL is NULL.
    DuckDB calls it with up to 2,048 rows, which are computed together, and once for a constant. `options` are those of
    `Encoder.embed`, such as normalize or prompt_name: for a model with prompts register a function for queries and
    another for documents. `duckdb` itself stands for its default connection.

        connection = duckdb.connect()
        hub.integrations.duckdb.register(connection, hub.load())
        connection.sql("SELECT embed('a red fox')")
    """
    if not hasattr(connection, "create_function"):
        raise InputError(
            f"register takes a connection of DuckDB, as duckdb.connect() makes it, not {type(connection).__name__}"
        )
    # Without texts nothing is computed, but the options are checked.
    width = encoder.embed([], **options).shape[1]

    def embed(texts: pa.ChunkedArray) -> pa.FixedSizeListArray:
        return vector_array(encoder, texts.to_pylist(), options, of=f"what {name} was given")

    # "special": it is called for NULL, too, and handles it.
    connection.create_function(name, embed, ["VARCHAR"], f"FLOAT[{width}]", type="arrow", null_handling="special")
