"""What a connection may take, and the timer that looks whether its client is too slow."""

import asyncio
import sys
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Bounds", "Watch"]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a connection may take: bytes, seconds, and how many connections there may be.

    A body, and an answer that is read, may take the given seconds and one more for every `bytes_per_second`.
    """

    header_bytes: int = 32 * 1024
    header_count: int = 100
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    write_seconds: float = 30.0
    bytes_per_second: int = 1024
    connections: int = 800
    pipelined: int = 100
    # Of a body whose request is answered already.
    unread_bytes: int = 1 << 20
    # For a client to read why it was refused.
    linger_seconds: float = 1.0

    @classmethod
    def within_open_files(cls) -> "Bounds":
        """The defaults, with as many connections (up to 10,000) as this process may open files, less 200 for others."""
        if sys.platform == "win32":
            return cls()
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = 10_200 if soft == resource.RLIM_INFINITY else soft
        return cls(connections=max(64, min(10_000, files - 200)))


class Watched(Protocol):
    """A connection, as the timer sees it."""

    loop: asyncio.AbstractEventLoop

    def look(self, now: float) -> None:
        """End the connection if its client is too slow."""


class Watch:
    """The one timer: it looks at all connections of a server, while there are any."""

    def __init__(self, bounds: Bounds) -> None:
        self.connections: set[Watched] = set()
        self.lingering = 0
        shortest = min(bounds.header_seconds, bounds.body_seconds, bounds.write_seconds, bounds.linger_seconds)
        self._seconds = max(0.01, min(1.0, shortest / 4))
        self._running = False

    def add(self, connection: Watched) -> None:
        """Look at this connection too."""
        self.connections.add(connection)
        if not self._running:
            self._running = True
            connection.loop.call_later(self._seconds, self._look, connection.loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in list(self.connections):
            connection.look(now)
        self._running = bool(self.connections)
        if self._running:
            loop.call_later(self._seconds, self._look, loop)
