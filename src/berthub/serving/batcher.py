"""The batcher: merges the rows of all requests into batches as the engine becomes free. It knows of no dialect.

A thread takes the row that is next by the fair queue, and computes it with rows of about the same length of whatever
requests wait; nothing waits for a batch to fill up, unless a delay was asked for. While much waits, several batches are
computed side by side, as `encode` does.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from berthub.cores import core_count
from berthub.engines.engine import AnyBatch, Engine, Limits, Result
from berthub.serving.batches import batch_of, put
from berthub.serving.choosing import Choice, by_length
from berthub.serving.failures import DeadlineError, QueueFullError, TooLargeError, UnavailableError
from berthub.serving.observer import Observer, Unobserved
from berthub.serving.queue import FairQueue
from berthub.serving.work import Group, Row, Work

__all__ = ["Batcher", "BatchingOptions"]

_LOGGER = logging.getLogger(__name__)

# So many batches never wait.
_NEVER = 1 << 60
# Small works come, if the last one came so few seconds ago.
_MEMORY = 10.0


@dataclass(frozen=True, kw_only=True)
class BatchingOptions:
    """The options of a batcher.

    `queue_tokens` is how many tokens may wait or be computed. `batch_tokens` is the most of a batch, None for what
    suits the engine. `delay` is how many seconds a work may wait for others to fill its batch.
    """

    queue_tokens: int = 1 << 20
    batch_tokens: int | None = None
    delay: float = 0.0


class Batcher:
    """Computes works by an engine, in a thread of its own, until it is closed; any thread can call its methods."""

    def __init__(
        self,
        engine: Engine,
        *,
        options: BatchingOptions | None = None,
        observer: Observer | None = None,
        name: str = "model",
    ) -> None:
        self._options = options or BatchingOptions()
        self._observer = observer or Unobserved()
        self._engine = engine
        limits = engine.limits
        if self._options.batch_tokens is not None:
            limits = replace(limits, tokens=self._options.batch_tokens)
        self.limits: Limits = limits
        self._choice = Choice(limits)
        # From so many batches that wait on, they are computed side by side: with few cores, two suffice.
        self._many = _NEVER if limits.concurrent_from is None else min(limits.concurrent_from, _cores(engine))
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._queue = FairQueue(head_start=limits.tokens)
        # By identity: rows that wait or are computed.
        self._rows: dict[tuple[Group, bytes], Row] = {}
        self._admitted = 0
        self._texts = 0
        self._waiting_tokens = 0
        self._last_small = -_MEMORY
        self._rate = 0.0
        # The tokens that batches have, of late.
        self._usual = float(limits.tokens)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"berthub-batcher-{name}", daemon=True)
        self._thread.start()

    @property
    def capacity(self) -> int:
        """The most tokens that may wait or be computed."""
        return self._options.queue_tokens

    @property
    def tokens(self) -> int:
        """The number of tokens that wait or are computed."""
        return self._admitted

    @property
    def texts(self) -> int:
        """The number of texts that wait or are computed."""
        return self._texts

    def check_room(self, tokens: int = 1) -> None:
        """Raise the error of `submit` for a work of so many tokens: `TooLargeError`, `QueueFullError`."""
        most = self._options.queue_tokens
        if tokens > most:
            raise TooLargeError(
                f"the request has {tokens:,} tokens, and the server takes at most {most:,} at a time: send it in parts"
            )
        if self._admitted + tokens > most:
            seconds = max(1, min(60, round(self._admitted / self._rate))) if self._rate else 1
            raise QueueFullError(
                f"the queue is full: {self._admitted:,} of at most {most:,} tokens wait; try again in {seconds} s",
                retry_after=seconds,
            )

    def submit(self, work: Work) -> None:
        """Let a work be computed; its future gets the arrays, or the error.

        Raises `TooLargeError`, `QueueFullError`, and `UnavailableError` when the batcher is closed.
        """
        rows, group = work.rows, work.rows.group(work.outputs)
        identities = [Row.identity_of(rows, index, group) for index in range(len(rows))]
        shared = 0
        with self._lock:
            if self._closing:
                raise UnavailableError("the model is being replaced or the server stops: try again", retry_after=1)
            self.check_room(work.size)
            self._admitted += work.size
            self._texts += len(rows)
            for index, identity in enumerate(identities):
                row = self._rows.get(identity)
                if row is None:
                    row = self._rows[identity] = Row(rows, index, group, identity)
                    self._waiting_tokens += row.length
                else:
                    shared += 1
                row.wanted.append((work, index))
                work.unfinished += 1
                if not row.taken:
                    work.waiting += 1
                    work.pending.append(row)
            if work.waiting:
                work.pending.sort(key=by_length)
                self._queue.add(work)
                if self._choice.is_small(work):
                    self._last_small = time.perf_counter()
                self._changed.notify()
        # Not under the lock: a future that was cancelled meanwhile is done at once.
        work.future.add_done_callback(lambda _: self._release(work))
        if not len(rows):
            _finish(work)
        if shared:
            self._observer.shared(shared)

    def close(self, timeout: float | None = None) -> bool:
        """Take no more works, compute those that there are, and end; whether all are done after `timeout` seconds."""
        with self._lock:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _release(self, work: Work) -> None:
        """A work is done, or cancelled by its client or its deadline: it takes no room any more."""
        with self._lock:
            self._admitted -= work.size
            self._texts -= len(work.rows)
            waited = work in self._queue
            texts = self._leave(work) if waited else 0
        if waited:
            self._observer.dropped("deadline" if work.expired(time.perf_counter()) else "gone", texts)

    def _leave(self, work: Work) -> int:
        """Take a work out of the queue, with the lock, and its rows that no other work wants; how many rows waited."""
        self._queue.remove(work)
        texts, work.waiting = work.waiting, 0
        for row in work.pending:
            if not row.taken and all(other is work or other.future.done() for other, _ in row.wanted):
                self._take(row)
                del self._rows[row.identity]
        work.pending.clear()
        return texts

    def _run(self) -> None:
        while True:
            with self._lock:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if not self._queue:
                    return
                if left := self._delay_left():
                    self._changed.wait(left)
                    continue
            rows: list[Row] = []
            try:
                rows = self._next()
                if rows:
                    self._compute(rows)
            except BaseException as error:
                # Whatever it was: nobody waits for ever, and the next batch has its chance.
                _LOGGER.exception("a batch failed")
                self._fail([*rows, *self._all()], error)

    def _delay_left(self) -> float:
        """How many seconds are left to wait for more works, with the lock."""
        if not self._options.delay or self._closing or self._waiting_tokens >= self.limits.tokens:
            return 0.0
        first = min(work.arrived for work in self._queue.ahead())
        return max(0.0, first + self._options.delay - time.perf_counter())

    def _compute(self, rows: list[Row]) -> None:
        """Compute rows, and while much waits, those after them."""
        group = rows[0].group
        if not self._side_by_side(batches=self._many):
            self._one(rows)
            return
        running: deque[tuple[list[Row], float]] = deque()

        def feed() -> Iterator[AnyBatch | None]:
            now = rows
            while now or running:
                if now:
                    running.append((now, time.perf_counter()))
                yield batch_of(now) if now else None
                now = self._next(group) if self._side_by_side() else []

        try:
            with closing(self._engine.run_many(feed(), group[0])) as results:
                last = time.perf_counter()
                for result in results:
                    taken, began = running[0]
                    self._done(taken, result, max(last, began))
                    running.popleft()
                    last = time.perf_counter()
        except Exception:
            _LOGGER.exception("batches failed that were computed side by side: they are computed one by one")
            for taken, _ in running:
                self._one(taken)
            # And those that were taken for a batch that was not made.
            self._one([row for row in self._all() if row.taken and not row.done])

    def _one(self, rows: list[Row]) -> None:
        """Compute rows in one batch; where that fails, those of each work by themselves, so that one alone fails."""
        rows = [row for row in rows if not row.done]
        if not rows:
            return
        try:
            began = time.perf_counter()
            with closing(self._engine.run([batch_of(rows)], rows[0].group[0])) as results:
                for result in results:
                    self._done(rows, result, began)
        except Exception as error:
            works = list(dict.fromkeys(row.wanted[0][0] for row in rows if row.wanted))
            if len(works) < 2:
                _LOGGER.exception("a batch failed")
                self._fail(rows, error)
                return
            for work in works:
                self._one([row for row in rows if row.wanted and row.wanted[0][0] is work])

    def _side_by_side(self, *, batches: int = 0) -> bool:
        """Whether batches are computed side by side: so many wait, of the size that they have now.

        Not while small works come beside large ones: a small one would wait for all batches that are under way.
        """
        with self._lock:
            if self._waiting_tokens < batches * self._usual:
                return False
            return not (self._mixed() and any(not self._choice.is_small(work) for work in self._queue.ahead()))

    def _mixed(self) -> bool:
        return time.perf_counter() - self._last_small < _MEMORY

    def _next(self, group: Group | None = None) -> list[Row]:
        """Take the rows of the next batch, the longest first; none where none of `group` is next."""
        expired: list[tuple[Work, int]] = []
        with self._lock:
            now = time.perf_counter()
            head = self._queue.first()
            while head is not None and head.expired(now):
                expired.append((head, self._leave(head)))
                head = self._queue.first()
            rows: list[tuple[Row, Work]] = []
            if head is not None and (group is None or head.longest().group == group):
                rows = self._choice.rows(head, self._queue, mixed=self._mixed())
            for row, work in rows:
                if not work.begun:
                    work.begun = now
                    self._observer.waited(now - work.arrived)
                self._take(row)
                self._queue.charge(work, row.length)
        for work, texts in expired:
            self._observer.dropped("deadline", texts)
            _set_error(work, DeadlineError("the request's time was over before it was computed"))
        return [row for row, _ in rows]

    def _take(self, row: Row) -> None:
        """Mark a row as taken, with the lock: works of which no row waits leave the queue."""
        row.taken = True
        self._waiting_tokens -= row.length
        for work, _ in row.wanted:
            work.waiting -= 1
            if not work.waiting and work in self._queue:
                self._queue.remove(work)

    def _done(self, rows: list[Row], result: Result, began: float) -> None:
        """Give every work what was computed of its rows."""
        seconds = time.perf_counter() - began
        tokens = sum(row.length for row in rows)
        if seconds > 0:
            self._rate = tokens / seconds if not self._rate else 0.8 * self._rate + 0.2 * tokens / seconds
        self._usual = 0.8 * self._usual + 0.2 * tokens
        outputs = rows[0].group[0]
        finished: list[Work] = []
        with self._lock:
            for row in rows:
                self._rows.pop(row.identity, None)
        by_row = [
            result.outputs[number] if output.pooling or output.mlm else list(result.by_row(number))
            for number, output in enumerate(outputs)
        ]
        for place, row in enumerate(rows):
            row.done = True
            for work, index in row.wanted:
                if work.future.done():
                    continue
                try:
                    for output, arrays in zip(outputs, by_row, strict=True):
                        put(work, output, index, arrays[place])
                except Exception as error:
                    _LOGGER.exception("a result could not be copied")
                    _set_error(work, error)
                work.unfinished -= 1
                if not work.unfinished:
                    finished.append(work)
        for work in finished:
            _finish(work)
        batch = result.batch
        padded = batch.ids.size
        self._observer.batch_done(texts=len(rows), tokens=tokens, padded_tokens=padded, seconds=seconds)

    def _fail(self, rows: Sequence[Row], error: BaseException) -> None:
        with self._lock:
            for row in rows:
                self._rows.pop(row.identity, None)
                if not row.taken:
                    self._take(row)
            works = {work for row in rows for work, _ in row.wanted}
        for work in works:
            _set_error(work, error)

    def _all(self) -> list[Row]:
        with self._lock:
            return list(self._rows.values())


def _cores(engine: Engine) -> int:
    """How many cores compute."""
    return core_count() if engine.threads is None else min(core_count(), engine.threads)


def _finish(work: Work) -> None:
    if not work.future.done() and work.future.set_running_or_notify_cancel():
        # Rows that were computed for others already did not wait.
        begun = work.begun or work.arrived
        work.terms.ledger.stages += [("queue", work.arrived, begun), ("compute", begun, time.perf_counter())]
        work.future.set_result(work.arrays)


def _set_error(work: Work, error: BaseException) -> None:
    if not work.future.done() and work.future.set_running_or_notify_cancel():
        work.future.set_exception(error)
