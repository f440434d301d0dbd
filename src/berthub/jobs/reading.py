"""Read the rows of a shard, in blocks that depend on the shard alone."""

from collections.abc import Iterator

from berthub.jobs.plan import Plan, Shard, Span
from berthub.jobs.planning import check_file, opened_rows
from berthub.tables.block import BLOCK_CHARS, BLOCK_ROWS, Block, JsonRows
from berthub.tables.missing import Tally, settled
from berthub.tables.reading import refuse_other_columns
from berthub.tables.source import InputFile

__all__ = ["shard_blocks"]

# More than a block has: with more rows to choose from, batches are filled better.
_ROWS = 2 * BLOCK_ROWS


def shard_blocks(plan: Plan, shard: Shard, tally: Tally, *, lenient: bool) -> Iterator[Block]:
    """The rows of a shard in blocks; small files share one, since the engine computes many rows faster.

    `InputError` for a file that is not what it was when the job was planned, and for a row without a text that can be
    read; if `lenient`, that is one of the faults of its block.
    """
    waiting: list[Block] = []
    rows = size = 0
    for span in shard.spans:
        for block in _span_blocks(plan, span, tally, lenient=lenient):
            length = sum(map(len, block.texts))
            if waiting and (rows + len(block.texts) > _ROWS or size + length > BLOCK_CHARS):
                yield Block.joined(waiting)
                waiting, rows, size = [], 0, 0
            waiting.append(block)
            rows += len(block.texts)
            size += length
    if waiting:
        yield Block.joined(waiting)


def _span_blocks(plan: Plan, span: Span, tally: Tally, *, lenient: bool) -> Iterator[Block]:
    planned = plan.files[span.file]
    check_file(planned)
    file = InputFile(planned.address, planned.format)
    with opened_rows(file, plan.reading, plan.texts, lenient=lenient) as reader:
        for block in settled(reader.blocks(span.start, span.rows), tally, lines=planned.format == "text"):
            if plan.schema is not None and not isinstance(block.carried, JsonRows):
                refuse_other_columns(plan.schema, block.carried, plan.files[0].address, file.name)
            yield block
    # Once more: it may have been written to while it was read.
    check_file(planned)
