"""Write rows as JSON lines."""

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import orjson

from berthub.tables.block import Block, Carried, JsonRows
from berthub.tables.json_columns import json_objects
from berthub.tables.results import Column
from berthub.tables.writer import Writer

__all__ = ["JsonLinesWriter"]


class JsonLinesWriter(Writer):
    """Writes each row as a JSON object; rows that came as JSON keep the text that they came with."""

    def __init__(self, file: BinaryIO, *, carries: bool) -> None:
        super().__init__(carries=carries)
        self._file = file
        self._carried: Sequence[bytes] = ()

    def _begin(self, block: Block) -> None:
        self._carried = _texts(block.carried) if self._carries else ()

    def _write(self, rows: range, columns: Sequence[Column]) -> None:
        names = [column.name for column in columns]
        for row, *values in zip(rows, *(column.json_values() for column in columns), strict=True):
            text = _json(dict(zip(names, values, strict=True)))
            line = self._carried[row][:-1] + b"," + text[1:] if self._carried else text
            self._file.write(line + b"\n")

    def close(self) -> None:
        """Nothing is left to write."""


def _texts(carried: Carried) -> list[bytes]:
    """Each row as the text of a JSON object; rows that came as JSON are as they came."""
    if isinstance(carried, JsonRows):
        return [raw.strip() for raw in carried.raw]
    return [_json(values) for values in json_objects(carried)]


def _json(values: Mapping[str, Any]) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
