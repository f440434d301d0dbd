"""What the worker processes of Ray hold: a model that is loaded once in each, with the threads that Ray assigned."""

import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from berthub.encoding.encoder import Encoder
from berthub.encoding.load import load_encoder

__all__ = ["Loaded", "assigned_threads", "loaded"]

# A pipeline has one or two models; more would fill the memory of a worker that serves many.
_MOST = 2

_LOCK = threading.Lock()
_LOADED: dict[str, "Loaded"] = {}


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model in this process. `said` are the kinds of warnings that were given for it."""

    encoder: Encoder
    said: set[str] = field(default_factory=set)


def loaded(options: Mapping[str, Any]) -> Loaded:
    """The model that `berthub.load` makes of `options`, loaded when this process first asks for it.

    Without `threads` it computes with as many threads as Ray assigned to the process, in a worker of Ray.
    """
    threads = options["threads"]
    if threads is None:
        threads = assigned_threads()
    key = repr(sorted({**options, "threads": threads}.items()))
    # Threads of one process wait here: loading twice would cost more.
    with _LOCK:
        found = _LOADED.pop(key, None)
        if found is None:
            if threads is not None:
                # The tokenizers library asks for this when it first tokenizes. Ray does so for OpenMP.
                os.environ.setdefault("RAYON_NUM_THREADS", str(threads))
            while len(_LOADED) >= _MOST:
                del _LOADED[next(iter(_LOADED))]
            found = Loaded(load_encoder(**{**options, "threads": threads}))
        _LOADED[key] = found
    return found


def assigned_threads() -> int | None:
    """The number of processors that Ray assigned to this worker, at least 1; None in any other process."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    context = ray.get_runtime_context()
    if context.worker.mode != ray.WORKER_MODE:
        return None
    return max(int(context.get_assigned_resources().get("CPU", 1)), 1)
