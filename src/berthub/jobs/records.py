"""What is known of finished shards: a record for each, and in the end the manifest of all."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import orjson

from berthub.errors import InputError
from berthub.jobs.folder import STATE, JobFolder
from berthub.jobs.plan import Plan, Shard
from berthub.jobs.stored_values import check_counts, check_strings, is_count

__all__ = [
    "ATTEMPTS",
    "COUNTS",
    "ERRORS",
    "MANIFEST",
    "RECORDS",
    "Finished",
    "Manifest",
    "ShardRecord",
    "finished_records",
    "known_records",
    "record_name",
]

MANIFEST, ERRORS, RECORDS = f"{STATE}/manifest.json", f"{STATE}/errors.jsonl", f"{STATE}/records"

COUNTS = ("rows", "written", "empty", "left_out", "truncated", "failed", "tokens", "size")
"""What is counted of each shard, and added up."""

ATTEMPTS = f"{STATE}/attempts"
"""Says of each shard that a worker computes how often that was begun."""


@dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """What a finished shard holds.

    `rows` is how many rows of the input it has, `written` how many its file has; the others were `left_out` since they
    had no text. `empty` rows had an empty text, or none; `truncated` ones a text that was too long; `failed` ones could
    not be computed, and have a null in place of results: `errors` says which, and why.
    """

    number: int
    file: str
    rows: int
    written: int
    empty: int
    left_out: int
    truncated: int
    failed: int
    tokens: int
    size: int
    sha256: str
    errors: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        """Check a record that may be a stranger's; `ValueError` for what is none."""
        check_strings(self, ("file", "sha256"))
        check_counts(self, COUNTS)
        check_counts(self, ("number",))
        if not all(isinstance(error, Mapping) for error in self.errors):
            raise ValueError("errors are no objects")

    def to_bytes(self) -> bytes:
        """The record as JSON."""
        return orjson.dumps(self)

    @classmethod
    def from_bytes(cls, data: bytes | None) -> Self | None:
        """Read a record; None where there is none, or a damaged one."""
        try:
            found: Mapping[str, Any] = orjson.loads(data or b"")
            return cls(**{**found, "errors": tuple(found["errors"])})
        except (TypeError, KeyError, ValueError):
            return None


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All finished shards of a job, and what they add up to.

    `distinct` is how many distinct texts there are, where equal ones were computed once.
    """

    plan: str
    shards: tuple[ShardRecord, ...]
    distinct: int | None = None

    @property
    def totals(self) -> dict[str, int]:
        """The sums over the shards; and "distinct", the number of distinct texts, where that is known."""
        sums = {name: sum(getattr(record, name) for record in self.shards) for name in COUNTS}
        return sums if self.distinct is None else {**sums, "distinct": self.distinct}

    def write(self, folder: JobFolder) -> None:
        """Write the manifest, after the list of errors where there are any."""
        errors = [{"shard": record.number, **error} for record in self.shards for error in record.errors]
        lines = b"".join(orjson.dumps(error) + b"\n" for error in errors)
        if errors and folder.read(ERRORS) != lines:
            folder.write(ERRORS, lines)
        shards = [{**dataclasses.asdict(record), "errors": len(record.errors)} for record in self.shards]
        described = {"plan": self.plan, "totals": self.totals, "shards": shards}
        data = orjson.dumps(described, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        # A finished job is left alone, and may be where nothing can be written.
        if folder.read(MANIFEST) != data:
            folder.write(MANIFEST, data)

    @classmethod
    def read(cls, folder: JobFolder) -> Self | None:
        """Read the manifest, None where there is none; `InputError` for a damaged one."""
        data = folder.read(MANIFEST)
        if data is None:
            return None
        try:
            found = orjson.loads(data)
            errors: dict[int, list[Mapping[str, Any]]] = {}
            for line in (folder.read(ERRORS) or b"").splitlines():
                error = orjson.loads(line)
                errors.setdefault(error.pop("shard"), []).append(error)
            shards = tuple(
                ShardRecord(**{**record, "errors": tuple(errors.get(record["number"], ()))})
                for record in found["shards"]
            )
            distinct = found["totals"].get("distinct")
            if distinct is not None and not is_count(distinct):
                raise ValueError(f"distinct is {distinct!r:.60}")
            return cls(plan=found["plan"], shards=shards, distinct=distinct)
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise InputError(
                f"{folder.address}/{MANIFEST} is damaged ({error}): remove it, and run the job again"
            ) from error


def known_records(folder: JobFolder, plan: Plan) -> dict[int, ShardRecord]:
    """The records of shards whose files are there, by number."""
    manifest = Manifest.read(folder)
    recorded = {record.number: record for record in (manifest.shards if manifest else ())}
    files = set(folder.names())
    for name in folder.names(RECORDS):
        record = ShardRecord.from_bytes(folder.read(f"{RECORDS}/{name}"))
        if record is not None:
            recorded[record.number] = record
    return {
        shard.number: recorded[shard.number]
        for shard in plan.shards
        if shard.number in recorded and (name := plan.name_of(shard)) in files and recorded[shard.number].file == name
    }


def finished_records(folder: JobFolder, plan: Plan) -> dict[int, ShardRecord]:
    """The records of shards whose files are there and have the sizes that they were written with, by number."""
    sizes = folder.sizes() if (known := known_records(folder, plan)) else {}
    return {number: record for number, record in known.items() if sizes.get(record.file) == record.size}


class Finished:
    """Tells of single shards whether they are finished, by anybody, while a job runs."""

    def __init__(self, folder: JobFolder, plan: Plan) -> None:
        self._folder, self._plan = folder, plan
        # Whoever writes it, the manifest has the same records. To read it for each shard would take too long.
        self._manifest: dict[int, ShardRecord] | None = None

    def record(self, shard: Shard) -> ShardRecord | None:
        """The record of a shard whose file is there and has the size that it was written with, None for another one."""
        name = self._plan.name_of(shard)
        size = self._folder.size(name)
        if size is None:
            return None
        record = ShardRecord.from_bytes(self._folder.read(record_name(shard.number)))
        if record is None:
            if self._manifest is None and (manifest := Manifest.read(self._folder)) is not None:
                self._manifest = {record.number: record for record in manifest.shards}
            record = (self._manifest or {}).get(shard.number)
        return record if record is not None and (record.file, record.size) == (name, size) else None


def record_name(number: int) -> str:
    """The name of a shard's record."""
    return f"{RECORDS}/{number:06}.json"
