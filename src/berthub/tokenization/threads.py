"""How many threads tokenize, and a `map` over chunks of texts that uses two of them."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from berthub.cores import core_count

__all__ = ["map_concurrently", "thread_count"]

In = TypeVar("In")
Out = TypeVar("Out")


def thread_count() -> int:
    """The number of threads: what the tokenizers library's environment variables say, else one for each processor."""
    if os.environ.get("TOKENIZERS_PARALLELISM", "").lower() in ("0", "f", "false", "n", "no", "off"):
        return 1
    count = os.environ.get("RAYON_NUM_THREADS", "")
    if count.isdecimal() and int(count):
        return int(count)
    return core_count()


def map_concurrently(do: Callable[[In], Out], parts: Sequence[In]) -> Iterable[Out]:
    """`map(do, parts)` with two parts at a time, in the order of `parts`.

    While a library tokenizes one part without Python's lock, Python prepares the other. A byte of English takes 29 ns
    in Python and 400 ns in the library: on 14 cores, as long.
    """
    if len(parts) < 2 or thread_count() < 2:
        return map(do, parts)
    with ThreadPoolExecutor(2) as pool:
        return [*pool.map(do, parts)]
