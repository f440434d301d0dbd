"""The batcher, over an engine that can be held up, and that says what it computed."""

import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import berthub.serving.batcher
from berthub.engines.engine import AnyBatch, Batch, Engine, Limits, PaddedBatch, Result
from berthub.networks.outputs import Output
from berthub.serving.batcher import Batcher, BatchingOptions
from berthub.serving.failures import DeadlineError, QueueFullError, TooLargeError, UnavailableError
from berthub.serving.observer import Unobserved
from berthub.serving.work import Rows, Terms, Work

POOLED = Output(0, "mean")
OTHER = Output(0, "max")
TOKENS = Output(0)
POISON = 666


class SlowEngine(Engine):
    """Computes twice the ids, as soon as `go` is set; it fails for a poisonous id."""

    name = "slow"
    precision = "float32"

    def __init__(self, *, concurrent_from: int | None = None, tokens: int = 64) -> None:
        self.limits = Limits(tokens=tokens, padded=True, concurrent_from=concurrent_from)
        self.go = threading.Event()
        self.begun = threading.Event()
        self.batches: list[list[tuple[int, ...]]] = []
        self.many = 0

    def run(self, batches: Iterable[AnyBatch], outputs: Sequence[Output]) -> Generator[Result]:
        for batch in batches:
            rows = list(_rows(batch))
            self.batches.append([tuple(row) for row in rows])
            self.begun.set()
            assert self.go.wait(60)
            if any(POISON in row for row in rows):
                raise ValueError("a poisonous row")
            yield Result(batch, [_output(output, batch, rows) for output in outputs])

    def run_many(self, batches: Iterable[AnyBatch], outputs: Sequence[Output]) -> Generator[Result]:
        self.many += 1
        yield from self.run(batches, outputs)


def _rows(batch: AnyBatch) -> Iterator[list[int]]:
    if isinstance(batch, PaddedBatch):
        yield from (row.tolist() for row in batch.ids)
    else:
        for start, end in zip(batch.offsets[:-1], batch.offsets[1:], strict=True):
            yield batch.ids[start:end].tolist()


def _output(output: Output, batch: AnyBatch, rows: list[list[int]]) -> np.ndarray:
    vectors = [np.array([[2 * each, len(row)] for each in row], np.float32) for row in rows]
    if output.pooling == "mean":
        return np.stack([each.sum(0) for each in vectors])
    if output.pooling == "max":
        return np.stack([each.max(0) for each in vectors])
    return np.stack(vectors) if isinstance(batch, PaddedBatch) else np.concatenate(vectors)


def work(*rows: Sequence[int], outputs: Sequence[Output] = (POOLED,), padded: bool = False, **terms: Any) -> Work:
    flat = np.array([each for row in rows for each in row], np.int32)
    splits = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    mask = np.ones_like(flat) if padded else None
    made = Rows(ids=flat, type_ids=np.zeros_like(flat), splits=splits, mask=mask)
    return Work(rows=made, outputs=tuple(outputs), terms=Terms(**terms))


def wanted(*rows: Sequence[int]) -> np.ndarray:
    return np.array([[2 * sum(row), len(row) ** 2] for row in rows], np.float32)


def submitted(batcher: Batcher, *works: Work) -> None:
    for each in works:
        batcher.submit(each)


@pytest.fixture
def engine() -> Iterator[SlowEngine]:
    made = SlowEngine()
    yield made
    made.go.set()


def held(engine: SlowEngine, batcher: Batcher) -> Work:
    """A work that is computed and does not end, so that all that is submitted after it waits."""
    first = work([9, 9, 9])
    batcher.submit(first)
    assert engine.begun.wait(60)
    return first


def test_works_that_wait_are_computed_together(engine: SlowEngine) -> None:
    batcher = Batcher(engine)
    held(engine, batcher)
    rows = [[number, number] for number in range(1, 9)]
    works = [work(row) for row in rows]
    submitted(batcher, *works)
    engine.go.set()
    for row, each in zip(rows, works, strict=True):
        np.testing.assert_array_equal(each.future.result(60)[POOLED], wanted(row))
    assert len(engine.batches) == 2
    assert batcher.close(60)


def test_equal_rows_are_computed_once_also_those_under_way(engine: SlowEngine) -> None:
    told: list[int] = []

    class Observer(Unobserved):
        def shared(self, texts: int) -> None:
            told.append(texts)

    batcher = Batcher(engine, observer=Observer())
    held(engine, batcher)
    under_way = work([9, 9, 9])
    works = [under_way, work([1, 2], [3]), work([3], [1, 2], [1, 2]), work([3], outputs=[TOKENS])]
    submitted(batcher, *works)
    engine.go.set()
    np.testing.assert_array_equal(under_way.future.result(60)[POOLED], wanted([9, 9, 9]))
    np.testing.assert_array_equal(works[2].future.result(60)[POOLED], wanted([3], [1, 2], [1, 2]))
    np.testing.assert_array_equal(works[3].future.result(60)[TOKENS], [[6, 1]])
    computed = sorted(row for batch in engine.batches for row in batch)
    assert computed == [(1, 2), (3,), (3,), (9, 9, 9)]
    assert sum(told) == 4


def test_what_is_cancelled_is_not_computed_and_takes_no_room(engine: SlowEngine) -> None:
    dropped: list[tuple[str, int]] = []

    class Observer(Unobserved):
        def dropped(self, reason: str, texts: int) -> None:
            dropped.append((reason, texts))

    batcher = Batcher(engine, observer=Observer())
    first = held(engine, batcher)
    gone, stays = work([1, 1], [2, 2]), work([2, 2], [3, 3])
    submitted(batcher, gone, stays)
    assert (batcher.tokens, batcher.texts) == (11, 5)
    assert gone.future.cancel()
    assert (batcher.tokens, batcher.texts) == (7, 3)
    engine.go.set()
    np.testing.assert_array_equal(stays.future.result(60)[POOLED], wanted([2, 2], [3, 3]))
    first.future.result(60)
    assert batcher.close(60)
    assert sorted(row for batch in engine.batches[1:] for row in batch) == [(2, 2), (3, 3)]
    assert dropped == [("gone", 2)]
    assert (batcher.tokens, batcher.texts) == (0, 0)
    with pytest.raises(CancelledError):
        gone.future.result()


def test_a_work_that_is_cancelled_while_it_is_computed_is_forgotten(engine: SlowEngine) -> None:
    batcher = Batcher(engine)
    first = held(engine, batcher)
    assert first.future.cancel()
    after = work([9, 9, 9])
    batcher.submit(after)
    engine.go.set()
    np.testing.assert_array_equal(after.future.result(60)[POOLED], wanted([9, 9, 9]))
    assert batcher.tokens == 0


def test_a_deadline_that_has_passed_is_an_error_and_nothing_is_computed(engine: SlowEngine) -> None:
    batcher = Batcher(engine)
    held(engine, batcher)
    late = work([1], [2], deadline=time.perf_counter() - 1)
    in_time = work([2], [3], deadline=time.perf_counter() + 1000)
    submitted(batcher, late, in_time)
    engine.go.set()
    with pytest.raises(DeadlineError):
        late.future.result(60)
    np.testing.assert_array_equal(in_time.future.result(60)[POOLED], wanted([2], [3]))
    assert sorted(row for batch in engine.batches[1:] for row in batch) == [(2,), (3,)]


def test_a_client_with_much_does_not_starve_another(engine: SlowEngine) -> None:
    batcher = Batcher(engine)
    held(engine, batcher)
    # Rows of different lengths are not computed together.
    many = [work([1] * 40, [number] * 41, key="many") for number in range(2, 30)]
    one = work([5] * 3, key="one")
    submitted(batcher, *many, one)
    engine.go.set()
    one.future.result(60)
    assert batcher.close(60)
    place = next(index for index, batch in enumerate(engine.batches) if (5, 5, 5) in batch)
    assert place <= 2


@pytest.mark.parametrize("key", ["", "same"])
def test_a_small_work_beside_a_large_one_is_soon_through(engine: SlowEngine, key: str) -> None:
    batcher = Batcher(engine)
    held(engine, batcher)
    large = work(*[[number] * 20 for number in range(1, 40)], key=key)
    small = work([5] * 3, key=key)
    submitted(batcher, large, small)
    engine.go.set()
    small.future.result(60)
    large.future.result(60)
    place = next(index for index, batch in enumerate(engine.batches) if (5, 5, 5) in batch)
    assert place <= 2
    # Whoever sends the next small one does not wait for a whole batch.
    assert all(sum(map(len, batch)) <= 20 for batch in engine.batches)


def test_a_large_work_is_not_starved_by_small_ones_of_the_same_key() -> None:
    engine = SlowEngine()
    batcher = Batcher(engine)
    large = work([1] * 60, [2] * 59, [3] * 58)
    submitted(batcher, work([9]))
    assert engine.begun.wait(60)
    submitted(batcher, large)
    stop = threading.Event()

    def small_ones() -> None:
        # Two of them wait at all times.
        number, waiting = 0, []
        while not stop.is_set():
            number += 1
            waiting.append(work([number % 600, 7], [number % 600, 8, 9]))
            batcher.submit(waiting[-1])
            if len(waiting) > 2:
                waiting.pop(0).future.result(60)

    thread = threading.Thread(target=small_ones)
    thread.start()
    engine.go.set()
    try:
        large.future.result(60)
    finally:
        stop.set()
        thread.join()
    assert batcher.close(60)


def test_a_smaller_priority_is_sooner(engine: SlowEngine) -> None:
    batcher = Batcher(engine)
    held(engine, batcher)
    late, soon = work([1] * 50, priority=5), work([2] * 5, priority=-5)
    submitted(batcher, late, soon)
    engine.go.set()
    late.future.result(60)
    assert engine.batches[1] == [(2,) * 5]


def test_limits_are_the_same_for_one_work_of_n_rows_and_n_works_of_one(engine: SlowEngine) -> None:
    batcher = Batcher(engine, options=BatchingOptions(queue_tokens=13))
    held(engine, batcher)
    submitted(batcher, *(work([number, number]) for number in range(5)))
    with pytest.raises(QueueFullError, match="the queue is full: 13 of at most 13 tokens wait") as full:
        batcher.submit(work([1]))
    assert full.value.retry_after == 1
    other = SlowEngine()
    second = Batcher(other, options=BatchingOptions(queue_tokens=13))
    held(other, second)
    second.submit(work(*([number, number] for number in range(5))))
    with pytest.raises(QueueFullError):
        second.submit(work([1]))
    with pytest.raises(TooLargeError, match="the request has 14 tokens, and the server takes at most 13"):
        second.submit(work([1] * 14))
    other.go.set()


@pytest.mark.parametrize("concurrent_from", [None, 1])
def test_a_row_that_fails_fails_its_work_alone(concurrent_from: int | None) -> None:
    engine = SlowEngine(concurrent_from=concurrent_from)
    batcher = Batcher(engine)
    held(engine, batcher)
    good, bad, other = work([1, 2], [4, 5]), work([POISON, 3]), work([7, 8])
    submitted(batcher, good, bad, other)
    engine.go.set()
    np.testing.assert_array_equal(good.future.result(60)[POOLED], wanted([1, 2], [4, 5]))
    np.testing.assert_array_equal(other.future.result(60)[POOLED], wanted([7, 8]))
    with pytest.raises(ValueError, match="a poisonous row"):
        bad.future.result(60)
    again = work([1, 2])
    batcher.submit(again)
    np.testing.assert_array_equal(again.future.result(60)[POOLED], wanted([1, 2]))
    assert batcher.tokens == 0


def test_a_fault_of_the_batcher_itself_ends_nothing(engine: SlowEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    batcher = Batcher(engine)
    held(engine, batcher)
    with monkeypatch.context() as patched:
        patched.setattr(type(batcher._choice), "rows", lambda *_, **__: 1 / 0)
        doomed = work([1, 2])
        batcher.submit(doomed)
        engine.go.set()
        with pytest.raises(ZeroDivisionError):
            doomed.future.result(60)
    again = work([1, 2])
    batcher.submit(again)
    np.testing.assert_array_equal(again.future.result(60)[POOLED], wanted([1, 2]))


def test_while_much_waits_batches_are_computed_side_by_side() -> None:
    engine = SlowEngine(concurrent_from=2)
    batcher = Batcher(engine)
    engine.go.set()
    rows = [[number] * 30 for number in range(40)]
    large = work(*rows)
    batcher.submit(large)
    np.testing.assert_array_equal(large.future.result(60)[POOLED], wanted(*rows))
    assert engine.many == 1


def test_a_delay_fills_batches() -> None:
    engine = SlowEngine(tokens=8)
    engine.go.set()
    batcher = Batcher(engine, options=BatchingOptions(delay=30.0))
    works = [work([number, number]) for number in range(4)]
    submitted(batcher, *works)
    for each in works:
        each.future.result(20)
    assert len(engine.batches) == 1


def test_closing_computes_what_there_is_and_takes_no_more(engine: SlowEngine) -> None:
    batcher = Batcher(engine)
    held(engine, batcher)
    last = work([1], [2, 3])
    batcher.submit(last)
    assert not batcher.close(0.01)
    with pytest.raises(UnavailableError):
        batcher.submit(work([1]))
    engine.go.set()
    np.testing.assert_array_equal(last.future.result(60)[POOLED], wanted([1], [2, 3]))
    assert batcher.close(60)


def test_a_work_without_rows_is_done_at_once(engine: SlowEngine) -> None:
    batcher = Batcher(engine)
    empty = work()
    batcher.submit(empty)
    assert empty.future.result(60) == {}


def test_padded_rows_keep_their_padding(engine: SlowEngine) -> None:
    batcher = Batcher(engine)
    engine.go.set()
    padded = work([1, 2, 0], [4, 0, 0], outputs=[TOKENS], padded=True)
    batcher.submit(padded)
    found = padded.future.result(60)[TOKENS]
    np.testing.assert_array_equal(found[:, 0], [2, 4, 0, 8, 0, 0])


_ROWS = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=70), max_size=6)
_OUTPUTS = st.sampled_from([(POOLED,), (TOKENS,), (OTHER, POOLED)])


@given(st.lists(st.tuples(_ROWS, _OUTPUTS, st.sampled_from("abc"), st.integers(0, 1)), max_size=8))
@settings(max_examples=60)
def test_every_work_gets_its_own(requests: list[Any]) -> None:
    engine = SlowEngine(concurrent_from=3)
    batcher = Batcher(engine)
    works = [work(*rows, outputs=outputs, key=key, priority=level) for rows, outputs, key, level in requests]
    submitted(batcher, *works)
    engine.go.set()
    for each, (rows, outputs, _, _) in zip(works, requests, strict=True):
        found = each.future.result(60)
        for output in outputs if rows else ():
            batch = Batch(
                ids=each.rows.ids, type_ids=each.rows.type_ids, offsets=each.rows.splits, rows=np.arange(len(rows))
            )
            np.testing.assert_array_equal(found[output], _output(output, batch, rows))
    assert batcher.close(60)
    assert batcher.tokens == 0
    for batch in engine.batches:
        assert len(batch) == 1 or len(batch) * max(map(len, batch)) <= engine.limits.tokens


def test_a_result_that_cannot_be_copied_fails_its_work_alone(
    engine: SlowEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    batcher = Batcher(engine)
    held(engine, batcher)
    good, bad = work([1, 2]), work([3, 4])
    submitted(batcher, good, bad)

    def put(given: Work, *arguments: Any) -> None:
        if given is bad:
            raise MemoryError
        original(given, *arguments)

    original = berthub.serving.batcher.put
    monkeypatch.setattr(berthub.serving.batcher, "put", put)
    engine.go.set()
    np.testing.assert_array_equal(good.future.result(60)[POOLED], wanted([1, 2]))
    with pytest.raises(MemoryError):
        bad.future.result(60)
    assert batcher.close(60)
    assert batcher.tokens == 0


def test_a_fault_between_batches_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = SlowEngine(concurrent_from=1)
    batcher = Batcher(engine)
    held(engine, batcher)
    calls = iter(range(100))
    charge = type(batcher._queue).charge

    def failing(*arguments: Any) -> None:
        if next(calls) == 3:
            raise RuntimeError("a fault in the queue")
        charge(*arguments)

    monkeypatch.setattr(type(batcher._queue), "charge", failing)
    works = [work([number] * (number + 1)) for number in range(1, 9)]
    submitted(batcher, *works)
    engine.go.set()
    for each in works:
        try:
            each.future.result(60)
        except RuntimeError:
            continue
    assert batcher.close(60)
    assert batcher.tokens == 0
