"""Give the memory of mapped weights back to the system while OpenVINO compiles a model, which copies them."""

import contextlib
import mmap
import threading
from collections.abc import Iterator

from berthub.checkpoint import Weights

__all__ = ["given_back"]

# Often enough that little comes together, seldom enough to cost nothing: a page that is needed again is in the
# system's file cache.
_SECONDS = 0.01


@contextlib.contextmanager
def given_back(weights: Weights) -> Iterator[None]:
    """A context in which, and at whose end, pages of mapped files are given back to the system.

    Without it a process holds a model twice, in the file's format and in OpenVINO's. Maps are read-only, so nothing is
    lost; where the system cannot take pages back, nothing happens.
    """
    maps = list({id(found): found for weight in weights.values() if (found := _map(weight)) is not None}.values())
    if not maps or not hasattr(mmap, "MADV_DONTNEED"):
        yield
        return

    def give_back() -> None:
        for each in maps:
            each.madvise(mmap.MADV_DONTNEED)

    done = threading.Event()

    def again_and_again() -> None:
        while not done.wait(_SECONDS):
            give_back()

    thread = threading.Thread(target=again_and_again, name="berthub-pages", daemon=True)
    give_back()
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        give_back()


def _map(array: object) -> mmap.mmap | None:
    """The mapped file that an array is a view of."""
    while array is not None and not isinstance(array, mmap.mmap):
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
    return array
