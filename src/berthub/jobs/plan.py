"""The plan of a job: the input files, the shards that they are split into, and all that the output depends on."""

import base64
import dataclasses
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, get_args

import orjson
import pyarrow as pa

from berthub.choices import InputFormat, OutputFormat, PredictionFormat
from berthub.errors import InputError
from berthub.jobs.stored_values import check_counts, check_strings, is_count
from berthub.tables.columns import TextColumns
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.start import Start

__all__ = ["PLAN_VERSION", "Plan", "PlannedFile", "Shard", "Span"]

_FORMATS, _INPUTS = frozenset(get_args(OutputFormat) + get_args(PredictionFormat)), frozenset(get_args(InputFormat))

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

    def __post_init__(self) -> None:
        """Check a plan that may be a stranger's; `ValueError` names what cannot be."""
        check_strings(self, ("model", "extension"))
        check_counts(self, ("shard_rows",))
        for name in ("task", "environment"):
            if not isinstance(value := getattr(self, name), Mapping) and (name == "task" or value is not None):
                raise ValueError(f"{name} is {value!r:.60}")
        # It becomes a part of the names of files.
        if (self.task.get("to", "") not in _FORMATS and self.task) or not re.fullmatch(r"\.[a-z]+", self.extension):
            raise ValueError(f"the extension is {self.extension!r:.60}, and the format {self.task.get('to')!r:.60}")
        for file in self.files:
            check_strings(file, ("address", "format", "checksum", "stamp"))
            check_counts(file, ("size", "rows"))
            if file.format not in _INPUTS or "\0" in file.address:
                raise ValueError(f"a file is {file.address!r:.100} in the format {file.format!r:.20}")
        for shard in self.shards:
            if not shard.spans:
                raise ValueError(f"shard {shard.number} has no rows")
            for span in shard.spans:
                self._check_span(span)
        if self.rows != sum(shard.rows for shard in self.shards):
            raise ValueError("the shards have other rows than the files")

    def _check_span(self, span: Span) -> None:
        start = span.start
        counts = (span.file, span.rows, start.rows, start.lines, 0 if start.offset is None else start.offset)
        if not all(map(is_count, counts)) or not span.rows or span.file >= len(self.files):
            raise ValueError(f"{span!r:.200} is no span of rows")
        file = self.files[span.file]
        if start.rows + span.rows > file.rows or (start.offset or 0) > file.size:
            raise ValueError(f"{span!r:.200} is not in its file, which has {file.rows:,} rows")

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
        except (KeyError, TypeError, ValueError, AttributeError, pa.ArrowException) as error:
            raise InputError(f"{name} is no plan of a job, or a damaged one: {error!r:.300}") from error
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
