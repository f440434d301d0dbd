"""Rows become a batch, and what was computed of them goes where it belongs."""

from collections.abc import Sequence

import numpy as np

from berthub.engines.engine import AnyBatch, Batch, Floats, PaddedBatch
from berthub.networks.outputs import Output
from berthub.serving.work import Row, Work

__all__ = ["batch_of", "put"]


def batch_of(rows: Sequence[Row]) -> AnyBatch:
    """The rows as a batch, padded where they are."""
    numbers = np.arange(len(rows))
    if rows[0].mask is None:
        splits = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([row.length for row in rows], out=splits[1:])
        return Batch(
            ids=np.concatenate([row.ids for row in rows]),
            type_ids=np.concatenate([row.type_ids for row in rows]),
            offsets=splits,
            rows=numbers,
        )
    positions = [row.positions for row in rows if row.positions is not None]
    return PaddedBatch(
        ids=np.stack([row.ids for row in rows]),
        mask=np.stack([row.mask for row in rows if row.mask is not None]),
        type_ids=np.stack([row.type_ids for row in rows]),
        rows=numbers,
        positions=np.stack(positions) if positions else None,
    )


def put(work: Work, output: Output, index: int, row: Floats) -> None:
    """Copy an output of a row, [hidden], [length, hidden] or [positions, vocabulary], into the work's arrays."""
    array = work.arrays.get(output)
    if output.mlm or output.pooling is None:
        rows = work.rows
        if output.mlm:
            count = 0 if rows.positions is None else rows.positions.shape[1]
            start, end, total = index * count, (index + 1) * count, len(rows) * count
        else:
            start, end, total = int(rows.splits[index]), int(rows.splits[index + 1]), work.tokens
        if array is None:
            array = work.arrays[output] = np.empty((total, row.shape[-1]), np.float32)
        array[start:end] = row[: end - start]
        return
    if array is None:
        array = work.arrays[output] = np.empty((len(work.rows), row.shape[-1]), np.float32)
    array[index] = row
