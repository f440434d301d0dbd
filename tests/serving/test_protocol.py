"""The bounds of uvicorn's protocol, by raw bytes on a socket, on both event loops."""

import contextlib
import dataclasses
import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from berthub.serving.bounds import Bounds
from support.bounded_server import LARGE, BoundedServer, read_answers
from support.needs import needs

_LOOPS = ["asyncio", pytest.param("uvloop", marks=needs("uvloop"))]
_HOST = b"Host: here\r\n"
_BOUNDS = Bounds(header_bytes=8192, header_count=20, pipelined=10, unread_bytes=100_000)
# For clients that are too slow; what is not slow in these tests takes milliseconds.
_IMPATIENT = dataclasses.replace(
    _BOUNDS, header_seconds=0.3, body_seconds=0.3, write_seconds=0.3, linger_seconds=0.2, bytes_per_second=1 << 20
)


def _answered(connection: socket.socket) -> bool:
    connection.sendall(_get())
    content = b""
    while not content.endswith(b">"):
        received = connection.recv(1000)
        assert received
        content += received
    return content.startswith(b"HTTP/1.1 200")


@pytest.fixture(scope="module", params=_LOOPS)
def server(request: pytest.FixtureRequest) -> Iterator[BoundedServer]:
    with BoundedServer(_BOUNDS, request.param) as server:
        yield server
        assert server.serves()


@pytest.fixture(scope="module", params=_LOOPS)
def impatient(request: pytest.FixtureRequest) -> Iterator[BoundedServer]:
    with BoundedServer(_IMPATIENT, request.param) as server:
        yield server
        assert server.serves()


def _get(path: bytes = b"/", more: bytes = b"") -> bytes:
    return b"GET %s HTTP/1.1\r\n%s%s\r\n" % (path, _HOST, more)


def _post(headers: bytes, body: bytes, path: bytes = b"/") -> bytes:
    return b"POST %s HTTP/1.1\r\n%s%s\r\n%s" % (path, _HOST, headers, body)


_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_CLOSE = b"Connection: close\r\n"
_OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (_get(more=_CLOSE), "<GET / 0 connection host>"),
        (_get(b"http://other:80/path?q=1", _CLOSE), "<GET /path 0 connection host>"),
        (b"OPTIONS * HTTP/1.1\r\n" + _HOST + _CLOSE + b"\r\n", "<OPTIONS * 0 connection host>"),
        (_post(b"Content-Length: 5\r\n" + _CLOSE, b"hello"), "<POST / 5 connection content-length host>"),
        (_post(_CHUNKED + _CLOSE, b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"), "<POST / 3 connection host transfer-encoding>"),
    ],
)
def test_what_is_right_is_answered(server: BoundedServer, request_: bytes, answer: str) -> None:
    assert server.answers(request_) == [(200, answer)]
    assert server.answers(*(request_[index : index + 1] for index in range(len(request_)))) == [(200, answer)]


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        (b"\x00\x01\x02\r\n\r\n", 400, "Invalid method"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "one Host header"),
        (_get(more=_HOST), 400, "one Host header"),
        (_get(b"http://other"), 400, "neither a path nor an address"),
        (b"CONNECT here:443 HTTP/1.1\r\n" + _HOST + b"\r\n", 501, "no proxy"),
        (b"CONNECT / HTTP/1.1\r\n" + _HOST + b"\r\n", 501, "no proxy"),
        (_get(b"/\xff"), 400, "url path"),
        (_get(more=b"X: a\r\n b\r\n"), 400, "whitespace"),
        (_get(more=b"X: a\x00b\r\n"), 400, "header value"),
        (_get(more=b"X : a\r\n"), 400, "header"),
        (b"GET / HTTP/1.1\nHost: here\n\n", 400, "CRLF"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "PRI"),
        # Two servers in a row must not disagree about where a request ends.
        (_post(b"Content-Length: 5\r\n" + _CHUNKED, b"0\r\n\r\n"), 400, "Transfer-Encoding can't be present"),
        (_post(_CHUNKED + b"Content-Length: 5\r\n", b"0\r\n\r\n"), 400, "Content-Length can't be present"),
        (_post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello"), 400, "Duplicate Content-Length"),
        (_post(b"Content-Length: +5\r\n", b"hello"), 400, "Content-Length"),
        (_post(b"Content-Length: 5, 5\r\n", b"hello"), 400, "Content-Length"),
        (_post(_CHUNKED + _CHUNKED, b"0\r\n\r\n"), 400, "Transfer-Encoding"),
        (_post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"), 501, "chunked"),
        (_post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"), 501, "chunked"),
        (b"POST / HTTP/1.0\r\n" + _CHUNKED + b"\r\n0\r\n\r\n", 501, "chunked"),
        (_post(_CHUNKED, b"zz\r\n"), 400, "chunk size"),
        (_post(_CHUNKED, b"ffffffffffffffffff\r\n"), 400, "[Cc]hunk size"),
        # Sizes.
        (_get(b"/" + b"a" * 9000), 431, "larger than 8,192 bytes"),
        (_get(more=b"X: " + b"a" * 9000 + b"\r\n"), 431, "larger than 8,192 bytes"),
        (_get(more=b"X: " + b"a" * 300 + b"\r\n" + b"Y: %s\r\n" % (b"b" * 8000)), 431, "larger than 8,192 bytes"),
        (_get(more=b"X: a\r\n" * 20), 431, "more than 20 headers"),
        (b"\r\n" * 5000, 431, "larger than 8,192 bytes"),
        (_post(_CHUNKED, b"1\r\na\r\n0\r\n" + b"X: abcdefgh\r\n" * 2000), 431, "trailers or chunk extensions"),
    ],
)
def test_what_is_wrong_is_refused(server: BoundedServer, request_: bytes, status: int, message: str) -> None:
    del server.refused[:]
    ((found, body),) = server.answers(request_)
    assert found == status
    assert re.search(message, body)
    assert server.refused == [status]
    # In pieces as they arrive over a network, a parser keeps what it has of a header.
    pieces = [request_[index : index + 700] for index in range(0, len(request_), 700)]
    with contextlib.suppress(ConnectionError):
        assert [found for found, _ in server.answers(*pieces, pause=0.001)] == [status]


def test_a_header_that_never_ends_is_not_kept(server: BoundedServer) -> None:
    with server.connect() as connection:
        sent = 0
        connection.sendall(_get()[:-2] + b"X: ")
        with contextlib.suppress(ConnectionError):
            while sent < 1 << 26:
                connection.sendall(b"x" * 4096)
                sent += 4096
        # What the system's buffers hold, and what is read for a moment after the refusal.
        assert sent < 1 << 25


@pytest.mark.parametrize("start", [b"1;", b"1\r\na\r\n0\r\nX: "])
def test_trailers_and_chunk_extensions_that_never_end(server: BoundedServer, start: bytes) -> None:
    ((status, message),) = server.answers(_post(_CHUNKED, start), *[b"x" * 1000] * 20, pause=0.002)
    assert status == 431
    assert "trailers or chunk extensions are larger than 8,192 bytes" in message


def test_trailers_are_no_headers(server: BoundedServer) -> None:
    trailers = _post(_CHUNKED + _CLOSE, b"1\r\na\r\n0\r\nX-Trailer: a\r\n\r\n")
    assert server.answers(trailers) == [(200, "<POST / 1 connection host transfer-encoding>")]


def test_offers_of_other_protocols_are_ignored(server: BoundedServer) -> None:
    body = _post(_OFFER + b"Content-Length: 5\r\n", b"hello")
    answers = server.answers(_get(more=_OFFER) + body * 2 + _get(b"/last", _CLOSE))
    assert [body.split()[:3] for _, body in answers] == [
        ["<GET", "/", "0"],
        ["<POST", "/", "5"],
        ["<POST", "/", "5"],
        ["<GET", "/last", "0"],
    ]
    websocket = b"Connection: close, Upgrade\r\nUpgrade: websocket\r\n"
    assert server.answers(_get(more=websocket)) == [(200, "<GET / 0 connection host>")]
    # Each byte by itself, and a body that is none.
    assert server.answers(*(body[index : index + 1] for index in range(len(body))), _get(more=_CLOSE))[0][0] == 200
    assert server.answers(_post(_OFFER + _CHUNKED, b"zz\r\n"))[0][0] == 400


def test_pipelined_requests_are_answered_in_order(server: BoundedServer) -> None:
    paths = [b"/%d" % number for number in range(10)]
    answers = server.answers(b"".join(map(_get, paths)) + _get(b"/last", _CLOSE))
    assert [body.split()[1] for _, body in answers] == [*(path.decode() for path in paths), "/last"]


def test_what_is_refused_waits_for_the_answers_before(server: BoundedServer) -> None:
    for wrong in (b"\0\0\0", _post(_CHUNKED, b"zz\r\n", b"/wrong")):
        assert [status for status, _ in server.answers(_get() * 3 + wrong)] == [200, 200, 200, 400]
    assert "/wrong" not in server.seen
    answers = server.answers(_get() * 1000)
    assert [status for status, _ in answers] == [200] * 11 + [400]
    assert "More than 10 requests" in answers[-1][1]


def test_what_is_refused_waits_for_the_end_of_an_answer_without_a_body(server: BoundedServer) -> None:
    """Its head is held for a moment, since a body might follow."""
    head = b"HEAD / HTTP/1.1\r\n" + _HOST + b"\r\n"
    assert [status for status, _ in server.answers(head + b"\0\0\0")] == [200, 400]


def test_the_request_that_runs_is_told_that_its_client_left(server: BoundedServer) -> None:
    """Also when others wait behind it; uvicorn tells the last one."""
    del server.seen[:]
    with server.connect() as connection:
        connection.sendall(_get(b"/left") * 3)
        time.sleep(0.05)
    until = time.monotonic() + 20
    while not server.seen and time.monotonic() < until:
        time.sleep(0.01)
    assert server.seen == ["gone /left"]


def test_a_body_that_breaks_ends_its_request(server: BoundedServer) -> None:
    del server.seen[:]
    assert server.answers(_post(_CHUNKED, b"1\r\na\r\n", b"/broken"), b"zz\r\n", pause=0.1)[0][0] == 400
    assert server.seen == ["gone /broken"]
    expecting = _post(b"Expect: 100-continue\r\n" + _CHUNKED, b"zz\r\n", b"/broken")
    assert [status for status, _ in server.answers(expecting)] == [400]
    # The client may read that before the application is told.
    until = time.monotonic() + 20
    while len(server.seen) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert server.seen == ["gone /broken"] * 2


def test_the_rest_of_a_body_is_read_up_to_a_bound_after_its_answer(server: BoundedServer) -> None:
    small = _post(b"Content-Length: 1000\r\n", b"x" * 1000, b"/early")
    assert [status for status, _ in server.answers(small * 2 + _get(more=_CLOSE))] == [413, 413, 200]
    with server.connect() as connection:
        connection.sendall(_post(b"Content-Length: 100000000\r\n", b"", b"/early"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")
        with pytest.raises(ConnectionError):
            connection.sendall(b"x" * 100_000_000)


def test_a_client_that_sends_headers_slowly(impatient: BoundedServer) -> None:
    del impatient.refused[:]
    with impatient.connect() as connection:
        with contextlib.suppress(ConnectionError):
            for byte in _get(more=b"X: %s\r\n" % (b"a" * 300)):
                connection.sendall(bytes([byte]))
                time.sleep(0.01)
        assert read_answers(connection)[0][0] == 408
    assert impatient.refused == [408]
    # Also behind a request that was answered.
    assert [status for status, _ in impatient.answers(_get() + b"GET / HT")] == [200, 408]
    assert impatient.answers(b"\r\n")[0][0] == 408


def test_a_connection_that_sends_nothing_is_closed_without_a_word(impatient: BoundedServer) -> None:
    assert impatient.answers() == []


def test_a_client_that_sends_its_body_slowly(impatient: BoundedServer) -> None:
    del impatient.seen[:]
    with impatient.connect() as connection:
        connection.sendall(_post(b"Content-Length: 1000\r\n", b"", b"/body"))
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                connection.sendall(b"x")
                time.sleep(0.01)
        answers = read_answers(connection)
    assert answers[0][0] == 408
    assert impatient.seen == ["gone /body"]
    # The answer is there: nothing more is said.
    assert [status for status, _ in impatient.answers(_post(b"Content-Length: 10\r\n", b"", b"/early"))] == [413]


def test_a_request_may_take_its_time(impatient: BoundedServer) -> None:
    """Deadlines are about clients: not while the application computes, or has not asked for the body yet."""
    impatient.go_on.clear()
    later = threading.Timer(0.7, impatient.go_on.set)
    later.start()
    with impatient.connect() as connection:
        body = b"x" * 500_000
        connection.sendall(_post(b"Content-Length: 1000000\r\n" + _CLOSE, body, b"/wait"))
        later.join()
        connection.sendall(body)
        assert read_answers(connection)[0][1].startswith("<POST /wait 1000000")


def test_a_client_that_never_reads(impatient: BoundedServer) -> None:
    for more in (b"", _CLOSE):
        with impatient.connect() as connection:
            connection.sendall(_get(b"/large", more))
            assert connection.recv(8) == b"HTTP/1.1"
            while impatient.connections:
                time.sleep(0.01)
            size = 0
            with contextlib.suppress(ConnectionResetError):
                while received := connection.recv(1 << 20):
                    size += len(received)
            assert size < LARGE


def test_a_client_that_reads_gets_all(server: BoundedServer) -> None:
    with server.connect() as connection:
        connection.sendall(_get(b"/large", _CLOSE))
        size = 0
        while received := connection.recv(1 << 20):
            size += len(received)
    assert size > LARGE


@pytest.mark.parametrize("loop", _LOOPS)
def test_connections_are_bounded(loop: str) -> None:
    with BoundedServer(dataclasses.replace(_BOUNDS, connections=3, linger_seconds=0.2), loop) as server:
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                connection = stack.enter_context(server.connect())
                assert _answered(connection)
            for _ in range(100):
                with contextlib.suppress(ConnectionError):
                    assert [status for status, _ in server.answers(_get())] in ([503], [])
            assert server.refused == [503] * 100
            # Those that have one go on.
            assert _answered(connection)
        while server.connections:
            time.sleep(0.01)
        assert server.serves()


def test_as_many_connections_as_files_may_be_open() -> None:
    assert 64 <= Bounds.within_open_files().connections <= 10_000
