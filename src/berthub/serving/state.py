"""The state of a server: its options, its models, and what is under way; for the event loop's thread, mostly."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from berthub.serving.failures import QueueFullError
from berthub.serving.keys import ApiKeys
from berthub.serving.metrics import Metrics
from berthub.serving.models import Models
from berthub.serving.tracing import Tracing

__all__ = ["RequestLimits", "ServerState"]


@dataclass(frozen=True, kw_only=True)
class RequestLimits:
    """The bounds on requests.

    `body_bytes` and `texts` are the most of one request; `bytes` the most of all bodies and results in memory.
    `seconds` is how long a request may take that names no time of its own; None for any time. With `truncate` texts
    that are too long are truncated where a request does not say what it wants.
    """

    body_bytes: int = 8 << 20
    texts: int = 8192
    bytes: int = 1 << 30
    seconds: float | None = None
    truncate: bool = False


@dataclass(eq=False, kw_only=True)
class ServerState:
    """What the endpoints share."""

    models: Models
    metrics: Metrics
    pool: ThreadPoolExecutor
    limits: RequestLimits = field(default_factory=RequestLimits)
    keys: ApiKeys | None = None
    tracing: Tracing = field(default_factory=Tracing)
    model_control: bool = False
    # Told when a model could not be loaded at the start.
    on_failure: Callable[[BaseException], None] | None = None
    draining: bool = False
    in_flight: int = 0
    last_request: float = 0.0
    held: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def ready(self) -> bool:
        """Whether requests are taken."""
        return not self.draining and self.models.ready

    def hold(self, size: int) -> None:
        """Take room for so many bytes of a body or a result, from any thread; `QueueFullError` where there is none."""
        with self._lock:
            if self.held + size > self.limits.bytes:
                raise QueueFullError("too many large requests are under way: try again", retry_after=1)
            self.held += size

    def release(self, size: int) -> None:
        """Give room back."""
        with self._lock:
            self.held -= size
