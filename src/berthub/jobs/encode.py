"""Encode a table: compute the vectors of the texts of a block."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.encoding.encoder import Encoder
from berthub.encoding.prepare import prompted
from berthub.errors import InputError
from berthub.jobs.computation import Computation
from berthub.jobs.step import Step
from berthub.jobs.vectors import Chunk, Request, compute, result_columns
from berthub.tables.block import Block
from berthub.tables.results import Column
from berthub.tokenization.tokenizer import Text
from berthub.version import __version__

__all__ = ["EncodeComputation"]


@dataclass(frozen=True, eq=False, kw_only=True)
class EncodeComputation(Computation):
    """Computes the vectors of `request`; `model` is the name of the model, as it may be shown.

    Without `truncation` texts that are too long are refused.
    """

    encoder: Encoder
    request: Request
    model: str
    truncation: bool = True
    carried: bool = True

    @property
    def described(self) -> Mapping[str, Any]:
        """The request, and what becomes of long texts."""
        request = {**asdict(self.request), "poolings": list(self.request.poolings)}
        # It says in words what the others say.
        del request["described"]
        return {**request, "truncation": self.truncation, "carried": self.carried}

    @property
    def words(self) -> bool:
        """Texts are strings, or pairs of them."""
        return False

    @property
    def metadata(self) -> Mapping[str, str]:
        """What a file says of the vectors in it."""
        request, window = self.request, self.request.window
        return {
            "berthub.version": __version__,
            "berthub.model": self.model,
            "berthub.output": request.vectors,
            **({"berthub.pooling": "+".join(request.poolings)} if request.poolings else {}),
            **({"berthub.prompt": request.prompt.text} if request.prompt.text else {}),
            "berthub.layer": str(request.layer),
            "berthub.normalize": str(request.normalize).lower(),
            "berthub.precision": self.encoder.precision,
            "berthub.max_length": str(self.encoder.max_length),
            **({"berthub.window": str(window.size), "berthub.stride": str(window.stride)} if window else {}),
        }

    @property
    def ways_out(self) -> Mapping[str, str]:
        """The names of the columns of results, each with an option that helps where the input has it."""
        return {
            name: "--vectors-column NAME" if name == self.request.column else "--drop-columns"
            for name in self.request.columns
        }

    @property
    def storable(self) -> bool:
        """Vectors of texts are, those of tokens are not."""
        return self.request.vectors != "sequence_output"

    def stored(self, texts: Sequence[Text]) -> Iterator[npt.NDArray[Any]]:
        """The vectors of texts, their numbers of tokens, and which were truncated."""
        for chunk in compute(self.encoder, texts, self.request):
            vectors = chunk.vectors
            fields: list[Any] = [
                ("tokens", np.int64),
                ("vector", vectors.dtype, vectors.shape[1:]),
                ("truncated", np.bool_),
            ]
            found = np.empty(len(vectors), fields)
            found["tokens"], found["vector"], found["truncated"] = chunk.lengths, vectors, chunk.truncated
            yield found

    def from_stored(
        self, block: Block, found: npt.NDArray[Any], *, lenient: bool = False
    ) -> tuple[Sequence[Column], Step]:
        """The vectors of the block's rows."""
        vectors, lengths, truncated = (np.ascontiguousarray(found[name]) for name in ("vector", "tokens", "truncated"))
        chunk = Chunk(vectors=vectors, lengths=lengths, truncated=truncated)
        self._refuse_too_long(block, 0, chunk, lenient=lenient)
        return self._results(block, 0, chunk)

    def compute(self, block: Block, *, lenient: bool = False) -> Iterator[tuple[Sequence[Column], Step]]:
        """The vectors of the block's rows, some rows at a time."""
        count = 0
        for chunk in self.chunks(block, lenient=lenient):
            yield self._results(block, count, chunk)
            count += len(chunk.lengths)

    def chunks(self, block: Block, *, lenient: bool = False) -> Iterator[Chunk]:
        """The vectors of a block's texts.

        One that is too long and may not be truncated is an `InputError`, unless `lenient`.
        """
        start = 0
        for chunk in compute(self.encoder, block.texts, self.request):
            self._refuse_too_long(block, start, chunk, lenient=lenient)
            yield chunk
            start += len(chunk.lengths)

    def _results(self, block: Block, start: int, chunk: Chunk) -> tuple[Sequence[Column], Step]:
        """The columns and the step of a chunk, whose first row is row `start` of the block."""
        rows = len(chunk.lengths)
        too_long = [] if self.truncation else np.flatnonzero(chunk.truncated).tolist()
        failures = {index: str(self._too_long(block, start + index)) for index in too_long}
        return result_columns(chunk, self.request), Step(
            rows=rows,
            tokens=int(chunk.lengths.sum()),
            truncated=int(chunk.truncated.sum()) - len(failures),
            done=block.done_at(start + rows),
            failures=failures,
        )

    def _refuse_too_long(self, block: Block, start: int, chunk: Chunk, *, lenient: bool) -> None:
        if not self.truncation and chunk.truncated.any() and not lenient:
            raise self._too_long(block, start + int(chunk.truncated.argmax()))

    def _too_long(self, block: Block, index: int) -> InputError:
        text = prompted([block.texts[index]], self.request.prompt.text)
        length = int(self.encoder.tokenizer.tokens(text).lengths[0])
        return InputError(
            f"{block.place(index)}: the text has {length:,} tokens and the limit is {self.encoder.max_length}; shorten "
            "it, or leave out --no-truncation to have it truncated"
        )
