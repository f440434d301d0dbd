"""The contract of an engine, which runs a model on batches: numbers in, never text, and arrays out.

Texts stay ragged, flat ids and the places where rows begin, until an engine pads them. What batches suit an engine it
says in its `limits`; `batching` makes such batches, and pads them for the engines that pad.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.brief import Brief
from berthub.cached import cached_property
from berthub.networks.outputs import Output

__all__ = ["AnyBatch", "Batch", "Engine", "Floats", "Limits", "PaddedBatch", "Result"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The batches that suit an engine.

    `tokens` is the most of a batch, and for a `padded` one, padding counts, too; a longer row is a batch of its own.
    `few_shapes` asks for few different numbers of rows and widths: the engine prepares itself for every new shape.
    From `concurrent_from` batches on, it computes several at the same time; None is an engine that never does.
    """

    tokens: int
    padded: bool = True
    few_shapes: bool = False
    concurrent_from: int | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Batch(Brief):
    """Rows that are computed together, without padding: `ids` and `type_ids` int32 [t].

    Row `i` is from `offsets[i]` to `offsets[i + 1]` (int64 [b + 1]); `rows` int64 [b] are the rows of the call that
    they came from. The longest come first.
    """

    ids: npt.NDArray[np.int32]
    type_ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """The number of tokens of each row: int64 [b]."""
        return np.diff(self.offsets)


@dataclass(frozen=True, eq=False, repr=False)
class PaddedBatch(Brief):
    """Rows that are computed together, padded to one width: `ids`, `mask`, `type_ids` int32 [b, s].

    `rows` int64 [b] are the rows of the call that they came from. The mask may have holes where a caller passed
    arrays. `positions` int32 [b, p] are there where outputs are asked for at single positions.
    """

    ids: npt.NDArray[np.int32]
    mask: npt.NDArray[np.int32]
    type_ids: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int32] | None = None


AnyBatch = Batch | PaddedBatch


@dataclass(frozen=True, eq=False, repr=False)
class Result(Brief):
    """The result of a batch: the batch as it was computed, and its outputs, float32 in the order they were asked for.

    For tokens they are [b, s, h] of a padded batch and [t, h] of a ragged one; [b, h] when pooled; and [b, p,
    vocabulary] of the masked-language-model head. The arrays may be views of memory that the engine uses again: they
    hold until the next result is taken.
    """

    batch: AnyBatch
    outputs: Sequence[Floats]

    def by_row(self, output: int) -> Iterable[Floats]:
        """The token vectors of each row as a view, [s, h]: its tokens first, then padding."""
        array = self.outputs[output]
        if isinstance(self.batch, PaddedBatch):
            return array
        return (array[start:end] for start, end in itertools.pairwise(self.batch.offsets.tolist()))

    def at(self, output: int, rows: npt.NDArray[Any], places: npt.NDArray[Any]) -> Floats:
        """The vectors of single tokens, as a copy: those at `places` in the batch's `rows`, by number, [n, h]."""
        array = self.outputs[output]
        inside = (rows, places) if isinstance(self.batch, PaddedBatch) else self.batch.offsets[rows] + places
        vectors: Floats = array[inside]
        return vectors


class Engine(ABC):
    """Runs a model on batches. `name` and `precision` tell what runs; `limits`, which batches suit it.

    `threads` is how many threads it was asked to compute with, None for its own choice.
    """

    name: str
    precision: str
    limits: Limits
    threads: int | None = None

    @abstractmethod
    def run(self, batches: Iterable[AnyBatch], outputs: Sequence[Output]) -> Generator[Result]:
        """The resolved `outputs` of every batch, in any order; what was not asked for is not computed.

        An engine that pads takes ragged batches, too, and pads them by `batching.padded`; one that does not pad still
        takes the padded ones, which callers bring as arrays. Outputs of the masked-language-model head are for padded
        batches alone. If not all results are taken, the generator has to be closed: until then batches are computed.
        """

    def run_many(self, batches: Iterable[AnyBatch | None], outputs: Sequence[Output]) -> Generator[Result]:
        """As `run`, for batches that are made while it runs, and of which many will come: none is read ahead of need.

        The results come in the order of the batches. None among them says that there is no batch now: the result of the
        oldest comes before anything else is read.
        """
        return self.run((batch for batch in batches if batch is not None), outputs)
