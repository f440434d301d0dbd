"""What is told of the work of a batcher and of a service, for metrics."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Observer", "Unobserved"]


class Observer(Protocol):
    """What is told of the work of a service."""

    def tokenized(self, *, texts: int, tokens: int, seconds: float, lengths: npt.NDArray[np.int64]) -> None:
        """Texts were tokenized; `lengths` int64 [n] are their numbers of tokens."""

    def waited(self, seconds: float) -> None:
        """A work was begun."""

    def batch_done(self, *, texts: int, tokens: int, padded_tokens: int, seconds: float) -> None:
        """A batch was computed."""

    def shared(self, texts: int) -> None:
        """So many texts need not be computed: the same are computed for others."""

    def dropped(self, reason: str, texts: int) -> None:
        """Texts were not computed: their client had gone, or their deadline had passed."""


class Unobserved:
    """An observer that notes nothing."""

    def tokenized(self, *, texts: int, tokens: int, seconds: float, lengths: npt.NDArray[np.int64]) -> None:
        """Nothing is noted."""

    def waited(self, seconds: float) -> None:
        """Nothing is noted."""

    def batch_done(self, *, texts: int, tokens: int, padded_tokens: int, seconds: float) -> None:
        """Nothing is noted."""

    def shared(self, texts: int) -> None:
        """Nothing is noted."""

    def dropped(self, reason: str, texts: int) -> None:
        """Nothing is noted."""
