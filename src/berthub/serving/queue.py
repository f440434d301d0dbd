"""The fair queue: in which order the works of many clients are served.

Between keys it is fair queueing by virtual time: each key has used so many tokens, the one that has used fewest is
next, and one that comes back after a pause starts where the others are (start-time fair queueing, Goyal et al. 1996).
Among the works of one key the smaller priority comes first; of equal ones each is served as if all took turns token by
token: a small request beside a large one is soon through, and the large one still gets its share.
"""

import heapq
import itertools
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from berthub.serving.work import Work

__all__ = ["FairQueue"]

# From so many keys on, some of those of which nothing waits are forgotten.
_REMEMBERED = 4096

_Place = tuple[int, float, bool, int, Work]


@dataclass(eq=False)
class _Key:
    """The works of one key that wait, in their order, and the tokens that it has used, in virtual time."""

    used: float
    clock: float = 0.0
    works: list[_Place] = field(default_factory=list)


class FairQueue:
    """Works that wait, in a fair order. Not thread-safe: the batcher has the lock.

    What is left of a work when a part of it is served stands behind as if so many tokens more, the `head_start` of the
    others, had been served: a small work that comes beside large ones, which are served in slices, is next.
    """

    def __init__(self, *, head_start: int = 0) -> None:
        self._head_start = head_start
        self._keys: dict[str, _Key] = {}
        self._waiting: dict[str, _Key] = {}
        self._now = 0.0
        self._numbers = itertools.count()
        # Where a work stands in the list of its key.
        self._places: dict[Work, _Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, work: Work) -> bool:
        return work in self._places

    def add(self, work: Work) -> None:
        """Let a work wait."""
        name = work.terms.key
        key = self._keys.get(name)
        if key is None:
            self._forget()
            key = self._keys[name] = _Key(self._now)
        if not key.works:
            key.used = max(key.used, self._now)
            self._waiting[name] = key
        work.virtual = key.clock
        self._place(key, work)

    def remove(self, work: Work) -> None:
        """Let a work wait no longer."""
        key = self._displace(work)
        if not key.works:
            del self._waiting[work.terms.key]

    def first(self) -> Work | None:
        """The work that is served next; None where none waits."""
        if not self._waiting:
            return None
        key = min(self._waiting.values(), key=lambda each: each.used)
        self._now = max(self._now, key.used)
        return key.works[0][-1]

    def ahead(self) -> Iterator[Work]:
        """All works, roughly in the order in which they are served, keys taking turns."""
        keys = sorted(self._waiting.values(), key=lambda each: each.used)
        for places in itertools.zip_longest(*(key.works for key in keys)):
            for place in places:
                if place is not None:
                    yield place[-1]

    def charge(self, work: Work, tokens: int) -> None:
        """Note that so many tokens of a work that waits, or has waited, are served."""
        key = self._keys.get(work.terms.key)
        if key is None:
            return
        key.used += tokens
        key.clock += tokens / max(1, len(key.works))
        if work in self._places:
            self._displace(work)
            work.virtual += tokens if work.started else tokens + self._head_start
            work.started = True
            self._place(key, work)

    def _place(self, key: _Key, work: Work) -> None:
        # Of equals a work that has just come is first: the others were served already.
        place = (work.terms.priority, work.virtual, work.started, next(self._numbers), work)
        self._places[work] = place
        insort(key.works, place)

    def _displace(self, work: Work) -> _Key:
        key = self._keys[work.terms.key]
        del key.works[bisect_left(key.works, self._places.pop(work))]
        return key

    def _forget(self) -> None:
        """Forget half of the keys of which nothing waits: those that have used least."""
        if len(self._keys) < _REMEMBERED:
            return
        idle = (name for name, key in self._keys.items() if not key.works)
        # A key that has used much comes after the others when it asks again, unless it is forgotten. So it is not.
        for name in heapq.nsmallest(_REMEMBERED // 2, idle, key=lambda each: self._keys[each].used):
            del self._keys[name]
