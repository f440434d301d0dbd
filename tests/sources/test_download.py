import contextlib
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import requests

from berthub.errors import FetchError
from berthub.sources import download as module
from berthub.sources.download import download


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_SECONDS", 0)


def fails(url: str, to: Path, shown: str = "http://host/m.zip") -> str:
    with pytest.raises(FetchError) as caught:
        download(url, to, shown=shown)
    assert shown in str(caught.value)
    return str(caught.value)


def test_the_bytes_come_as_they_are(server: Any, tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    download(server.give("/m.zip", content), tmp_path / "m", shown="m")
    assert (tmp_path / "m").read_bytes() == content


def test_a_body_without_an_announced_length(server: Any, tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"content")

    server.answers["/m.zip"] = answer
    download(server.url + "/m.zip", tmp_path / "m", shown="m")
    assert (tmp_path / "m").read_bytes() == b"content"


def test_compression_in_transit_is_not_undone(server: Any, tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        assert handler.headers["Accept-Encoding"] == "identity"
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", "7")
        handler.end_headers()
        handler.wfile.write(b"content")

    server.answers["/m.tar.gz"] = answer
    download(server.url + "/m.tar.gz", tmp_path / "m", shown="m")
    assert (tmp_path / "m").read_bytes() == b"content"


def test_a_redirect_is_followed(server: Any, tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/there")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.answers["/here"] = answer
    server.give("/there", b"content")
    download(server.url + "/here", tmp_path / "m", shown="m")
    assert (tmp_path / "m").read_bytes() == b"content"


@pytest.mark.parametrize(
    ("status", "advice"),
    [(404, "check the address"), (410, "check the address"), (403, "permission"), (418, "browser")],
)
def test_a_refusal_says_status_and_advice(status: int, advice: str, server: Any, tmp_path: Path) -> None:
    message = fails(server.give("/m.zip", b"", status=status), tmp_path / "m")
    assert f"HTTP status {status}" in message
    assert advice in message
    assert len(server.asked) == 1


def test_a_server_that_recovers_is_asked_again(server: Any, tmp_path: Path) -> None:
    url = server.give("/m.zip", b"content")
    good = server.answers["/m.zip"]
    server.give("/m.zip", b"", status=500)
    bad = server.answers["/m.zip"]
    server.answers["/m.zip"] = lambda handler: (bad if len(server.asked) < 3 else good)(handler)
    download(url, tmp_path / "m", shown="m")
    assert len(server.asked) == 3
    assert (tmp_path / "m").read_bytes() == b"content"


def test_a_server_that_does_not_recover(server: Any, tmp_path: Path) -> None:
    message = fails(server.give("/m.zip", b"", status=503), tmp_path / "m")
    assert "HTTP status 503" in message
    assert "failed 5 times" in message
    assert len(server.asked) == 5


def test_a_truncated_body(server: Any, tmp_path: Path) -> None:
    message = fails(server.give("/m.zip", b"short", announced=1000), tmp_path / "m")
    assert "try again" in message


def test_no_server(tmp_path: Path, server: Any) -> None:
    server.close()
    message = fails(server.url + "/m.zip?token=secret", tmp_path / "m")
    assert "network" in message
    assert "secret" not in message
    server.close = lambda: None


@pytest.mark.parametrize("announce", [True, False])
def test_a_size_limit(announce: bool, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DOWNLOAD_BYTES", 1000)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if announce:
            handler.send_header("Content-Length", "2000")
        handler.end_headers()
        handler.wfile.write(bytes(2000))

    server.answers["/m.zip"] = answer
    assert "larger than 1,000 bytes" in fails(server.url + "/m.zip", tmp_path / "m")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/\udcff.zip", "http://a..b/m.zip", f"http://{'a' * 70}.x/m.zip"])
def test_odd_addresses(url: str, tmp_path: Path) -> None:
    fails(url, tmp_path / "m")


class Breaking:
    """A server that gives `first` bytes of the content and breaks off, and goes on when it is asked for a range."""

    def __init__(self, content: bytes, *, first: int, headers: dict[str, str], ranges: bool = True) -> None:
        self.content, self.first, self.headers, self.ranges = content, first, headers, ranges
        self.asked: list[tuple[str | None, str | None]] = []

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        wanted, condition = handler.headers["Range"], handler.headers["If-Range"]
        self.asked.append((wanted, condition))
        begin = int(wanted[6:-1]) if wanted and self.ranges and condition in self.headers.values() else 0
        handler.send_response(206 if begin else 200)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        if begin:
            handler.send_header("Content-Range", f"bytes {begin}-{len(self.content) - 1}/{len(self.content)}")
        handler.send_header("Content-Length", str(len(self.content) - begin))
        handler.end_headers()
        handler.wfile.write(self.content[begin : begin + self.first])


CONTENT = bytes(range(251)) * 20_000


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": '"one"'},
        {"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"},
        {"ETag": 'W/"weak"', "Last-Modified": "then"},
    ],
)
def test_a_break_is_gone_on_behind(headers: dict[str, str], server: Any, tmp_path: Path) -> None:
    breaking = Breaking(CONTENT, first=1_300_000, headers=headers)
    server.answers["/m.zip"] = breaking
    download(server.url + "/m.zip", tmp_path / "m", shown="m")
    assert (tmp_path / "m").read_bytes() == CONTENT
    assert len(breaking.asked) == 4
    assert breaking.asked[0] == (None, None)
    for wanted, condition in breaking.asked[1:]:
        assert wanted != "bytes=0-"
        assert condition in headers.values()
        assert condition != 'W/"weak"'


@pytest.mark.parametrize(("headers", "ranges"), [({}, True), ({"ETag": '"one"'}, False)])
def test_without_a_promise_of_the_same_content_it_begins_anew(
    headers: dict[str, str], ranges: bool, server: Any, tmp_path: Path
) -> None:
    breaking = Breaking(CONTENT, first=400_000, headers=headers, ranges=ranges)
    server.answers["/m.zip"] = breaking
    message = fails(server.url + "/m.zip", tmp_path / "m")
    assert len(breaking.asked) == 5
    assert "Connection" in message or "Incomplete" in message
    breaking.first = len(CONTENT)
    (tmp_path / "m").unlink()
    download(server.url + "/m.zip", tmp_path / "m", shown="m")
    assert (tmp_path / "m").read_bytes() == CONTENT


def test_content_that_changed_meanwhile_is_not_mixed(server: Any, tmp_path: Path) -> None:
    breaking = Breaking(CONTENT, first=1_500_000, headers={"ETag": '"one"'})

    def answer(handler: BaseHTTPRequestHandler) -> None:
        breaking(handler)
        breaking.content, breaking.headers, breaking.first = CONTENT[::-1], {"ETag": '"two"'}, len(CONTENT)

    server.answers["/m.zip"] = answer
    download(server.url + "/m.zip", tmp_path / "m", shown="m")
    assert breaking.asked[1][1] == '"one"'
    assert (tmp_path / "m").read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("said", ["bytes 0-9/10", "bytes 7-9/10", "lines 5-9/10", None])
def test_a_range_that_was_not_asked_for_is_not_added(said: str | None, server: Any, tmp_path: Path) -> None:
    asked = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.headers["Range"])
        handler.send_response(206 if asked[-1] else 200)
        handler.send_header("ETag", '"one"')
        if asked[-1] and said:
            handler.send_header("Content-Range", said)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        handler.wfile.write(b"01234" if len(asked) < 3 else b"0123456789")

    server.answers["/m.zip"] = answer
    download(server.url + "/m.zip", tmp_path / "m", shown="m")
    assert asked == [None, "bytes=5-", None]
    assert (tmp_path / "m").read_bytes() == b"0123456789"


def drip(handler: BaseHTTPRequestHandler, *, headers: bool) -> None:
    """A byte now and then, for ever (until nobody listens)."""
    if headers:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
    else:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    with contextlib.suppress(OSError):
        for _ in range(600):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)


@pytest.mark.parametrize("headers", [True, False], ids=["in the body", "in the headers"])
def test_a_byte_now_and_then_is_too_slow(
    headers: bool, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLOWEST_WINDOW_SECONDS", 0.5)
    monkeypatch.setattr(module, "RETRIES", 1)
    asked = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        drip(handler, headers=headers)

    server.answers["/m.zip"] = answer
    message = fails(server.url + "/m.zip", tmp_path / "m")
    assert "it was too slow" in message
    assert len(asked) == 2


def test_the_deadline_ends_what_is_fast_enough(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SECONDS", 1.0)
    monkeypatch.setattr(module, "SLOWEST_BYTES", 1)
    server.answers["/m.zip"] = lambda handler: drip(handler, headers=True)
    assert "it took too long" in fails(server.url + "/m.zip", tmp_path / "m")
    assert len(server.asked) == 1


def test_no_thread_and_no_connection_stays(server: Any, tmp_path: Path) -> None:
    download(server.give("/m.zip", b"content"), tmp_path / "m", shown="m")
    assert [thread for thread in threading.enumerate() if "watchdog" in thread.name] == []


def redirect(server: Any, path: str, location: str) -> str:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.answers[path] = answer
    return server.url + path


@pytest.mark.parametrize("location", ["http://[::1", "http://host:port/x", "ftp://host/x", "file:///etc/passwd"])
def test_a_redirect_to_nowhere(location: str, server: Any, tmp_path: Path) -> None:
    assert "no valid http(s) address" in fails(redirect(server, "/m.zip", location), tmp_path / "m")
    assert len(server.asked) == 1


def test_redirects_are_counted(server: Any, tmp_path: Path) -> None:
    assert "more than 10 times" in fails(redirect(server, "/m.zip", "/m.zip"), tmp_path / "m")
    assert len(server.asked) == 11


def test_a_redirect_from_https_to_http_is_refused() -> None:
    response = requests.Response()
    response.headers["Location"] = "http://example.org/m.zip?sig=secret"
    wanted = module._Wanted("https://example.org/m.zip", "m", deadline=0)
    with pytest.raises(FetchError, match="from https to http") as caught:
        module._target(response, wanted.url, wanted)
    assert "secret" not in str(caught.value)


def test_a_password_goes_to_its_own_server_alone(server: Any, tmp_path: Path) -> None:
    seen = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        handler.send_response(200)
        handler.send_header("Content-Length", "1")
        handler.end_headers()
        handler.wfile.write(b"x")

    server.answers["/there"] = answer
    port = server.url.rpartition(":")[2]
    redirect(server, "/here", "/there")
    redirect(server, "/away", f"http://localhost:{port}/there")
    for number, path in enumerate(("/here", "/away")):
        download(f"http://user:word@127.0.0.1:{port}{path}", tmp_path / str(number), shown="m")
    assert seen == ["Basic dXNlcjp3b3Jk", None]


@pytest.mark.parametrize("length", ["9" * 5000, "5, 5", "-1", "x", "²"])
def test_an_odd_length_is_no_length(length: str, server: Any, tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: " + length.encode("latin-1") + b"\r\n\r\nhello")

    server.answers["/m.zip"] = answer
    with contextlib.suppress(FetchError):
        download(server.url + "/m.zip", tmp_path / "m", shown="m")
        assert (tmp_path / "m").read_bytes() == b"hello"


@pytest.mark.parametrize("proxy", ["http://[::1", "http://user:secret@[::1", "foo://user:secret@h", "http://:0"])
def test_a_malformed_proxy_is_a_fetch_error(proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(FetchError) as caught:
        download("http://example.invalid/m.zip", tmp_path / "m", shown="m")
    assert "secret" not in "".join(traceback.format_exception(caught.value))
