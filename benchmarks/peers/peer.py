"""The base class of the peers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal

from benchmarks.batches import Floats
from benchmarks.models import Model

Output = Literal["pooled", "mean", "sequence"]
OUTPUTS: tuple[Output, ...] = ("pooled", "mean", "sequence")


class Peer(ABC):
    """One system. `name` and `precision` go into the table; `form` says whose GELU it computes, and so with which of
    the model's two forms it must agree.

    `outputs` are the kinds of vectors that it gives: of BERT's own pooler, the mean over tokens, those of all tokens. A
    text of more than `longest` tokens is truncated; `in_order`: texts are not sorted by length. `environment` is
    set before its program starts; with `optimum` that is run in the environment that holds optimum.
    `throughput_only`: a part of a system, of which latency and memory say nothing.
    """

    name: str
    precision: str
    form: str = "huggingface"
    outputs: tuple[Output, ...] = OUTPUTS
    longest: int = 512
    in_order: bool = False
    environment: Mapping[str, str] = {}
    optimum: bool = False
    throughput_only: bool = False

    def nearest(self, output: Output) -> Output | None:
        """What it has to show beside others' `output`: who has no pooler gives the mean, which costs about the same.
        None: nothing that could be compared."""
        if output in self.outputs:
            return output
        return "mean" if output == "pooled" and "mean" in self.outputs else None

    def title(self, output: Output) -> str:
        """Its name, with what it gives in place of `output`."""
        return self.name if output in self.outputs else f"{self.name} ({self.nearest(output)})"

    @abstractmethod
    def load(self, model: Model) -> str:
        """Get ready; the arithmetic that computes: float32, bfloat16 or int8. Raises `UnavailableError`, or
        `ImportError` where the library is missing."""

    @abstractmethod
    def encode(self, texts: list[str], output: Output) -> Floats | None:
        """The vectors in the caller's order, tokenization included: float32 [n, hidden], of "sequence" [n, longest,
        hidden]. None: they are not kept."""
