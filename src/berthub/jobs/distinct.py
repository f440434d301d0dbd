"""Compute the distinct texts of a job once, into files that its shards then take their results from.

A *distinct shard* is so many distinct texts in the order in which they first appear, whichever shards of the output
hold them. What is computed for a text depends on its distinct shard, and so on the plan alone.
"""

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from berthub.atomic import write_errors
from berthub.errors import InputError
from berthub.jobs.computation import Computation
from berthub.jobs.distinct_index import DISTINCT, DistinctIndex, distinct_texts, every_row
from berthub.jobs.folder import JobFolder, LocalFolder
from berthub.jobs.plan import Plan, Shard
from berthub.jobs.reading import shard_blocks
from berthub.jobs.shard import ShardFile
from berthub.jobs.stage import Stage
from berthub.jobs.step import Step
from berthub.tables.block import BLOCK_CHARS, BLOCK_ROWS, Block, JsonRows
from berthub.tables.missing import Tally
from berthub.tables.results import Column
from berthub.tokenization.tokenizer import Text

__all__ = [
    "ComputeTexts",
    "DistinctShard",
    "GatherRows",
    "LocalCopies",
    "StoredTexts",
    "distinct_shards",
    "file_of",
    "needed_shards",
]

# As many texts as the blocks of a shard have rows.
_ROWS = 2 * BLOCK_ROWS
# Files that are open at once.
_OPEN = 64
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class DistinctShard:
    """The distinct texts from number `begin` to `end`."""

    number: int
    begin: int
    end: int

    @property
    def rows(self) -> int:
        """How many texts it has."""
        return self.end - self.begin


def file_of(shard: DistinctShard) -> str:
    """The name of the file of a distinct shard, in the folder `DISTINCT`."""
    return _file(shard.number)


def _file(number: int) -> str:
    return f"{number:06}.npy"


def distinct_shards(plan: Plan, texts: int) -> list[DistinctShard]:
    """The distinct shards of a job with so many distinct texts, each as long as its shards."""
    begins = range(0, texts, plan.shard_rows)
    return [DistinctShard(index, begin, min(begin + plan.shard_rows, texts)) for index, begin in enumerate(begins)]


def needed_shards(plan: Plan, index: DistinctIndex, missing: Sequence[Shard]) -> list[DistinctShard]:
    """The distinct shards that hold texts of some shards."""
    found = distinct_shards(plan, index.texts)
    if len(missing) == len(plan.shards):
        return found
    needed = np.zeros(len(found), np.bool_)
    for shard in missing:
        needed[index.of_shard(shard.number) // plan.shard_rows] = True
    return [each for each in found if needed[each.number]]


@dataclass(frozen=True, eq=False, kw_only=True)
class ComputeTexts(Stage[DistinctShard]):
    """The first stage: the texts of distinct shards are read from the input, and computed."""

    plan: Plan
    index: DistinctIndex
    computation: Computation
    folder: JobFolder

    def tally(self) -> Tally:
        """Rows without a text are the business of the second stage."""
        return every_row(self.plan)

    def blocks(self, shard: DistinctShard, tally: Tally) -> Iterator[Block]:
        """The texts of a distinct shard, in blocks without other columns."""
        for texts in _grouped(distinct_texts(self.plan, self.index, shard.begin, shard.end)):
            yield Block(
                name="", texts=texts, carried=JsonRows([], [], []), first_row=1, lines=None, begin=0, end=len(texts)
            )

    def compute(self, block: Block) -> Iterator[tuple[npt.NDArray[Any], Step]]:
        """What is kept of the texts."""
        done = 0
        for found in self.computation.stored(block.texts):
            done += len(found)
            tokens = int(found["tokens"].sum()) if "tokens" in (found.dtype.names or ()) else 0
            yield found, Step(rows=len(found), truncated=int(found["truncated"].sum()), done=done, tokens=tokens)

    def create(self, shard: DistinctShard) -> "_DistinctFile":
        """Begin the file of a distinct shard."""
        return _DistinctFile(self.folder, shard)


@dataclass(frozen=True, eq=False, kw_only=True)
class GatherRows(Stage[Shard]):
    """The second stage: the rows of the output's shards are read, and their results taken from what was computed."""

    plan: Plan
    index: DistinctIndex
    computation: Computation
    folder: JobFolder
    stored: "StoredTexts"
    lenient: bool

    def tally(self) -> Tally:
        """By the job's policy."""
        return Tally(self.plan.reading.missing)

    def blocks(self, shard: Shard, tally: Tally) -> Iterator[Block]:
        """The rows of a shard, with the numbers of their texts."""
        numbers, begin = self.index.of_shard(shard.number), 0
        for block in shard_blocks(self.plan, shard, tally, lenient=self.lenient):
            end = begin + len(block.texts)
            if end > len(numbers):
                raise InputError(f"shard {shard.number} has more rows than before: the input has changed")
            yield replace(block, distinct=numbers[begin:end])
            begin = end

    def compute(self, block: Block) -> Iterator[tuple[Sequence[Column], Step]]:
        """The results of a block's rows."""
        assert block.distinct is not None
        yield self.computation.from_stored(block, self.stored.rows(block.distinct), lenient=self.lenient)

    def create(self, shard: Shard) -> ShardFile:
        """Begin the file of a shard."""
        return ShardFile(self.plan, shard, computation=self.computation, folder=self.folder)


class LocalCopies:
    """Paths of a job's files on this machine; a context, at whose end copies of remote ones are removed."""

    def __init__(self, folder: JobFolder) -> None:
        self._folder = folder
        self._stack = contextlib.ExitStack()
        self._scratch: Path | None = None

    def __enter__(self) -> "LocalCopies":
        if not isinstance(self._folder, LocalFolder):
            scratch = tempfile.TemporaryDirectory(prefix="berthub-", ignore_cleanup_errors=True)
            self._scratch = Path(self._stack.enter_context(scratch))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def path(self, name: str) -> Path:
        """Where a file lies, or the copy that is made of it at the first call; remote ones that fail: `InputError`."""
        if self._scratch is None:
            return Path(self._folder.address) / name
        copy = self._scratch / name.rpartition("/")[2]
        if not copy.exists():
            part = copy.with_suffix(".part")
            with self._folder.opened(name) as file, write_errors(copy):
                with part.open("wb") as target:
                    shutil.copyfileobj(file, target, _CHUNK)
                part.replace(copy)
        return copy


class StoredTexts:
    """What was computed for distinct texts, by their numbers."""

    def __init__(self, copies: LocalCopies, shard_rows: int) -> None:
        self._copies, self._shard_rows = copies, shard_rows
        self._open: Callable[[int], npt.NDArray[Any]] = functools.lru_cache(_OPEN)(self._mapped)

    def rows(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """What is kept of some texts, in their order; `InputError` where it is not there."""
        shards = numbers // self._shard_rows
        order = np.argsort(shards, kind="stable")
        found: npt.NDArray[Any] | None = None
        for part in np.split(order, np.flatnonzero(np.diff(shards[order])) + 1):
            shard = int(shards[part[0]])
            rows = self._open(shard)
            if found is None:
                found = np.empty(len(numbers), rows.dtype)
            found[part] = rows[numbers[part] - shard * self._shard_rows]
        assert found is not None, "blocks have rows"
        return found

    def _mapped(self, shard: int) -> npt.NDArray[Any]:
        path = self._copies.path(f"{DISTINCT}/{_file(shard)}")
        try:
            found: npt.NDArray[Any] = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path} cannot be read ({error}): remove it, and run the job again") from error
        return found


class _DistinctFile:
    """The file of a distinct shard while it is written; that it is there finishes the shard."""

    def __init__(self, folder: JobFolder, shard: DistinctShard) -> None:
        self._shard, self._count = shard, 0
        self._context = folder.written(f"{DISTINCT}/{file_of(shard)}")
        self._file: BinaryIO = self._context.__enter__()

    def begin(self, block: Block) -> None:
        """Nothing is kept of blocks."""

    def write(self, found: npt.NDArray[Any], step: Step) -> None:
        """Write what is kept of the next texts."""
        if not self._count:
            header = {
                "descr": np.lib.format.dtype_to_descr(found.dtype),
                "fortran_order": False,
                "shape": (self._shard.rows,),
            }
            np.lib.format.write_array_header_1_0(self._file, header)
        self._file.write(found.tobytes())
        self._count += len(found)

    def commit(self, tally: Tally) -> None:
        """Give the file its name."""
        if self._count != self._shard.rows:
            self.discard()
            raise InputError(
                f"of {self._shard.rows:,} distinct texts only {self._count:,} were found again: the input has changed "
                "since the job was planned"
            )
        self._context.__exit__(None, None, None)

    def discard(self) -> None:
        """Remove the file."""
        self._context.__exit__(_DiscardedError, _DiscardedError(), None)


class _DiscardedError(Exception):
    pass


def _grouped(found: Iterable[list[Text]]) -> Iterator[list[Text]]:
    """Groups of texts, so many that batches are filled well, and not more than memory has room for."""
    waiting: list[Text] = []
    size = 0
    for texts in found:
        for text in texts:
            length = len(text) if isinstance(text, str) else sum(map(len, text))
            if waiting and (len(waiting) == _ROWS or size + length > BLOCK_CHARS):
                yield waiting
                waiting, size = [], 0
            waiting.append(text)
            size += length
    if waiting:
        yield waiting
