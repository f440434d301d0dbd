"""What a peer is."""

from abc import ABC, abstractmethod

from benchmarks.batches import Floats
from benchmarks.models import Model


class UnavailableError(Exception):
    """This peer cannot run here; the message says why."""


class Peer(ABC):
    """One system. `name` and `precision` go into the table; `form` says which files it reads.

    `pooling` is what its vectors are: BERT's own pooler, or the mean over tokens. A text of more than `longest`
    tokens is cut; `in_order` means that texts are not sorted by length.
    """

    name: str
    precision: str
    form: str = "huggingface"
    pooling: str = "pooled"
    longest: int = 512
    in_order: bool = False

    @abstractmethod
    def load(self, model: Model) -> None:
        """Get ready; raises `UnavailableError`, or `ImportError` where the library is missing."""

    @abstractmethod
    def encode(self, texts: list[str]) -> Floats:
        """float32 [n, hidden] in the caller's order, tokenization included."""
