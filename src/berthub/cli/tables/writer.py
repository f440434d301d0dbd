"""What writes vectors, whatever the format."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from berthub.cli.tables.block import Carried
from berthub.cli.vectors import Chunk

__all__ = ["Writer"]

C = TypeVar("C")


class Writer(ABC, Generic[C]):
    """Writes to a file. `prepare` gives the columns of a block the form `C` that `write` takes."""

    @abstractmethod
    def prepare(self, carried: Carried | None) -> C:
        """The columns of a block as they will be written; `InputError` where that is impossible."""

    @abstractmethod
    def write(self, carried: C, rows: slice, chunk: Chunk) -> None:
        """Write the vectors of some rows of a block."""

    @abstractmethod
    def close(self) -> None:
        """Write what is left; the file itself stays open."""
