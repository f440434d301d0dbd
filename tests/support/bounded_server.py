"""A server with the bounded protocol and a tiny application, in a thread, on the loopback interface."""

import asyncio
import contextlib
import logging
import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn

from berthub.serving.accepting import AcceptingServer
from berthub.serving.bounds import Bounds
from berthub.serving.protocol import bounded_protocol

__all__ = ["LARGE", "BoundedServer", "read_answers"]

LARGE = 64 << 20


class BoundedServer:
    """uvicorn with the bounded protocol in a thread, and an application that says what it was asked."""

    def __init__(
        self, bounds: Bounds, loop: str, *, broken: bool = False, tls: tuple[Path, Path] | None = None
    ) -> None:
        self._broken = broken
        self.escaped: list[str] = []
        self._errors = logging.Handler(logging.ERROR)
        self._errors.emit = lambda record: self.escaped.append(record.getMessage())  # type: ignore[method-assign]
        self.refused: list[int] = []
        self.seen: list[str] = []
        self.go_on = threading.Event()
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            proxy_headers=False,
            http=bounded_protocol(bounds, self.refused.append),
            loop=loop,  # type: ignore[arg-type]
            lifespan="off",
            log_config=None,
            timeout_keep_alive=60,
            ssl_certfile=None if tls is None else tls[0],
            ssl_keyfile=None if tls is None else tls[1],
        )
        self._server = AcceptingServer(config, bounds)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],))

    def __enter__(self) -> "BoundedServer":
        # What escapes from a protocol is logged by the event loop, and nowhere else.
        logging.getLogger("asyncio").addHandler(self._errors)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        logging.getLogger("asyncio").removeHandler(self._errors)
        assert not self.escaped

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if self._broken:
            await self._answer(send, 500, b"broken")
            return
        if path == "/early":
            await self._answer(send, 413, b"too large")
            return
        if path == "/left":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.seen.append("gone /left")
            return
        if path == "/wait":
            while not self.go_on.is_set():
                await asyncio.sleep(0.01)
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.seen.append(f"gone {path}")
                return
            size, more = size + len(message["body"]), message["more_body"]
        names = " ".join(sorted(name.decode() for name, _ in scope["headers"]))
        self.seen.append(path)
        large = b"x" * LARGE if path == "/large" else b""
        await self._answer(send, 200, large or f"<{scope['method']} {path} {size} {names}>".encode())

    async def _answer(self, send: Any, status: int, body: bytes) -> None:
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._server.server_state.connections)

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.settimeout(20)
        return connection

    def answers(self, *parts: bytes, pause: float = 0.0) -> list[tuple[int, str]]:
        """The status and the body of each answer, until the server closes."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            return read_answers(connection)

    def serves(self) -> bool:
        return self.answers(b"GET / HTTP/1.0\r\n\r\n") == [(200, "<GET / 0 >")]


def read_answers(connection: socket.socket) -> list[tuple[int, str]]:
    content = b""
    with contextlib.suppress(ConnectionResetError):
        while received := connection.recv(1 << 16):
            content += received
    found = re.findall(rb"HTTP/1\.1 (\d+) [^\r]*\r\n.*?\r\n\r\n([^\r]*?)(?=HTTP/1\.1|$)", content, re.DOTALL)
    return [(int(status), body.decode()) for status, body in found]
