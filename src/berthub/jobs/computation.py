"""The interface of everything that a job can compute on a block of rows."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy.typing as npt

from berthub.encoding.encoder import Encoder
from berthub.jobs.step import OnStep, Step
from berthub.tables.block import Block
from berthub.tables.results import Column
from berthub.tables.writer import Writer, refuse_clash
from berthub.tokenization.tokenizer import Text

__all__ = ["Computation", "write_blocks"]


class Computation(ABC):
    """What is computed on a block of rows: columns of results, which are written beside those of the input.

    With `carried` the columns of the input are written, too.
    """

    encoder: Encoder
    carried: bool

    @property
    @abstractmethod
    def described(self) -> Mapping[str, Any]:
        """All that its results depend on beside the model, the input and the machine; for JSON."""

    @property
    @abstractmethod
    def words(self) -> bool:
        """Whether texts are lists of words."""

    @property
    @abstractmethod
    def metadata(self) -> Mapping[str, str]:
        """What a file says of the results in it."""

    @property
    @abstractmethod
    def ways_out(self) -> Mapping[str, str]:
        """The names of the columns of results; for each the option that helps where the input has such a column."""

    @property
    @abstractmethod
    def storable(self) -> bool:
        """Whether results are made of so many numbers for each text, so that those of a text can be kept."""

    @abstractmethod
    def stored(self, texts: Sequence[Text]) -> Iterator[npt.NDArray[Any]]:
        """What is kept of texts in their order, some at a time: arrays with the same fields, one element a text."""

    @abstractmethod
    def from_stored(
        self, block: Block, found: npt.NDArray[Any], *, lenient: bool = False
    ) -> tuple[Sequence[Column], Step]:
        """The results of all rows of a block, from what was kept of their texts: those of `compute`."""

    @abstractmethod
    def compute(self, block: Block, *, lenient: bool = False) -> Iterator[tuple[Sequence[Column], Step]]:
        """The results of the block's rows in their order, some rows at a time, with what was done for them.

        A row that cannot be computed is an `InputError`, or, if `lenient`, one of the step's failures.
        """


def write_blocks(blocks: Iterable[Block], computation: Computation, *, writer: Writer, on_step: OnStep) -> None:
    """Write the results for all blocks, and call `on_step` after each step; the caller closes the writer."""
    for block in blocks:
        if computation.carried:
            refuse_clash(block.carried.column_names, computation.ways_out)
        writer.begin(block)
        for columns, step in computation.compute(block):
            writer.write(columns)
            on_step(step)
