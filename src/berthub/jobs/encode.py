"""Encode a table: read blocks of rows, and write the vectors of their texts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from berthub.encoding.encoder import Encoder
from berthub.errors import InputError
from berthub.jobs.step import OnStep, Step
from berthub.jobs.vectors import Chunk, Request, compute, result_columns
from berthub.tables.block import Block
from berthub.tables.writer import Writer, refuse_clash
from berthub.version import __version__

__all__ = ["EncodeJob", "encode_block", "encode_blocks", "vectors_metadata"]


@dataclass(frozen=True, kw_only=True)
class EncodeJob:
    """The settings of a job that writes the vectors of `request`.

    Without `truncation` texts that are too long are refused. With `carried` the columns of the input are written, too.
    """

    request: Request
    truncation: bool = True
    carried: bool = True


def encode_blocks(
    blocks: Iterable[Block], job: EncodeJob, *, encoder: Encoder, writer: Writer, on_step: OnStep
) -> None:
    """Write the vectors of all blocks, and call `on_step` after each step; the caller closes the writer."""
    for block in blocks:
        if job.carried:
            refuse_clash(block.carried.column_names, _ways_out(job.request))
        writer.begin(block)
        count = 0
        for chunk in encode_block(block, job, encoder=encoder):
            writer.write(result_columns(chunk, job.request))
            count += len(chunk.lengths)
            on_step(
                Step(
                    rows=len(chunk.lengths),
                    tokens=int(chunk.lengths.sum()),
                    truncated=int(chunk.truncated.sum()),
                    done=block.done_at(count),
                )
            )


def encode_block(block: Block, job: EncodeJob, *, encoder: Encoder) -> Iterator[Chunk]:
    """The vectors of a block's texts in their order; `InputError` for one that is too long and may not be truncated."""
    start = 0
    for chunk in compute(encoder, block.texts, job.request):
        if not job.truncation and chunk.truncated.any():
            raise _too_long(block, start + int(chunk.truncated.argmax()), encoder)
        yield chunk
        start += len(chunk.lengths)


def vectors_metadata(request: Request, *, encoder: Encoder, model: str) -> dict[str, str]:
    """What a file says of the vectors in it; `model` is the name of the model, as it may be shown."""
    window = request.window
    return {
        "berthub.version": __version__,
        "berthub.model": model,
        "berthub.output": request.vectors,
        **({"berthub.pooling": request.pooling} if request.pooling else {}),
        "berthub.layer": str(request.layer),
        "berthub.normalize": str(request.normalize).lower(),
        "berthub.precision": encoder.precision,
        "berthub.max_length": str(encoder.max_length),
        **({"berthub.window": str(window.size), "berthub.stride": str(window.stride)} if window else {}),
    }


def _ways_out(request: Request) -> dict[str, str]:
    return {name: "--vectors-column NAME" if name == request.column else "--drop-columns" for name in request.columns}


def _too_long(block: Block, index: int, encoder: Encoder) -> InputError:
    length = int(encoder.tokenizer.tokens([block.texts[index]]).lengths[0])
    return InputError(
        f"{block.place(index)}: the text has {length:,} tokens and the limit is {encoder.max_length}; shorten it, "
        "or leave out --no-truncation to have it truncated"
    )
