"""Read ahead and write behind in threads, with a bounded number of things under way, and errors that come through."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

__all__ = ["StoppedError", "read_ahead", "written_behind"]

T = TypeVar("T")

# So long a thread waits at a time: on Windows, and where another thread took the signal, no interrupt ends a wait.
_SECONDS = 1.0


class StoppedError(Exception):
    """The other side has stopped: nothing more is taken, or given."""


class _Channel(Generic[T]):
    """Items from one thread to another, at most `size` of them waiting."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._ended = self._stopped = False
        self._error: BaseException | None = None

    def put(self, item: T) -> None:
        """Give an item, as soon as there is room; the error of the taking side is raised here."""
        with self._changed:
            while len(self._items) >= self._size and not self._stopped:
                self._changed.wait(_SECONDS)
            if self._stopped:
                raise self._error or StoppedError
            self._items.append(item)
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """The items until the end; the error of the giving side is raised here, after the items before it."""
        while True:
            with self._changed:
                while not (self._items or self._ended or self._stopped):
                    self._changed.wait(_SECONDS)
                if self._stopped:
                    raise StoppedError
                if not self._items:
                    if self._error is not None:
                        raise self._error
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item

    def end(self, error: BaseException | None = None) -> None:
        """Say, on the giving side, that nothing more comes, perhaps because of an error."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def stop(self, error: BaseException | None = None) -> None:
        """Stop both sides at once, perhaps because of an error on the taking side."""
        with self._changed:
            self._stopped = True
            self._error = self._error or error
            self._changed.notify_all()

    @property
    def error(self) -> BaseException | None:
        """The error of the other side, if there was one."""
        return self._error


@contextlib.contextmanager
def read_ahead(items: Iterator[T], count: int, *, on_stop: Callable[[], None] = lambda: None) -> Iterator[Iterator[T]]:
    """Take items in a thread, `count` of them ahead of those that are used; the thread ends with the block.

    `on_stop` is called when the block ends, before the thread is waited for.
    """
    channel: _Channel[T] = _Channel(count)

    def give() -> None:
        try:
            for item in items:
                channel.put(item)
        except StoppedError:
            pass
        except BaseException as error:
            channel.end(error)
            return
        finally:
            # What it has open is closed now, and in its thread.
            if isinstance(items, Generator):
                items.close()
        channel.end()

    thread = threading.Thread(target=give, name="berthub-job-read", daemon=True)
    try:
        thread.start()
        yield iter(channel)
    finally:
        on_stop()
        channel.stop()
        if thread.is_alive():
            thread.join()


@contextlib.contextmanager
def written_behind(consume: Callable[[Iterator[T]], None], count: int) -> Iterator[Callable[[T], None]]:
    """A function that hands items to `consume`, which runs in a thread; at most `count` of them wait.

    The block ends when all are consumed. When it fails, `consume` gets a `StoppedError` from its iterator. Errors of
    `consume` are raised in the block, by the next call of the function or at the end.
    """
    channel: _Channel[T] = _Channel(count)

    def take() -> None:
        try:
            consume(iter(channel))
        except StoppedError:
            pass
        except BaseException as error:
            channel.stop(error)

    thread = threading.Thread(target=take, name="berthub-job-write", daemon=True)
    try:
        thread.start()
        yield channel.put
        channel.end()
        thread.join()
    except BaseException:
        channel.stop()
        if thread.is_alive():
            thread.join()
        raise
    if channel.error is not None:
        raise channel.error
