"""Run one stage of a job: the next shard is read, and the last one is written, while the engine computes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from berthub.errors import InputError
from berthub.jobs.step import OnStep, Step
from berthub.jobs.threads import read_ahead, written_behind
from berthub.tables.block import Block
from berthub.tables.missing import Tally

__all__ = ["Stage", "StageFile", "run_stage"]

# Blocks that are read ahead, and results that wait to be written.
_AHEAD, _BEHIND = 2, 4

S = TypeVar("S")


class StageFile(Protocol):
    """The file of a shard while it is written."""

    def begin(self, block: Block) -> None:
        """Take a block, whose results are written next."""

    def write(self, results: Any, step: Step, /) -> None:
        """Write the next results."""

    def commit(self, tally: Tally) -> Any:
        """Finish the file, which gets its name, or discard it and raise; returns what is known of it."""

    def discard(self) -> None:
        """Remove the file."""


class Stage(ABC, Generic[S]):
    """What is done with each of some shards: its rows are read, computed, and written to a file of its own.

    What cannot be done is an `InputError`, and the others go on.
    """

    @abstractmethod
    def tally(self) -> Tally:
        """A new count of the rows without a text."""

    @abstractmethod
    def blocks(self, shard: S, tally: Tally) -> Iterator[Block]:
        """The rows of a shard; called in a thread that reads ahead."""

    @abstractmethod
    def compute(self, block: Block) -> Iterator[tuple[Any, Step]]:
        """The results of a block, some rows at a time, with what was done for them."""

    @abstractmethod
    def create(self, shard: S) -> StageFile:
        """Begin the file of a shard; called, as its methods are, in a thread that writes behind."""


@dataclass(frozen=True, eq=False)
class _Begin:
    shard: Any


@dataclass(frozen=True, eq=False)
class _End:
    tally: Tally


@dataclass(frozen=True, eq=False)
class _Failed:
    error: InputError


@dataclass(frozen=True, eq=False)
class _Results:
    values: Any
    step: Step


_Read: TypeAlias = _Begin | Block | _End | _Failed
_Written: TypeAlias = _Begin | Block | _Results | _End | _Failed


def run_stage(
    shards: Iterable[S],
    stage: Stage[S],
    *,
    on_step: OnStep,
    on_shard: Callable[[S, Any | InputError], None],
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Compute shards and write their files; one that cannot be read or computed is left out, and reported.

    `shards` are taken by a thread, each shortly before it is needed; `on_shard` is called by another one, with what
    is known of the file that was written, or the error. When no more shards are wanted, because of an error, `on_stop`
    is called: then taking one should not wait any more.
    """
    writing = _Writing(stage, on_shard)
    with (
        read_ahead(_read(shards, stage), _AHEAD, on_stop=on_stop) as read,
        written_behind(writing.run, _BEHIND) as write,
    ):
        failed = False
        for item in read:
            if isinstance(item, _Begin):
                failed = False
            if failed:
                continue
            write(item)
            if not isinstance(item, Block):
                continue
            try:
                for values, step in stage.compute(item):
                    write(_Results(values, step))
                    on_step(step)
            except InputError as error:
                failed = True
                write(_Failed(error))


def _read(shards: Iterable[S], stage: Stage[S]) -> Iterator[_Read]:
    for shard in shards:
        yield _Begin(shard)
        tally = stage.tally()
        try:
            yield from stage.blocks(shard, tally)
        except InputError as error:
            yield _Failed(error)
        else:
            yield _End(tally)


class _Writing(Generic[S]):
    """Writes what was computed; runs in a thread of its own."""

    def __init__(self, stage: Stage[S], on_shard: Callable[[S, Any | InputError], None]) -> None:
        self._stage, self._on_shard = stage, on_shard
        self._shard: S | None = None
        self._file: StageFile | None = None

    def run(self, items: Iterator[_Written]) -> None:
        """Take items until they end; a file that is not finished then is removed."""
        try:
            for item in items:
                try:
                    self._take(item)
                except InputError as error:
                    self._take(_Failed(error))
        finally:
            self._discard()

    def _take(self, item: _Written) -> None:
        if isinstance(item, _Begin):
            self._shard = item.shard
            self._file = self._stage.create(item.shard)
            return
        file, shard = self._file, self._shard
        if shard is None:
            # The rest of a shard that failed.
            return
        if isinstance(item, _Failed):
            self._shard = None
            self._discard()
            self._on_shard(shard, item.error)
            return
        assert file is not None
        match item:
            case Block():
                file.begin(item)
            case _Results():
                file.write(item.values, item.step)
            case _End():
                # It discards itself when it fails.
                self._file = self._shard = None
                try:
                    known = file.commit(item.tally)
                except InputError as error:
                    self._on_shard(shard, error)
                else:
                    self._on_shard(shard, known)

    def _discard(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.discard()
