from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from berthub.errors import FetchError
from berthub.hub import download as module
from berthub.hub.download import download


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
