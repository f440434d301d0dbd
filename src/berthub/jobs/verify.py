"""Verify what a job has written: every file is there, whole and unchanged, and no vector is zero or NaN."""

import itertools
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from berthub.errors import InputError
from berthub.jobs.folder import JobFolder
from berthub.jobs.plan import Plan, Shard
from berthub.jobs.records import ShardRecord, known_records
from berthub.jobs.reread import read_results
from berthub.jobs.shard import size_and_hash
from berthub.jobs.status import require_plan

__all__ = ["verify_job"]

# Faults of a shard that are told.
_MOST = 5


def verify_job(folder: JobFolder, on_shard: Callable[[int, int], None] = lambda done, total: None) -> list[str]:
    """What is wrong with the files of a job, a sentence for each fault; an empty list where nothing is.

    Every shard is read: its file must be there, of the size and with the SHA-256 that were recorded when it was
    written, and hold as many rows; vectors must be finite and not all zeros, except in the rows that failed.
    `on_shard` is called with the number of shards that were looked at, and of all. `InputError` where the folder holds
    no job.
    """
    plan = require_plan(folder)
    records = known_records(folder, plan)
    files = set(folder.names())
    faults = [f"{name} is no file of this job" for name in sorted(files - {plan.name_of(each) for each in plan.shards})]
    for index, shard in enumerate(plan.shards):
        name = plan.name_of(shard)
        if name not in files:
            faults.append(f"{name} is missing: run the job again to have it computed")
        elif (record := records.get(shard.number)) is None:
            faults.append(f"of {name} nothing is recorded: run the job again to have it computed")
        else:
            found = itertools.islice(_faults(folder, plan, shard, record), _MOST)
            faults += [f"{name} {fault}" for fault in found]
        on_shard(index + 1, len(plan.shards))
    return faults


def _faults(folder: JobFolder, plan: Plan, shard: Shard, record: ShardRecord) -> Iterator[str]:
    if record.rows != shard.rows or record.written + record.left_out != record.rows:
        yield f"is recorded with {record.rows:,} rows, and the plan has {shard.rows:,}"
    with folder.opened(plan.name_of(shard)) as file:
        size, digest = size_and_hash(file)
        if size != record.size:
            yield f"has {size:,} bytes, and had {record.size:,} when it was written: remove it, and run the job again"
            return
        if digest != record.sha256:
            yield "has changed since it was written (another SHA-256): remove it, and run the job again"
            return
        file.seek(0)
        yield from _faults_of_rows(file, plan, record)


def _faults_of_rows(file: BinaryIO, plan: Plan, record: ShardRecord) -> Iterator[str]:
    count = missing = 0
    try:
        for written in read_results(file, plan):
            if written.vectors is not None and written.rows is not None:
                rows = count + written.rows + 1
                for row in np.unique(rows[~np.isfinite(written.vectors).all(axis=1)]):
                    yield f"has a vector with NaN or infinity in row {row:,}"
                for row in np.unique(rows[~written.vectors.any(axis=1)]):
                    yield f"has a vector of zeros in row {row:,}"
            count += written.count
            missing += written.missing
    # The file may be a stranger's: whatever its reader says, it is no file of this job.
    except (pa.ArrowException, InputError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        yield f"cannot be read: {error}"
        return
    if count != record.written:
        yield f"has {count:,} rows, and {record.written:,} were written"
    if missing != record.failed:
        yield f"has {missing:,} rows without a result, and {record.failed:,} failed"
