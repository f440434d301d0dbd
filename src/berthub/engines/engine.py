"""The contract of an engine, which runs a model on batches.

Engines see numbers, never text: batches of padded arrays in, arrays out.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from berthub.brief import Brief
from berthub.networks.outputs import Output

__all__ = ["Batch", "Engine", "EngineName", "Floats", "Precision", "Result"]

EngineName = Literal["auto", "numpy", "openvino"]
Precision = Literal["auto", "bfloat16", "float32", "int8"]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False, repr=False)
class Batch(Brief):
    """Padded inputs: `ids`, `mask`, `type_ids` int32 [b, s], and `rows` int64 [b]: which texts of the call they are.

    `positions` int32 [b, p] are there where outputs are asked for at single positions.
    """

    ids: npt.NDArray[np.int32]
    mask: npt.NDArray[np.int32]
    type_ids: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int32] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Result(Brief):
    """A batch and its outputs, float32 in the order they were asked for: [b, s, h] for tokens, [b, h] when
    pooled, [b, p, vocabulary] of the masked-language-model head.

    The arrays may be views of memory that the engine uses again: they hold until the next result is taken.
    """

    batch: Batch
    outputs: Sequence[Floats]


class Engine(ABC):
    """Runs a model. `name` and `precision` tell what runs, and in which arithmetic."""

    name: str
    precision: str

    @abstractmethod
    def run(self, batches: Iterable[Batch], outputs: Sequence[Output]) -> Generator[Result]:
        """The resolved `outputs` of every batch, in any order; what was not asked for is not computed.

        If not all results are taken, the generator has to be closed: until then batches are computed.
        """
