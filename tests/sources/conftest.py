import base64
import contextlib
import hashlib
import io
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from support.hub import Hub

FILES = {"saved_model.pb": b"\x08\x01", "variables/variables.index": b"index", "assets/vocab.txt": b"[PAD]\n"}


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The user's settings must not reach the tests, nor the tests the user's cache."""
    for name in ("BERTHUB_OFFLINE", "HF_HUB_OFFLINE", "TFHUB_CACHE_DIR", "KAGGLEHUB_VERBOSITY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE", "SENTENCE_TRANSFORMERS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BERTHUB_CACHE", str(tmp_path / "default-cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-huggingface"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "no-kagglehub"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def make_zip(tmp_path: Path) -> Callable[..., Path]:
    def make(files: Mapping[str, bytes] = FILES, name: str = "model.zip") -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            for member, content in files.items():
                out.writestr(member, content)
        return path

    return make


@pytest.fixture
def make_wheel(make_zip: Callable[..., Path]) -> Callable[..., Path]:
    def make(files: Mapping[str, bytes] = FILES, name: str = "model.whl") -> Path:
        lines = [f"{member},sha256={urlsafe_sha256(content)},{len(content)}" for member, content in files.items()]
        record = "m-1.dist-info/RECORD"
        return make_zip({**files, record: "\n".join([*lines, f"{record},,", ""]).encode()}, name)

    return make


def urlsafe_sha256(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


@pytest.fixture
def make_tar(tmp_path: Path) -> Callable[..., Path]:
    def make(files: Mapping[str, bytes] = FILES, name: str = "model.tar.gz") -> Path:
        path = tmp_path / name
        path.write_bytes(tar_bytes(files, gzipped=name.endswith("gz")))
        return path

    return make


def tar_bytes(files: Mapping[str, bytes], *, gzipped: bool = True) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz" if gzipped else "w") as archive:
        for member, content in files.items():
            header = tarfile.TarInfo(member)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def files() -> Mapping[str, bytes]:
    return FILES


class Server:
    """A web server on this machine; `answers` maps a path to what is done for it, `asked` lists the requests."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                server.asked.append(path)
                server.answers.get(path, lambda handler: handler.send_error(404))(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def give(self, path: str, content: bytes, *, status: int = 200, announced: int | None = None) -> str:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(content) if announced is None else announced))
            handler.end_headers()
            handler.wfile.write(content)

        self.answers[path] = answer
        return self.url + path

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    with contextlib.closing(running):
        yield running


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A stand-in for Hugging Face's hub, with one repository, org/name."""
    with contextlib.closing(Hub(monkeypatch)) as running:
        yield running


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever would open a connection or start pip fails the test."""
    import socket
    import subprocess

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)
