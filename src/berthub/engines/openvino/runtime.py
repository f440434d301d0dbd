"""OpenVINO's core and what was compiled with it, across forks (see `forking`)."""

import threading
import weakref
from typing import Any, Generic, TypeVar

import openvino as ov

from berthub.engines.openvino.forking import GATE, leaked

__all__ = ["Graphs", "core"]

Key = TypeVar("Key")
Graph = TypeVar("Graph")


class Graphs(Generic[Key, Graph]):
    """The graphs that one engine has compiled. `lock` is held while compiling, inside the gate."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.compiled: dict[Key, Graph] = {}
        _RUNTIME.graphs.add(self)

    def end(self) -> None:
        """Destroy the graphs. OpenVINO keeps their threads for others."""
        if self.compiled:
            with GATE.inside():
                self.compiled.clear()
                _RUNTIME.has_spare_threads = True

    def forget(self) -> None:
        """Start afresh in a forked child. The graphs, which cannot be destroyed here, stay in memory."""
        leaked(self.compiled)
        self.lock, self.compiled = threading.Lock(), {}


class _Runtime:
    """The core, made when it is first needed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.core: ov.Core | None = None
        self.graphs: weakref.WeakSet[Graphs[Any, Any]] = weakref.WeakSet()
        # Whether the core holds threads of graphs that are gone.
        self.has_spare_threads = False

    def end(self) -> None:
        """End the core and its spare threads before a fork: a child would wait for them. Graphs are compiled again."""
        if self.has_spare_threads:
            for graphs in list(self.graphs):
                graphs.compiled.clear()
            self.core, self.has_spare_threads = None, False

    def forget(self) -> None:
        """Start afresh in a forked child."""
        for graphs in list(self.graphs):
            graphs.forget()
        if self.core is not None:
            leaked(self.core)
        self.lock, self.core, self.has_spare_threads = threading.Lock(), None, False


_RUNTIME = _Runtime()
GATE.quiet, GATE.reset = _RUNTIME.end, _RUNTIME.forget


def core() -> ov.Core:
    """The one core of this process; to be called inside the gate."""
    with _RUNTIME.lock:
        if _RUNTIME.core is None:
            _RUNTIME.core = ov.Core()
        return _RUNTIME.core
