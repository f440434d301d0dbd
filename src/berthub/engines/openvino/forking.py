"""Make OpenVINO safe with `os.fork`: a child has none of its threads, and would wait for them for ever.

Three things keep a child from hanging. A fork waits until no call of berthub's is inside OpenVINO, so that none of the
runtime's locks is held in the child. The child forgets its compiled graphs, and compiles anew when it needs one. And
the threads of graphs that are gone, which OpenVINO keeps for the next one, are ended before the fork: there is no
telling it not to use them.
"""

import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from berthub.errors import ForkError

__all__ = ["GATE", "Gate", "leaked"]

# So long a fork waits for what runs: far longer than a batch, and than most models take to compile.
_PATIENCE = 60.0
# OpenVINO's threads look for more work for a while before they sleep, and take locks meanwhile.
_AFTERGLOW, _REST = 0.1, 0.02


class Gate:
    """A gate around OpenVINO: counts the threads inside it, and lets forks wait until there are none.

    `quiet` is called before a fork, when nobody is inside, and `reset` in the child.
    """

    def __init__(self, *, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._condition = threading.Condition()
        self._inside: dict[int, int] = {}
        self._forking: list[int] = []
        self._calm = True
        self._left = 0.0
        # Set in a child that cannot use OpenVINO.
        self._broken = False
        self.quiet: Callable[[], None] = _nothing
        self.reset: Callable[[], None] = _nothing

    @property
    def wanted(self) -> bool:
        """Whether another thread waits to fork: then come out soon."""
        return bool(self._forking) and threading.get_ident() not in self._forking

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """While this lasts no thread forks; it waits for one that is about to. It may be entered again within itself.

        `ForkError` in a child that was forked while somebody was inside all the same.
        """
        thread = threading.get_ident()
        with self._condition:
            if self._broken:
                raise ForkError(
                    "this process was forked while its parent was inside OpenVINO, which cannot be used here any more: "
                    'fork before the model is used, or start processes by "spawn" or "forkserver"'
                )
            self._condition.wait_for(lambda: thread in self._inside or not self.wanted)
            self._inside[thread] = self._inside.get(thread, 0) + 1
            here = self._inside
        try:
            yield
        finally:
            # In a child that was forked meanwhile nobody is inside.
            if here is self._inside:
                with self._condition:
                    here[thread] -= 1
                    if not here[thread]:
                        del here[thread]
                    self._left = time.monotonic()
                    self._condition.notify_all()

    def before_fork(self) -> None:
        """Wait until no thread is inside; those that want to enter have to wait."""
        thread = threading.get_ident()
        with self._condition:
            self._calm = False
            self._forking.append(thread)
            self._condition.wait_for(lambda: not self._inside.keys() - {thread}, self._patience)
            self._calm = not self._inside
        if self._calm:
            self.quiet()
            if time.monotonic() - self._left < _AFTERGLOW:
                time.sleep(_REST)

    def after_fork_in_parent(self) -> None:
        """Let threads in again."""
        with self._condition:
            self._forking.remove(threading.get_ident())
            self._condition.notify_all()

    def after_fork_in_child(self) -> None:
        """Start afresh in the child, where only the thread that forked exists."""
        self._condition = threading.Condition()
        self._inside, self._forking = {}, []
        self._broken = self._broken or not self._calm
        self.reset()


def leaked(thing: Any) -> None:
    """Keep an object for ever: destroying it, even at exit, would wait for threads that are not there."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _nothing() -> None:
    pass


GATE = Gate()
"""The gate of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=GATE.before_fork,
        after_in_parent=GATE.after_fork_in_parent,
        after_in_child=GATE.after_fork_in_child,
    )
