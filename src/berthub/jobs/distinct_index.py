"""The index of a job that computes equal texts once: for each row of the input, the number of its distinct text.

Distinct texts are numbered in the order in which they first appear, so that the index depends on the input alone: it
is the same whoever builds it, and so is all that is computed with it. It is built in two passes over the hashes of the
texts, which lie on the disk. Memory holds 1/256 of them at a time, and some blocks of rows.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import numpy as np
import numpy.typing as npt
import orjson

from berthub.errors import InputError
from berthub.jobs.folder import STATE, JobFolder
from berthub.jobs.partition import Partition
from berthub.jobs.plan import Plan
from berthub.jobs.reading import shard_blocks
from berthub.tables.missing import Tally
from berthub.tokenization.tokenizer import Text

__all__ = ["DISTINCT", "INDEX", "DistinctIndex", "build_index", "distinct_texts", "every_row", "read_count"]

DISTINCT = f"{STATE}/distinct"
INDEX = f"{DISTINCT}/index.npy"
_COUNT = f"{DISTINCT}/texts.json"

Ints = npt.NDArray[np.int64]

_CHUNK = 1 << 20
# With 128 bits, two different texts have the same hash with a chance of n²/2¹²⁹: for 10¹⁰ texts that is 1 in 10¹⁹.
_HASH_BYTES = 16


@dataclass(frozen=True, eq=False)
class DistinctIndex:
    """The number of each row's distinct text, from 0, for the rows of one shard after the other.

    `before` is int64 [shards + 1, 2]: how many rows, and how many distinct texts, come before each shard, and in all.
    Rows that are left out have no place in it. `numbers` is int64 [rows of the input]: the last ones are -1 where rows
    were left out. A text of row r is new where its number is that of no row before.
    """

    before: Ints
    numbers: Ints

    @property
    def texts(self) -> int:
        """How many distinct texts there are."""
        return int(self.before[-1, 1])

    def of_shard(self, number: int) -> Ints:
        """The numbers of the rows of a shard."""
        return self.numbers[self.before[number, 0] : self.before[number + 1, 0]]

    def shards_with(self, begin: int, end: int) -> range:
        """The numbers of the shards in which the texts from `begin` to `end` first appear, and those between them."""
        first = int(np.searchsorted(self.before[:, 1], begin, "right")) - 1
        return range(first, int(np.searchsorted(self.before[:, 1], end, "left")))

    @classmethod
    def read(cls, path: Path, plan: Plan) -> Self:
        """Map a file into memory; `InputError` for one that is none, or of another plan."""
        head = _head(plan)
        try:
            found = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path} cannot be read ({error}): remove it, and run the job again") from error
        if found.shape != (head + plan.rows,) or found.dtype != np.int64:
            raise InputError(f"{path} is no index of this job: remove it, and run the job again")
        return cls(np.array(found[:head]).reshape(-1, 2), found[head:])


def build_index(plan: Plan, folder: JobFolder) -> None:
    """Read the whole input, and write the index; `InputError` where it cannot be read."""
    head = _head(plan)
    with folder.written(INDEX) as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<i8", "fortran_order": False, "shape": (head + plan.rows,)}
        )
        offset = file.tell()
        file.write(bytes(8 * head))
        with Partition(Path(file.name).parent) as partition:
            rows_before = _write_first_of_blocks(plan, file, partition)
            file.flush()
            numbers = cast(Any, np.memmap)(file, np.int64, "r+", offset, (head + plan.rows,))
            firsts: Ints = numbers[head:]
            for bucket in partition.buckets():
                _link_equals(bucket, firsts)
        before = numbers[:head].reshape(-1, 2)
        before[:, 0] = rows_before
        before[:, 1] = _number(firsts[: rows_before[-1]], rows_before)
        numbers.flush()
        # Before the index: where that is, the number is.
        folder.write(_COUNT, orjson.dumps({"texts": int(before[-1, 1])}))


def read_count(folder: JobFolder) -> int | None:
    """How many distinct texts the job has; None where there is no index."""
    data = folder.read(_COUNT)
    return None if data is None else int(orjson.loads(data)["texts"])


def every_row(plan: Plan) -> Tally:
    """A count of rows without a text that refuses none: what the job refuses, it refuses where it writes the row."""
    return Tally("empty" if plan.reading.missing == "error" else plan.reading.missing)


def distinct_texts(plan: Plan, index: DistinctIndex, begin: int, end: int) -> Iterator[list[Text]]:
    """The distinct texts from number `begin` to `end`, some at a time; they are read where they first appear."""
    for number in index.shards_with(begin, end):
        numbers = index.of_shard(number)
        wanted, place = int(max(begin, index.before[number, 1])), 0
        for block in shard_blocks(plan, plan.shards[number], every_row(plan), lenient=True):
            texts: list[Text] = []
            for text, found in zip(block.texts, numbers[place : place + len(block.texts)].tolist(), strict=False):
                if found == wanted < end:
                    texts.append(text)
                    wanted += 1
            place += len(block.texts)
            if texts:
                yield texts
            if wanted == end:
                return


def _head(plan: Plan) -> int:
    """How many numbers stand before those of the rows."""
    return 2 * (len(plan.shards) + 1)


def _write_first_of_blocks(plan: Plan, file: BinaryIO, partition: Partition) -> Ints:
    """Write for each row the first row of its block with its text, and hash these; how many rows precede each shard.

    A text that is everywhere comes so rarely to the partition that its bucket is not much larger than others.
    """
    before = np.zeros(len(plan.shards) + 1, np.int64)
    row = 0
    for number, shard in enumerate(plan.shards):
        for block in shard_blocks(plan, shard, every_row(plan), lenient=True):
            seen: dict[Text, int] = {}
            firsts = [seen.setdefault(text, index) for index, text in enumerate(block.texts, row)]
            file.write(np.asarray(firsts, "<i8").tobytes())
            partition.add(b"".join(map(_hash, seen)), np.fromiter(seen.values(), np.int64, len(seen)))
            row += len(firsts)
        before[number + 1] = row
    if row > plan.rows:
        raise InputError("the input has more rows than when the job was planned")
    for begin in range(row, plan.rows, _CHUNK):
        file.write(np.full(min(_CHUNK, plan.rows - begin), -1, "<i8").tobytes())
    return before


def _hash(text: Text) -> bytes:
    if isinstance(text, str):
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES).digest()
    # The length of the first one, so that no two pairs become the same bytes.
    first, second = (part.encode("utf-8", "surrogatepass") for part in text)
    content = b"%d\n%s%s" % (len(first), first, second)
    return hashlib.blake2b(content, digest_size=_HASH_BYTES).digest()


def _link_equals(bucket: npt.NDArray[Any], firsts: Ints) -> None:
    """Set `firsts` of rows to the first row with the same hash; all rows with a hash are in one bucket."""
    # Stable: rows with the same hash stay in their order.
    bucket = bucket[np.lexsort((bucket["low"], bucket["high"]))]
    high, low, rows = bucket["high"], bucket["low"], bucket["row"]
    new = np.ones(len(bucket), np.bool_)
    new[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    first = rows[new][np.cumsum(new) - 1]
    firsts[rows[~new]] = first[~new]


def _number(firsts: Ints, before: Ints) -> Ints:
    """Put numbers of texts in the place of first rows; how many texts come before each of the rows `before`.

    What is in the place of a row says where an equal text is: the row itself, or one of its block, which may itself
    say that it is in a block before.
    """
    texts = np.zeros(len(before), np.int64)
    count = 0
    for begin in range(0, len(firsts), _CHUNK):
        chunk = np.array(firsts[begin : begin + _CHUNK])
        new = chunk == np.arange(begin, begin + len(chunk))
        numbers = np.where(new, count + np.cumsum(new) - 1, -1)
        earlier = chunk < begin
        numbers[earlier] = firsts[chunk[earlier]]
        inside = ~(new | earlier)
        places = chunk[inside] - begin
        # Twice: to the first row of the block, and from there to the first of all.
        for _ in range(2):
            numbers[inside] = numbers[places]
        firsts[begin : begin + len(chunk)] = numbers
        among = (before > begin) & (before <= begin + len(chunk))
        texts[among] = count + np.cumsum(new)[before[among] - begin - 1]
        count += int(new.sum())
    return texts
