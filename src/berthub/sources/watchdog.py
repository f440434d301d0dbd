"""Give up a connection that has become too slow.

Timeouts of a client hold between two bytes, and in the answer's headers, in a proxy's answer and in the secure
handshake as well. So a thread watches the connections: when the time is up, or too few bytes have come for a while,
it shuts them down, and whatever waits for a byte gets the end of the stream.
"""

import contextlib
import socket
import threading
import time
from typing import Any, Self

__all__ = ["Watchdog"]

_LOOKS_SECONDS = 0.25


class Watchdog:
    """Watches the connections that `adapter` makes from `with` to its end.

    `came` counts bytes. If fewer than `least_bytes` come in `window` seconds, or at `deadline` (of `time.monotonic`),
    the connections are shut down, and `why` says so; until then it is None.
    """

    def __init__(self, *, deadline: float, window: float, least_bytes: int) -> None:
        self.why: str | None = None
        self._deadline = deadline
        self._window = window
        self._least_bytes = least_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="berthub-download-watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        for connected in self._sockets:
            connected.close()

    def came(self, size: int) -> None:
        """Count `size` more bytes."""
        self._bytes += size

    def add(self, connected: socket.socket) -> None:
        """Watch a connection too. A duplicate is kept: it stands for the connection when that became a secure one."""
        with self._lock:
            self._sockets.append(connected.dup())
            if self.why is not None:
                self._shut_down()

    def adapter(self) -> Any:
        """An adapter for a session of requests, whose connections are watched."""
        from requests.adapters import HTTPAdapter
        from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
        from urllib3.poolmanager import PoolManager

        watchdog = self

        def watched(pool: Any) -> Any:
            class Connection(pool.ConnectionCls):  # type: ignore[misc]
                def _new_conn(self) -> socket.socket:
                    connected: socket.socket = super()._new_conn()
                    watchdog.add(connected)
                    return connected

            Connection.__name__ = pool.ConnectionCls.__name__  # messages show it
            return type(pool.__name__, (pool,), {"ConnectionCls": Connection})

        pools = {"http": watched(HTTPConnectionPool), "https": watched(HTTPSConnectionPool)}

        class Adapter(HTTPAdapter):
            def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
                super().init_poolmanager(*arguments, **options)
                self._watch(self.poolmanager)

            def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
                manager = super().proxy_manager_for(*arguments, **options)
                self._watch(manager)
                return manager

            @staticmethod
            def _watch(manager: PoolManager) -> None:
                # A proxy by SOCKS has pools of its own, which are left as they are.
                if manager.pool_classes_by_scheme["http"] is HTTPConnectionPool:
                    manager.pool_classes_by_scheme = pools

        return Adapter(max_retries=0)

    def _watch(self) -> None:
        since, before = time.monotonic(), self._bytes
        while not self._done.wait(_LOOKS_SECONDS):
            now = time.monotonic()
            if now >= self._deadline:
                self._stop("it took too long")
                return
            if now - since >= self._window:
                if self._bytes - before < self._least_bytes:
                    self._stop(
                        f"it was too slow: {self._bytes - before:,} bytes came in {self._window:,.0f} seconds, and at "
                        f"least {self._least_bytes:,} are asked for"
                    )
                    return
                since, before = now, self._bytes

    def _stop(self, why: str) -> None:
        with self._lock:
            self.why = why
            self._shut_down()

    def _shut_down(self) -> None:
        for connected in self._sockets:
            with contextlib.suppress(OSError):  # it is closed already
                connected.shutdown(socket.SHUT_RDWR)
