"""uvicorn's HTTP protocol with the bounds that it lacks: sizes of headers, deadlines for slow clients, connections.

uvicorn reads headers of any size, waits for ever for a client that sends a byte a minute or never reads its answer, and
queues as many pipelined requests as arrive. Here each of them ends with an answer (400, 408, 431, 503) or a closed
connection, so that a client holds nothing but its own connection, and that not for ever.

One timer looks at all connections; a request costs no timer of its own. What is refused is answered, and then read for
a moment more: closing at once would reset the connection, and the answer could be lost on its way.
"""

import asyncio
import enum
import logging
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from berthub.serving.bounds import Bounds, Watch
from berthub.serving.joined import JoinedWrites

__all__ = ["bounded_protocol"]

_log = logging.getLogger("berthub.serving.protocol")
# Refused connections that are kept for a moment, so that their clients read why; more are closed at once.
_MOST_LINGERING = 64
_UPGRADE_HEADERS = (b"connection", b"upgrade", b"http2-settings")


def bounded_protocol(bounds: Bounds, refused: Callable[[int], None] | None = None) -> type[HttpToolsProtocol]:
    """The protocol class for one server: `uvicorn.Config(http=...)`. `refused` is told the status of each refusal."""
    watch = Watch(bounds)

    class Protocol(_BoundedProtocol):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.bounds, self.watch, self.refused = bounds, watch, refused

    return Protocol


class _Phase(enum.Enum):
    """What a connection is waited for."""

    NOTHING = enum.auto()  # between requests, or while one is computed
    HEADERS = enum.auto()
    BODY = enum.auto()
    END = enum.auto()  # refused, and read until the client closes


class _RefusedError(Exception):
    """Raised within the parser, to stop it."""


class _BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    bounds: Bounds
    watch: Watch
    refused: Callable[[int], None] | None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._phase = _Phase.HEADERS
        self._since = self.loop.time()
        self._refusal: tuple[int, str] | None = None
        self._offered_upgrade = False
        # Calls of the parser, and bytes that it took since the last one: what it may have in its own memory.
        self._calls = 0
        self._pending = 0
        self._header_bytes = 0
        self._body_bytes = 0
        self._unread = 0
        # The write buffer's size, and when it was that; it has to become smaller.
        self._written: tuple[float, int, object] | None = None
        self._closing_since: float | None = None
        self._running: RequestResponseCycle | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, unless there are too many."""
        super().connection_made(transport)
        self.watch.add(self)
        if len(self.connections) > self.bounds.connections:
            self._refuse(503, "The server has too many connections. Try again later.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.watch.connections.discard(self)
        if self._phase is _Phase.END:
            self.watch.lingering -= 1
        # uvicorn tells the request that came last, while the first of those in a row is the one that runs.
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """The client has read what there was."""
        self._written = None
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived, within the bounds."""
        self._unset_keepalive_if_required()
        if self._refusal is not None:
            self._skip(len(data))
            return
        if self._phase is _Phase.NOTHING:
            self._wait_for(_Phase.HEADERS)
        calls = self._calls
        if self._phase is _Phase.BODY:
            self._body_bytes += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            if self._refusal is None:
                self._refusal = (400, f"Invalid HTTP request: {_reason(error)}.")
            self._end()
            return
        self._pending = self._pending + len(data) if self._calls == calls else 0
        if self._pending + (self._header_bytes if self._phase is _Phase.HEADERS else 0) > self.bounds.header_bytes:
            self._refuse(*self._too_large())

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                # Clients offer HTTP/2 beside a request in HTTP/1.1. The parser stops there, with the body unread:
                # another one gets the request without the offer, and what is left.
                head = self._without_offer()
                self.parser, self._offered_upgrade = httptools.HttpRequestParser(self), False
                self.parser.feed_data(head)
                data = data[upgrade.args[0] :]

    def _without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name not in _UPGRADE_HEADERS:
                lines.append(b"%s: %s\r\n" % (name, value))
            elif name == b"connection" and b"close" in value.lower():
                lines.append(b"connection: close\r\n")
        return b"".join((*lines, b"\r\n"))

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._wait_for(_Phase.HEADERS)
        self._header_bytes = self._unread = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        self._count_header(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer behind a body: these are counted and left out, since nothing here reads them."""
        self._count_header(len(name) + len(value) + 4)
        if self._phase is _Phase.HEADERS:
            if len(self.headers) >= self.bounds.header_count:
                self._stop(431, f"The request has more than {self.bounds.header_count} headers.")
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The headers are there: refuse what another server might read otherwise, and start the application."""
        self._calls += 1
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._offered_upgrade = True
            return
        self._check_headers(self.parser.get_http_version())
        if len(self.pipeline) >= self.bounds.pipelined:
            self._stop(400, f"More than {self.bounds.pipelined} requests were sent without waiting for answers.")
        super().on_headers_complete()
        self.cycle.transport = JoinedWrites(self.transport, self.loop)  # type: ignore[assignment]
        self._wait_for(_Phase.BODY)
        self._body_bytes = 0

    def _check_headers(self, version: str) -> None:
        if self.parser.get_method() == b"CONNECT":
            self._stop(501, "This server is no proxy.")
        names = [name for name, _ in self.headers]
        encodings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if encodings and b"content-length" in names:
            self._stop(400, "The request has both Content-Length and Transfer-Encoding.")
        if encodings and (encodings != [b"chunked"] or version != "1.1"):
            self._stop(501, "The only Transfer-Encoding that is known is chunked, in HTTP/1.1.")
        if names.count(b"host") > 1 or (b"host" not in names and version == "1.1"):
            self._stop(400, "The request has to have one Host header.")
        try:
            path = httptools.parse_url(self.url).path
        except httptools.HttpParserInvalidURLError:
            path = None
        if path is None:
            self._stop(400, "The request's target is neither a path nor an address with a path.")

    def on_body(self, body: bytes) -> None:
        """A part of the body; what comes after the answer is skipped."""
        self._calls += 1
        super().on_body(body)
        if self.cycle.response_complete:
            self._skip(len(body))

    def on_message_complete(self) -> None:
        """The request is there."""
        if self._offered_upgrade:
            return
        self._wait_for(_Phase.NOTHING)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request was answered; if what came behind it was refused, that is said now, behind the whole answer."""
        if self._running is not None and isinstance(joined := self._running.transport, JoinedWrites):
            joined.flush()
        others = bool(self.pipeline)
        super().on_response_complete()
        if self._refusal is not None and self._phase is not _Phase.END and not others:
            self._answer()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # What the timer calls.

    def look(self, now: float) -> None:
        """End the connection if its client is too slow."""
        if size := self.transport.get_write_buffer_size():
            self._look_at_writing(now, size)
            return
        self._written = None
        if self.transport.is_closing():
            # Over TLS, a client has to say that it closes too.
            self._closing_since = self._closing_since or now
            if now - self._closing_since > self.bounds.linger_seconds:
                self.transport.abort()
        elif self._phase is _Phase.END:
            if now - self._since > self.bounds.linger_seconds:
                self.transport.abort()
        elif self.flow.read_paused or (self._phase is _Phase.BODY and self.cycle.waiting_for_100_continue):
            # It is not the client that is waited for.
            self._since = now
        elif self._phase is _Phase.HEADERS and now - self._since > self.bounds.header_seconds:
            if self._calls or self._pending:
                self._refuse(408, f"The headers did not arrive within {self.bounds.header_seconds:g} seconds.")
            else:
                # Browsers open connections in advance, and would take an answer for that of their next request.
                self.transport.close()
        elif self._phase is _Phase.BODY:
            seconds = self.bounds.body_seconds + self._body_bytes / self.bounds.bytes_per_second
            if now - self._since > seconds:
                self._refuse(408, f"The body did not arrive within {seconds:.3g} seconds.")

    def _look_at_writing(self, now: float, size: int) -> None:
        seconds = self.bounds.write_seconds
        if self._written is None or self._written[2] is not self.cycle:
            self._written = (now, size, self.cycle)
        elif now - self._written[0] > seconds:
            if self._written[1] - size < seconds * self.bounds.bytes_per_second:
                self.transport.abort()
            self._written = (now, size, self.cycle)

    # Refusals.

    def _wait_for(self, phase: _Phase) -> None:
        self._calls += 1
        if self._phase is not phase:
            self._phase, self._since = phase, self.loop.time()

    def _count_header(self, size: int) -> None:
        self._calls += 1
        self._header_bytes += size
        if self._header_bytes > self.bounds.header_bytes:
            self._stop(*self._too_large())

    def _too_large(self) -> tuple[int, str]:
        what = "trailers or chunk extensions" if self._phase is _Phase.BODY else "headers"
        return 431, f"The request's {what} are larger than {self.bounds.header_bytes:,} bytes."

    def _skip(self, size: int) -> None:
        self._unread += size
        if self._unread > self.bounds.unread_bytes:
            self.transport.close()

    def _stop(self, status: int, message: str) -> None:
        """Refuse, from within the parser."""
        self._refusal = (status, message)
        raise _RefusedError

    def _refuse(self, status: int, message: str) -> None:
        self._refusal = (status, message)
        self._end()

    def _end(self) -> None:
        """Answer with the refusal, now or when the requests before are answered."""
        cycle = self.cycle
        if self._phase is _Phase.BODY and not cycle.response_complete:
            # The application has the request already: for it, the client has gone.
            cycle.disconnected = True
            cycle.waiting_for_100_continue = False
            cycle.message_event.set()
            if self.pipeline:
                self.pipeline.popleft()
            elif cycle.response_started:
                self.transport.close()
            else:
                self._answer()
        elif self._phase is _Phase.BODY:
            # It has its answer, and another one would be taken for that of the next request.
            self.transport.close()
        elif cycle is None or cycle.response_complete:
            self._answer()

    def _answer(self) -> None:
        if self.transport.is_closing() or self._refusal is None:
            return
        status, message = self._refusal
        fields = {"status": status, "client": ":".join(map(str, self.client)) if self.client else None}
        _log.info("Refused: %s", message, extra={"fields": fields})
        if self.refused is not None:
            self.refused(status)
        self._unset_keepalive_if_required()
        if self.watch.lingering >= _MOST_LINGERING:
            self.transport.abort()
            return
        headers = [*self.server_state.default_headers, (b"content-type", b"text/plain; charset=utf-8")]
        headers += [(b"content-length", b"%d" % len(message)), (b"connection", b"close")]
        if status == 503:
            headers.append((b"retry-after", b"1"))
        lines = [STATUS_LINE[status], *(b"%s: %s\r\n" % header for header in headers), b"\r\n", message.encode("ascii")]
        self.transport.write(b"".join(lines))
        self._phase, self._since, self._unread = _Phase.END, self.loop.time(), 0
        self.watch.lingering += 1
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()


def _reason(error: Exception) -> str:
    """What the parser says, or which step failed, in a form that a header-like text can carry."""
    reason = str(error) if isinstance(error, httptools.HttpParserError) else ""
    return "".join(each for each in reason if " " <= each <= "~")[:200].rstrip(".") or type(error).__name__
