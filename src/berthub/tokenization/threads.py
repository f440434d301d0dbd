"""On how many threads texts are cut, whichever library cuts them, and what each of them does in its turn."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_turn", "thread_count"]

In = TypeVar("In")
Out = TypeVar("Out")


def thread_count() -> int:
    """As many as the tokenizers library has, by the variables that it reads; else as there are processors."""
    if os.environ.get("TOKENIZERS_PARALLELISM", "").lower() in ("0", "f", "false", "n", "no", "off"):
        return 1
    count = os.environ.get("RAYON_NUM_THREADS", "")
    if count.isdecimal() and int(count):
        return int(count)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_turn(do: Callable[[In], Out], parts: Sequence[In]) -> Iterable[Out]:
    """`map(do, parts)`, two at a time: while a library works on one, without Python's lock, Python can on another.

    A byte of English takes 29 ns in Python, and 400 in the library: on 14 cores, as much.
    """
    if len(parts) < 2 or thread_count() < 2:
        return map(do, parts)
    with ThreadPoolExecutor(2) as pool:
        return [*pool.map(do, parts)]
