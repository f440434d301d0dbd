"""Encode a table: compute the vectors of the texts of a block."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from berthub.encoding.encoder import Encoder
from berthub.errors import InputError
from berthub.jobs.computation import Computation
from berthub.jobs.step import Step
from berthub.jobs.vectors import Chunk, Request, compute, result_columns
from berthub.tables.block import Block
from berthub.tables.results import Column
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
    def metadata(self) -> Mapping[str, str]:
        """What a file says of the vectors in it."""
        request, window = self.request, self.request.window
        return {
            "berthub.version": __version__,
            "berthub.model": self.model,
            "berthub.output": request.vectors,
            **({"berthub.pooling": request.pooling} if request.pooling else {}),
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

    def compute(self, block: Block) -> Iterator[tuple[Sequence[Column], Step]]:
        """The vectors of the block's rows, some rows at a time."""
        count = 0
        for chunk in self.chunks(block):
            rows = len(chunk.lengths)
            count += rows
            yield (
                result_columns(chunk, self.request),
                Step(
                    rows=rows,
                    tokens=int(chunk.lengths.sum()),
                    truncated=int(chunk.truncated.sum()),
                    done=block.done_at(count),
                ),
            )

    def chunks(self, block: Block) -> Iterator[Chunk]:
        """The vectors of a block's texts; `InputError` for one that is too long and may not be truncated."""
        start = 0
        for chunk in compute(self.encoder, block.texts, self.request):
            if not self.truncation and chunk.truncated.any():
                raise self._too_long(block, start + int(chunk.truncated.argmax()))
            yield chunk
            start += len(chunk.lengths)

    def _too_long(self, block: Block, index: int) -> InputError:
        length = int(self.encoder.tokenizer.tokens([block.texts[index]]).lengths[0])
        return InputError(
            f"{block.place(index)}: the text has {length:,} tokens and the limit is {self.encoder.max_length}; shorten "
            "it, or leave out --no-truncation to have it truncated"
        )
