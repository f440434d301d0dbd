"""Threads of a job: whatever fails, in whichever of them, all end, and the error comes through."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from berthub.jobs.threads import read_ahead, written_behind

pytestmark = pytest.mark.timeout(60)


class _WrongError(Exception):
    pass


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("berthub-job")] == []


@pytest.mark.parametrize("error", [_WrongError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("place", ["reader", "block", "writer", "writer at the end"])
def test_an_error_anywhere_comes_through(place: str, error: type[BaseException]) -> None:
    closed: list[str] = []

    def items() -> Iterator[int]:
        try:
            for index in range(100):
                if place == "reader" and index == 7:
                    raise error
                yield index
        finally:
            closed.append(threading.current_thread().name)

    def consume(found: Iterator[Any]) -> None:
        for index in found:
            if place == "writer" and index == 7:
                raise error
        if place == "writer at the end":
            raise error

    def run() -> None:
        with read_ahead(items(), 2) as read, written_behind(consume, 2) as write:
            for index in read:
                if place == "block" and index == 7:
                    raise error
                write(index)

    with pytest.raises(error):
        run()
    assert closed == ["berthub-job-read"]


def test_a_reader_that_waits_is_told() -> None:
    stopping = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        stopping.wait()

    def run() -> None:
        with read_ahead(items(), 2, on_stop=stopping.set) as read:
            next(read)
            raise _WrongError

    with pytest.raises(_WrongError):
        run()


def test_a_slow_writer_holds_the_reader_back() -> None:
    given: list[int] = []

    def items() -> Iterator[int]:
        for index in range(50):
            given.append(index)
            yield index

    taken: list[int] = []

    def consume(found: Iterator[int]) -> None:
        for index in found:
            time.sleep(0.001)
            taken.append(index)
            assert len(given) - len(taken) <= 2 + 2 + 3

    with read_ahead(items(), 2) as read, written_behind(consume, 2) as write:
        for index in read:
            write(index)
    assert taken == list(range(50))
