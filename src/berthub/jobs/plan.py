"""The plan of a job: the input files, the shards that they are split into, and all that the output depends on."""

import base64
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import orjson
import pyarrow as pa

from berthub.choices import InputFormat
from berthub.errors import InputError
from berthub.tables.columns import TextColumns
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.start import Start

__all__ = ["PLAN_VERSION", "Plan", "PlannedFile", "Shard", "Span"]

PLAN_VERSION = 1
"""The version of the format of plans; another one is refused."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """An input file as it was when the job was planned.

    `stamp` changes when the file is written to; `checksum` is that of its bytes, where the file system has none of its
    own.
    """

    address: str
    format: InputFormat
    size: int
    rows: int
    checksum: str
    stamp: str


@dataclass(frozen=True, slots=True)
class Span:
    """Some rows of a file: so many from `start` on; `file` is the index of the file."""

    file: int
    start: Start
    rows: int


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of the job that becomes one file; its rows are those of the spans, in their order."""

    number: int
    spans: tuple[Span, ...]

    @property
    def rows(self) -> int:
        """How many rows of the input it has."""
        return sum(span.rows for span in self.spans)


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """What a job does; the bytes of a shard's file depend on nothing else.

    `task` says what is computed, `environment` what of the machine and the libraries may change bits (None: any
    machine may compute any shard, and last digits may differ), `model` the hash of the model. All shards but the last
    have `shard_rows` rows of the input. `columns` are the names of the input's columns, and `schema` their types where
    these are known. `extension` is that of the shards' files. With `dedupe` equal texts are computed once.
    """

    task: Mapping[str, Any]
    model: str
    shard_rows: int
    environment: Mapping[str, Any] | None
    reading: ReadingOptions
    texts: TextColumns
    columns: tuple[str, ...]
    schema: pa.Schema | None
    extension: str
    files: tuple[PlannedFile, ...]
    shards: tuple[Shard, ...]
    dedupe: bool = False

    @property
    def rows(self) -> int:
        """How many rows of the input there are."""
        return sum(file.rows for file in self.files)

    @cached_property
    def id(self) -> str:
        """A hash of the plan, 12 hexadecimal digits; when files were written does not matter to it."""
        return hashlib.sha256(_bytes(self._json(stamps=False))).hexdigest()[:12]

    def name_of(self, shard: Shard) -> str:
        """The name of a shard's file: it holds the shard's number and the plan's hash."""
        return f"shard-{shard.number:06}-{self.id}{self.extension}"

    def to_bytes(self) -> bytes:
        """The plan as JSON."""
        return _bytes({**self._json(stamps=True), "id": self.id})

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Self:
        """Read a plan; `InputError` for what is none, or one of another version. `name` is for messages."""
        try:
            found = orjson.loads(data)
            version = found["version"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f"{name} is no plan of a job, or a damaged one: {error}") from error
        if version != PLAN_VERSION:
            raise InputError(
                f"{name} is a plan of version {version}, and this berthub knows {PLAN_VERSION}: go on with the berthub "
                "that began the job, or begin again in another folder"
            )
        try:
            plan = cls._of(found)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{name} is no plan of a job, or a damaged one: {error!r}") from error
        if plan.id != found.get("id"):
            raise InputError(f"{name} is damaged, or was changed: its hash is not the one that it gives itself")
        return plan

    @classmethod
    def _of(cls, found: Mapping[str, Any]) -> Self:
        schema = found["schema"]
        return cls(
            task=found["task"],
            model=found["model"],
            shard_rows=found["shard_rows"],
            environment=found["environment"],
            reading=ReadingOptions(**found["reading"]),
            texts=TextColumns(**found["texts"]),
            columns=tuple(found["columns"]),
            schema=None if schema is None else pa.ipc.read_schema(pa.py_buffer(base64.b64decode(schema))),
            extension=found["extension"],
            files=tuple(PlannedFile(*row) for row in _rows(found["files"], _FILE)),
            shards=tuple(
                Shard(
                    number,
                    tuple(Span(file, Start(first, lines, offset), rows) for file, first, rows, lines, offset in spans),
                )
                for number, spans in enumerate(found["shards"]["rows"])
            ),
            dedupe=found.get("dedupe", False),
        )

    def _json(self, *, stamps: bool) -> dict[str, Any]:
        schema = None if self.schema is None else base64.b64encode(self.schema.serialize().to_pybytes()).decode()
        files = [[file.address, file.format, file.size, file.rows, file.checksum, file.stamp] for file in self.files]
        if not stamps:
            files = [row[:-1] for row in files]
        # Rows under one heading: there may be millions of them.
        return {
            "version": PLAN_VERSION,
            "task": self.task,
            "model": self.model,
            "shard_rows": self.shard_rows,
            "environment": self.environment,
            "reading": dataclasses.asdict(self.reading),
            "texts": dataclasses.asdict(self.texts),
            "columns": self.columns,
            "schema": schema,
            "extension": self.extension,
            # Only where it is wanted: plans without it keep their hashes.
            **({"dedupe": True} if self.dedupe else {}),
            "files": {"columns": _FILE if stamps else _FILE[:-1], "rows": files},
            "shards": {"columns": _SPAN, "rows": [_spans(shard) for shard in self.shards]},
        }


_FILE = ["address", "format", "size", "rows", "checksum", "stamp"]
_SPAN = ["file", "first_row", "rows", "lines_before", "offset"]


def _spans(shard: Shard) -> list[list[Any]]:
    return [[span.file, span.start.rows, span.rows, span.start.lines, span.start.offset] for span in shard.spans]


def _rows(found: Mapping[str, Any], columns: Sequence[str]) -> list[list[Any]]:
    if found["columns"] != columns:
        raise ValueError(f"the columns are {found['columns']}")
    rows: list[list[Any]] = found["rows"]
    return rows


def _bytes(value: Mapping[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
