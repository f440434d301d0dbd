"""Do the secrets of an address stay where they belong? A canary is sent through every route, and looked for afterwards.

    python tests/secrets_canary.py [--keep FOLDER] [--finetune]

A server on this machine gives a model, refuses it, redirects, breaks off and sends rubbish. Models are loaded by
addresses that hold canaries: a password, a token, a signature, a fragment; redirects add signatures of their own, and
the environment has tokens and a proxy's password. Everything that is then printed, logged, warned of, raised (with all
that is chained, and every attribute of it) or written is searched for the canaries.
"""

import argparse
import contextlib
import io
import json
import logging
import os
import pickle
import sys
import tarfile
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CANARY = "KanaRy7"
MODEL = Path(__file__).parent / "data" / "models" / "hf_bert"
_QUERY = f"?token={CANARY}tok&X-Amz-Signature={CANARY}sig&sv=2020&sig={CANARY}%2Fsas&{CANARY}bare#{CANARY}frag"


class Routes:
    """What the server does for each path, and the addresses with canaries that lead there."""

    def __init__(self, archive: bytes) -> None:
        routes = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                routes.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._archive = archive
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def url(self, path: str) -> str:
        return f"http://{CANARY}user:{CANARY}word@127.0.0.1:{self.port}{path}{_QUERY}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        status, headers, body = 200, {}, self._archive
        name = path.strip("/").partition(".")[0]
        if name.isdecimal():
            status, body = int(name), f"no: {CANARY}".encode()
        elif name == "redirect":
            status, body = 302, b""
            headers = {"Location": f"/good.tar.gz?X-Goog-Signature={CANARY}redirect&Expires=1"}
        elif name == "away":
            status, body = 302, b""
            headers = {"Location": f"http://{CANARY}them@127.0.0.1:1/x.zip?Signature={CANARY}redirect"}
        elif name == "nowhere":
            status, body = 302, b""
            headers = {"Location": f"http://{CANARY}them:{CANARY}pw@[::1/x.zip?Signature={CANARY}redirect"}
        elif name == "loop":
            status, body = 302, b""
            headers = {"Location": f"/loop.tar.gz?Signature={CANARY}redirect"}
        elif name == "short":
            headers = {"Content-Length": str(len(body) + 100)}
        elif name == "page":
            body = b"<html>" + CANARY.encode()
        elif name == "rubbish":
            body = b"rubbish"
        elif name == "reset":
            return
        with contextlib.suppress(OSError):
            handler.send_response(status)
            for key, value in ({"Content-Length": str(len(body))} | headers).items():
                handler.send_header(key, value)
            handler.end_headers()
            handler.wfile.write(body)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


PATHS = (
    "/good.tar.gz", "/redirect.tar.gz", "/away.tar.gz", "/nowhere.tar.gz", "/loop.tar.gz", "/401.tar.gz", "/403.tar.gz",
    "/404.tar.gz", "/418.tar.gz", "/503.tar.gz", "/short.tar.gz", "/page.tar.gz", "/rubbish.tar.gz", "/reset.tar.gz",
    "/no-archive",
)  # fmt: skip
ODD = (
    f"http://u:{CANARY}/pw@127.0.0.1/m.zip", f"http://u:{CANARY}#pw@127.0.0.1/m.zip", f"ftp://u:{CANARY}@h/m.zip",
    f"http://u:{CANARY}@[::1/m.zip?token={CANARY}", f"gs://u:{CANARY}@other/m.zip?x={CANARY}",
    f"u:{CANARY}@127.0.0.1/m.zip", f"u:{CANARY}@127.0.0.1/m.zip?token={CANARY}", f"file://{CANARY}:x@h/m.zip",
    f"https://u:{CANARY}@tfhub.dev/google/nothing/1?token={CANARY}", f"https://hf.co/datasets/a?token={CANARY}",
    f"https://u:{CANARY}@www.kaggle.com/models/a/b?token={CANARY}#{CANARY}", f"google/electra_small#sha256={CANARY}-&",
    f"https://u:{CANARY}@h.org/m.zip?token={CANARY}#sha256={'0' * 63}", f"pypi:--index-url=http://u:{CANARY}@h==1",
    f"tfhub.dev/google/nothing?token={CANARY}", f"https://u:{CANARY}\u2100@h.org/m.zip",
)  # fmt: skip


def archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for path in sorted(MODEL.iterdir()):
            made.add(path, path.name)
    return out.getvalue()


def raised(error: BaseException | None, seen: set[int] | None = None) -> Iterator[str]:
    """All text that an exception leads to: its traceback, its chain, and what its attributes hold."""
    seen = set() if seen is None else seen
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield "".join(traceback.format_exception(error))
    yield repr(error) + repr(vars(error)) + repr(error.args)
    with contextlib.suppress(Exception):
        yield pickle.dumps(error).decode("latin-1")
    yield from raised(error.__cause__, seen)
    yield from raised(error.__context__, seen)


class Watch:
    """Gathers all that is said meanwhile; `found` tells in which of it the canary is."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.raised: dict[str, str] = {}

    @contextlib.contextmanager
    def route(self, name: str) -> Iterator[None]:
        out, log = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True), io.StringIO()
        handler = logging.StreamHandler(log)
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            with warnings.catch_warnings(record=True) as warned, contextlib.redirect_stdout(out):
                warnings.simplefilter("always")
                with contextlib.redirect_stderr(out):
                    try:
                        yield
                    except BaseException as error:
                        self.raised[name] = f"{type(error).__name__}: {error}".partition("\n")[0]
                        self.said.extend((f"{name}: exception", text) for text in raised(error))
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
        self.say(f"{name}: output", out.buffer.getvalue().decode())  # type: ignore[attr-defined]
        self.say(f"{name}: log", log.getvalue())
        self.said.extend((f"{name}: warning", str(warning.message)) for warning in warned)

    def say(self, name: str, text: object) -> None:
        self.said.append((name, str(text)))

    def files(self, folder: Path) -> None:
        for path in folder.rglob("*"):
            self.say(f"name of {path.relative_to(folder)}", path)
            if path.is_file():
                self.say(f"file {path.relative_to(folder)}", path.read_bytes().decode("latin-1"))

    def found(self) -> list[str]:
        return sorted({name for name, text in self.said if CANARY.casefold() in text.casefold()})


def run(folder: Path, *, finetune: bool = False) -> tuple[list[str], dict[str, str]]:
    """Send the canary through all routes: where it came out, and the kind of error that a route ended with.

    `folder` is to be empty; the environment is changed.
    """
    import berthub
    from berthub.sources import download
    from berthub.sources.resolve import parse, resolve

    server, watch = Routes(archive()), Watch()
    cache = folder / "cache"
    download.BACKOFF_SECONDS = 0
    os.environ |= {
        "BERTHUB_CACHE": str(cache), "HF_TOKEN": f"hf_{CANARY}", "KAGGLE_KEY": f"{CANARY}key", "NO_PROXY": "*",
        "HTTPS_PROXY": f"http://proxy:{CANARY}@127.0.0.1:1", "PIP_INDEX_URL": f"http://{CANARY}tok@127.0.0.1:1/simple",
        "PIP_RETRIES": "0",
    }  # fmt: skip
    try:
        for path in PATHS:
            with watch.route(f"resolve {path}"):
                watch.say("resolve", resolve(server.url(path)))
        for text in ODD:
            with watch.route(f"parse {text}"):
                watch.say("parse", repr(parse(text)))
        with watch.route("a proxy"):
            os.environ["NO_PROXY"] = ""
            resolve(f"https://u:{CANARY}@example.invalid/m.zip?token={CANARY}")
        with watch.route("hugging face"):
            resolve("hf:org/name/model.onnx")
        os.environ["NO_PROXY"] = "*"
        with watch.route("a wheel"):
            resolve("pypi:not-there==1.0")
        _load(watch, server, folder, berthub)
        _offline_and_pins(watch, server, resolve)
        _commands(watch, server, folder, finetune=finetune)
    finally:
        server.close()
    watch.files(folder)
    return watch.found(), watch.raised


def _load(watch: Watch, server: Routes, folder: Path, berthub: Any) -> None:
    url = server.url("/good.tar.gz")
    with watch.route("load"):
        encoder = berthub.load(url, precision="float32")
        watch.say("repr", repr(encoder) + repr(encoder.config))
        watch.say("encode", repr(encoder.encode(["a text"])))
        encoder.save(folder / "saved")
    with watch.route("export"):
        berthub.export(url, folder / "exported", to="huggingface")
    with watch.route("tokenizer"):
        watch.say("tokenizer", repr(berthub.Tokenizer.from_pretrained(url)))
    with watch.route("preprocessor"):
        watch.say("preprocessor", repr(berthub.Preprocessor(url)))


def _offline_and_pins(watch: Watch, server: Routes, resolve: Callable[..., Path]) -> None:
    with watch.route("offline"):
        resolve(server.url("/other.tar.gz"), offline=True)
    with watch.route("another pin"):
        resolve(server.url("/good.tar.gz"), sha256="0" * 64)
    with watch.route("a pin of a file"):
        resolve(server.url("/good.tar.gz"), sha256={"absent": "0" * 64})
    with watch.route("two pins"):
        resolve(server.url("/good.tar.gz").partition("#")[0] + "#sha256=" + "1" * 64, sha256="0" * 64)


def _commands(watch: Watch, server: Routes, folder: Path, *, finetune: bool) -> None:
    from berthub.cli.main import main

    url, table = server.url("/good.tar.gz"), folder / "table.csv"
    table.write_text("text,label\n" + "good,a\nbad,b\n" * 8, encoding="utf-8")
    good = [
        *(["encode", table, "-c", "text", "--model", url, "-o", folder / name] for name in ("v.parquet", "v.jsonl")),
        ["encode", "a text", "--model", url],
        ["inspect", url],
        ["inspect", url, "--json"],
        ["tokenize", url, "a text"],
        ["export", url, "-o", folder / "by-command", "--to", "huggingface"],
    ]
    if finetune:
        good.append(["finetune", "classify", table, "--model", url, "--epochs", "1", "-o", folder / "run"])
    bad = [
        ["predict", url, table, "-o", folder / "predicted.csv"],
        ["encode", "a text", "--model", server.url("/403.tar.gz")],
        ["encode", "a text", "--model", ODD[0]],
        ["inspect", server.url("/rubbish.tar.gz")],
    ]
    for number, words in enumerate(good + bad):
        with watch.route(f"berthub {words[0]}, {number}"):
            code = main([str(word) for word in words])
            assert (code == 0) == (number < len(good)), f"{words[0]} ended with {code}"


def main_of_script() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="an empty folder for what is written")
    parser.add_argument("--finetune", action="store_true", help="fine-tune as well (needs the extra)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        found, raised = run(given.keep or Path(temporary), finetune=given.finetune)
    print(json.dumps({"the canary came out of": found, "errors": raised}, indent=1, ensure_ascii=False))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main_of_script()
