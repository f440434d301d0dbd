"""A stand-in for Hugging Face's hub, which the real client talks to."""

import hashlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import huggingface_hub.constants
import pytest

COMMIT, OLDER = "c" * 40, "b" * 40


class Hub:
    """Repositories by name; `files` are those of a commit, and `revisions` say at which commit a branch or tag is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: dict[str, Mapping[str, bytes]] = {}
        self.revisions = {"main": COMMIT}
        self.asked: list[str] = []
        self.tokens: list[str | None] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub._answer(self)

            do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        constants = huggingface_hub.constants
        monkeypatch.setattr(constants, "ENDPOINT", self.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", self.url + "/{repo_id}/resolve/{revision}/{filename}"
        )

    def give(self, files: Mapping[str, bytes], *, commit: str = COMMIT) -> None:
        self.files[commit] = files

    @property
    def downloaded(self) -> set[str]:
        """The names of the files whose content was asked for."""
        return {path.split("/", 5)[5] for path in self.asked if path.startswith("GET /org/name/resolve/")}

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = unquote(handler.path.partition("?")[0])
        self.asked.append(f"{handler.command} {path}")
        self.tokens.append(handler.headers.get("Authorization"))
        match path.strip("/").split("/"):
            case ["api", "models", "org", "name", *rest]:
                revision = "/".join(rest[1:]) or "main"
                commit = self.revisions.get(revision, revision)
                files = self.files.get(commit)
                if files is None:
                    return self._send(handler, b"{}", status=404, error="RevisionNotFound")
                if rest[:1] == ["tree"]:
                    return self._send(handler, json.dumps([_entry(*item) for item in files.items()]).encode())
                siblings = [{"rfilename": name, "size": len(content)} for name, content in files.items()]
                body = {"id": "org/name", "sha": commit, "siblings": siblings}
                return self._send(handler, json.dumps(body).encode())
            case ["org", "name", "resolve", revision, *rest]:
                commit = self.revisions.get(revision, revision)
                content = self.files.get(commit, {}).get("/".join(rest))
                if content is not None:
                    return self._send(handler, content, commit=commit)
                return self._send(handler, b"", status=404, error="EntryNotFound", commit=commit)
        return self._send(handler, b"{}", status=404, error="RepoNotFound")

    def _send(
        self, handler: BaseHTTPRequestHandler, body: bytes, *, status: int = 200, commit: str = "", error: str = ""
    ) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("ETag", f'"{git_hash(body)}"')
        if commit:
            handler.send_header("X-Repo-Commit", commit)
        if error:
            handler.send_header("X-Error-Code", error)
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(body)


def _entry(name: str, content: bytes) -> dict[str, object]:
    return {"type": "file", "path": name, "size": len(content), "oid": git_hash(content)}


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def fill_cache(root: Path, files: Mapping[str, bytes], *, commit: str = COMMIT, ref: str | None = "main") -> Path:
    """A snapshot in a cache as the client lays it out; returns its folder."""
    home = root / "models--org--name"
    snapshot = home / "snapshots" / commit
    (home / "blobs").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        large = name.endswith((".safetensors", ".bin", ".onnx"))
        blob = home / "blobs" / (hashlib.sha256(content).hexdigest() if large else git_hash(content))
        blob.write_bytes(content)
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(blob)
    if ref:
        (home / "refs").mkdir(exist_ok=True)
        (home / "refs" / ref).write_text(commit)
    return snapshot
