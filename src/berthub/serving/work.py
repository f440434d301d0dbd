"""What the batcher computes: rows of tokens, and the arrays that become of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from berthub.engines.engine import Floats
from berthub.networks.outputs import Output
from berthub.tokenization.tokens import Tokens

__all__ = ["Arrays", "Group", "Ledger", "Row", "Rows", "Stage", "Terms", "Work"]

Ints = npt.NDArray[np.int32]

Group = tuple[tuple[Output, ...], int | None, int | None]
"""Rows of one group can be computed together: the same outputs; and where they are padded, width and positions."""

Arrays = Mapping[Output, Floats]
"""What was computed for `n` rows: [n, hidden] of pooled outputs, and [t, hidden] or, of the masked-language-model head,
[n * positions, vocabulary], one row after the other, of the others."""


Stage = Literal["compute", "queue", "tokenize"]


@dataclass(eq=False)
class Ledger:
    """What a request came to, for logs, metrics and traces: texts, tokens, and its stages.

    `single`: it was one text by itself, and no list.
    """

    task: Literal["embed", "predict"] | None = None
    single: bool = False
    texts: int = 0
    tokens: int = 0
    # Name, beginning and end of each, by `time.perf_counter`.
    stages: list[tuple[Stage, float, float]] = field(default_factory=list)

    def seconds(self, stage: Stage) -> float:
        """How long a stage took, of all that the request asked for."""
        return sum(end - begin for name, begin, end in self.stages if name == stage)


def _unbounded(size: int) -> None:
    """Nobody counts."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On what terms a request is served: whose it is, before which others of the same key, and until when.

    `key` is whom the work is charged to. A smaller `priority` is sooner. `deadline` is of `time.perf_counter`. The
    `ledger` is where it is noted what was done. `hold` takes room for so many bytes of results until the request is
    answered, and raises `QueueFullError` where there is none.
    """

    key: str = ""
    priority: int = 0
    deadline: float | None = None
    ledger: Ledger = field(default_factory=Ledger, compare=False)
    hold: Callable[[int], None] = field(default=_unbounded, compare=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """The rows of a request, `n` of them: ragged, or with a `mask` padded.

    `ids` and `type_ids` are int32 [t], the rows one after the other, which begin at `splits` (int64 [n + 1]). Padded
    rows have one width, and their padding: `mask` int32 [t] tells what is a token. `positions` int32 [n, p] are those
    at which the masked-language-model head is asked for.
    """

    ids: Ints
    type_ids: Ints
    splits: npt.NDArray[np.int64]
    mask: Ints | None = None
    positions: Ints | None = None

    @classmethod
    def of(cls, tokens: Tokens) -> "Rows":
        """The rows of tokenized texts."""
        return cls(ids=tokens.ids, type_ids=tokens.type_ids, splits=tokens.row_splits)

    def __len__(self) -> int:
        return len(self.splits) - 1

    def group(self, outputs: Sequence[Output]) -> Group:
        """What these rows can be computed together with."""
        width = None if self.mask is None or not len(self) else int(self.splits[1])
        return tuple(outputs), width, None if self.positions is None else self.positions.shape[1]


class Row:
    """One row that waits or is computed, for one work or for several that ask for the same."""

    __slots__ = ("done", "group", "identity", "ids", "length", "mask", "positions", "taken", "type_ids", "wanted")

    def __init__(self, rows: Rows, index: int, group: Group, identity: tuple[Group, bytes]) -> None:
        start, end = int(rows.splits[index]), int(rows.splits[index + 1])
        self.group = group
        self.identity = identity
        self.length = end - start
        self.ids = rows.ids[start:end]
        self.type_ids = rows.type_ids[start:end]
        self.mask = None if rows.mask is None else rows.mask[start:end]
        self.positions = None if rows.positions is None else rows.positions[index]
        self.taken = False
        # Whether all who want it have what was computed.
        self.done = False
        # The works that wait for it, with its number in each.
        self.wanted: list[tuple[Work, int]] = []

    @staticmethod
    def identity_of(rows: Rows, index: int, group: Group) -> tuple[Group, bytes]:
        """What is equal of rows for which the same is computed."""
        start, end = int(rows.splits[index]), int(rows.splits[index + 1])
        parts = [rows.ids[start:end], rows.type_ids[start:end]]
        if rows.mask is not None:
            parts.append(rows.mask[start:end])
        if rows.positions is not None:
            parts.append(rows.positions[index])
        return group, b"".join(part.tobytes() for part in parts)


@dataclass(eq=False, kw_only=True)
class Work:
    """The rows of one request on their way through the batcher, which changes it; `future` gets the arrays.

    A future that is cancelled takes the work out of the queue. `asked` is how many tokens the request has, where equal
    texts of it are one row: what it counts in the queue.
    """

    rows: Rows
    outputs: tuple[Output, ...]
    terms: Terms
    asked: int = 0
    future: Future[Arrays] = field(default_factory=Future)
    arrived: float = field(default_factory=time.perf_counter)
    # Rows that wait, the longest last; a row that is taken may still be among them.
    pending: list[Row] = field(default_factory=list)
    waiting: int = 0
    unfinished: int = 0
    virtual: float = 0.0
    started: bool = False
    begun: float = 0.0
    arrays: dict[Output, Floats] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """The number of tokens of all rows."""
        return int(self.rows.splits[-1])

    @property
    def size(self) -> int:
        """What the work counts in the queue: n texts in one request as much as n requests of one."""
        return max(self.asked, self.tokens)

    def expired(self, now: float) -> bool:
        """Whether the deadline has passed."""
        return self.terms.deadline is not None and now > self.terms.deadline

    def longest(self) -> Row:
        """The longest row that waits."""
        while self.pending[-1].taken:
            self.pending.pop()
        return self.pending[-1]
