"""Which rows are computed together: those that are about as long as the one that is next."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from berthub.engines.batching import companions
from berthub.engines.engine import Limits
from berthub.serving.queue import FairQueue
from berthub.serving.work import Row, Work

__all__ = ["Choice", "by_length"]

# A work of at most this share of a batch is small: somebody waits for it.
_SMALL = 4
# Where small works come, large ones get batches of this share, so that a small one does not wait long for its turn.
_SLICE = 10
# How many rows are looked at for a batch, and how much a length may differ from that of the row that is next.
_LOOKED_AT = 1024
_NEAR = 32


@dataclass(frozen=True)
class Choice:
    """The rule by which rows are chosen for a batch within the engine's limits."""

    limits: Limits

    def is_small(self, work: Work) -> bool:
        """Whether somebody waits for the work, and not for the end of a long list."""
        return work.tokens * _SMALL <= self.limits.tokens

    def rows(self, head: Work, queue: FairQueue, *, mixed: bool) -> list[tuple[Row, Work]]:
        """The rows to compute with the longest of the `head`, the longest first, each with a work that wants it.

        `mixed`: small works come beside large ones.
        """
        first = head.longest()
        if len(queue) == 1 and len(head.pending) == 1:
            return [(first, head)]
        small = self.is_small(head)
        sliced = mixed and not small
        limits = replace(self.limits, tokens=max(1, self.limits.tokens // _SLICE)) if sliced else self.limits
        found: dict[Row, Work] = {first: head}
        for work in queue.ahead():
            # Rows of large works would only make a small one wait for them.
            if small and not self.is_small(work):
                continue
            for row in _near(work, first):
                found.setdefault(row, work)
            if len(found) >= _LOOKED_AT:
                break
        rows = sorted(found.items(), key=lambda pair: -pair[0].length)
        lengths = np.fromiter((row.length for row, _ in rows), np.int64, len(rows))
        place = next(index for index, (row, _) in enumerate(rows) if row is first)
        return rows[companions(lengths, place, limits)]


def by_length(row: Row) -> int:
    """The key by which the rows of a work are sorted."""
    return row.length


def _near(work: Work, first: Row) -> Iterator[Row]:
    """The rows of a work that may be computed with `first`: of its group, and about as long."""
    pending = work.pending
    if not pending or pending[-1].group != first.group:
        return
    if len(pending) == 1:
        row = pending[0]
        if not row.taken and abs(row.length - first.length) <= _NEAR:
            yield row
        return
    start = bisect_left(pending, first.length - _NEAR, key=by_length)
    end = bisect_right(pending, first.length + _NEAR, key=by_length)
    taken = 0
    for place in range(end - 1, start - 1, -1):
        row = pending[place]
        if row.taken:
            taken += 1
        else:
            yield row
    if taken > _NEAR:
        pending[start:end] = [row for row in pending[start:end] if not row.taken]
