"""The server under load, beside `bert.embed` in one process and beside other servers, on the same texts.

    python -m benchmarks.serving --model HANDLE --texts FILE.tsv --out benchmarks/results/DATE-serving

Every figure is a ratio to the library in one process, measured before and after each server, so that a machine that is
busy is seen. `--peer NAME PATH MODEL 'COMMAND ... {port}'` (may be repeated) is another server, which speaks OpenAI's
dialect at PATH under the name MODEL.
"""

import argparse
import contextlib
import json
import os
import shlex
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

import berthub as hub
from benchmarks.machine import machine
from benchmarks.texts import load

_CLIENTS = (1, 8, 64, 256)
_LOAD = 0.7
# Seconds after which a server has forgotten what kind of requests came.
_PAUSE = 12
_KEYS = {"few": "key-of-who-has-few", "many": "key-of-who-has-many"}


class Library:
    """The library in this process."""

    def __init__(self, model: str) -> None:
        self._bert = hub.load(model)

    def texts_per_second(self, texts: Sequence[str]) -> float:
        begin = time.perf_counter()
        self._bert.embed(texts, truncation=True)
        return len(texts) / (time.perf_counter() - begin)

    def one_by_one(self, texts: Sequence[str]) -> list[float]:
        found = []
        for text in texts:
            begin = time.perf_counter()
            self._bert.embed([text])
            found.append(time.perf_counter() - begin)
        return found


@contextlib.contextmanager
def running(command: str) -> Iterator[int]:
    """A server at a free port, ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "BERTHUB_API_KEYS": ",".join(f"{name} {key}" for name, key in _KEYS.items())}
    process = subprocess.Popen(
        shlex.split(command.format(port=port)), stdout=subprocess.DEVNULL, stderr=sys.stderr, env=environment
    )
    try:
        for _ in range(600):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/health", timeout=1).status_code == 200:
                    break
            if process.poll() is not None:
                raise SystemExit(f"the server has ended: {command}")
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def asked(port: int, path: str, bodies: Sequence[str], **plan: Any) -> dict[str, Any]:
    given = json.dumps({"port": port, "path": path, "bodies": list(bodies), "headers": header("few"), **plan})
    client = [sys.executable, "-m", "benchmarks.serving.client"]
    done = subprocess.run(client, input=given, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    if found["failed"]:
        raise SystemExit(f"{found['failed']} of {len(found['seconds'])} requests failed")
    return found


def header(name: str) -> str:
    """The header with the API key of one of the two users; other servers pass over it."""
    return f"authorization: Bearer {_KEYS[name]}\r\n"


def share(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


Figures = dict[str, float]


def bodies(model: str, texts: Sequence[str], size: int = 1) -> list[str]:
    """Requests for so many texts each."""
    parts = [list(texts[start : start + size]) for start in range(0, len(texts), size)]
    return [
        json.dumps({"model": model, "input": part[0] if size == 1 else part, "encoding_format": "base64"})
        for part in parts
    ]


@dataclass
class Bench:
    """One server, and the library to compare it with."""

    library: Library
    port: int
    path: str
    model: str
    kinds: dict[str, list[str]]
    rounds: int

    def ask(self, texts: Sequence[str], size: int = 1, **plan: Any) -> dict[str, Any]:
        return asked(self.port, self.path, bodies(self.model, texts, size), **plan)

    def throughput(self) -> Figures:
        """Clients that ask as fast as they get answers, against one call of `embed` with all texts."""
        found: Figures = {}
        for kind, texts in self.kinds.items():
            # Large requests first: for some seconds after small ones they are served in slices.
            for name, clients, size in [("8 x 64", 8, 64), *((f"{each} x 1", each, 1) for each in _CLIENTS)]:
                ratios, latencies = [], []
                part = texts[: max(64, len(texts) // 8)] if clients == 1 else texts
                # Once before: shapes of batches that are new cost more.
                self.ask(part, size, clients=clients)
                for _ in range(self.rounds):
                    before = self.library.texts_per_second(part)
                    result = self.ask(part, size, clients=clients)
                    after = self.library.texts_per_second(part)
                    ratios.append(len(part) / result["wall"] / statistics.mean([before, after]))
                    latencies += result["seconds"]
                found[f"{kind}, {name}: throughput / encode"] = statistics.median(ratios)
                found[f"{kind}, {name}: p50 ms"] = 1e3 * share(latencies, 0.5)
                found[f"{kind}, {name}: p99 ms"] = 1e3 * share(latencies, 0.99)
            time.sleep(_PAUSE)
        return found

    def one_by_one(self) -> Figures:
        """One client with one text at a time, against the call in the process."""
        part, over, calls = self.kinds["short"][:150], [], []
        self.ask(part, clients=1)
        for _ in range(2 * self.rounds):
            before = self.library.one_by_one(part)
            served = self.ask(part, clients=1)["seconds"]
            after = self.library.one_by_one(part)
            calls.append(1e3 * share(before + after, 0.5))
            over.append(1e3 * share(served, 0.5) - calls[-1])
        return {
            "one text at a time: ms over the call in the process": statistics.median(over),
            "one text at a time: ms of the call in the process": statistics.median(calls),
        }

    def load(self) -> Figures:
        """Texts of one length at random moments, at 70% of what is answered at most."""
        lengths = [len(text.split()) for text in self.kinds["short"]]
        common = statistics.mode(length for length in lengths if length > 5)
        same = [text for text, length in zip(self.kinds["short"], lengths, strict=True) if length == common]
        same = [f"{text} {number}" for number, text in enumerate((same * (1 + 400 // len(same)))[:400])]
        self.ask(same, clients=64)
        most = len(same) / self.ask(same, clients=64)["wall"]
        one = self.ask(same[:100], clients=1)["seconds"]
        seconds = self.ask([f"{text} again" for text in same], rate=_LOAD * most)["seconds"]
        return {
            "70% load: requests a second": _LOAD * most,
            "70% load: p50 ms": 1e3 * share(seconds, 0.5),
            "70% load: p99 ms": 1e3 * share(seconds, 0.99),
            "70% load: p99 / p50": share(seconds, 0.99) / share(seconds, 0.5),
            "no load: p50 ms": 1e3 * share(one, 0.5),
        }

    def fairness(self) -> Figures:
        """Somebody with one text at a time beside somebody with requests of 2,048 texts, against the same alone."""
        part = self.kinds["short"][:150]
        self.ask(part, clients=1)
        alone = self.ask([f"{text} alone" for text in part], clients=1)["seconds"]
        many = [f"{text} {number}" for number in range(40) for text in self.kinds["short"]]
        plan = {"port": self.port, "path": self.path, "clients": 2, "seconds": 60, "headers": header("many")}
        client = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serving.client"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert client.stdin is not None, "a pipe was asked for"
        client.stdin.write(json.dumps({**plan, "bodies": bodies(self.model, many, 2048)}))
        client.stdin.close()
        time.sleep(3)
        beside = self.ask([f"{text} beside" for text in part], clients=1)["seconds"]
        client.kill()
        client.wait()
        return {
            "beside a huge job: p50 / alone": share(beside, 0.5) / share(alone, 0.5),
            "beside a huge job: p99 / alone": share(beside, 0.99) / share(alone, 0.99),
        }


_PARTS = ("throughput", "one_by_one", "load", "fairness")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--texts", type=Path, required=True, help="TSV with a header")
    parser.add_argument("--column", default="text")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", default=["short", "mixed"])
    parser.add_argument("--parts", nargs="+", default=list(_PARTS), choices=list(_PARTS))
    parser.add_argument("--peer", nargs=4, action="append", default=[], metavar=("NAME", "PATH", "MODEL", "COMMAND"))
    parser.add_argument("--options", default="", help="more options of berthub serve")
    parser.add_argument("--out", type=Path, required=True, help="without extension: .json and .md are written")
    arguments = parser.parse_args()
    kinds = {}
    for kind in arguments.kinds:
        texts = load(kind, arguments.texts, arguments.column)
        kinds[kind] = texts[: arguments.count if kind == "short" else arguments.count // 4]
    library = Library(arguments.model)
    for texts in kinds.values():
        library.texts_per_second(texts[:200])
    own = f"{sys.executable} -m berthub.cli.main serve --name bench={shlex.quote(arguments.model)} --truncate "
    own += f"--no-page --log-level warning --port {{port}} {arguments.options}"
    systems = [["berthub serve", "/v1/embeddings", "bench", own], *arguments.peer]
    found: dict[str, dict[str, Any]] = {}
    for name, path, model, command in systems:
        with running(command) as port:
            bench = Bench(library, port, path, model, kinds, arguments.rounds)
            found[name] = {}
            for part in arguments.parts:
                found[name].update(getattr(bench, part)())
                write(arguments.out, found)
    print(arguments.out.with_suffix(".md").read_text())


def write(out: Path, found: dict[str, dict[str, Any]]) -> None:
    about = machine()
    out.with_suffix(".json").write_text(json.dumps({"machine": about, "found": found}, indent=1) + "\n")
    lines = [f"# The server under load ({about['processor']}, {about['cores']} cores)", ""]
    lines += [f"| figure | {' | '.join(found)} |", "|---" * (1 + len(found)) + "|"]
    for figure in next(iter(found.values())):
        cells = [f"{values[figure]:.3g}" if figure in values else "" for values in found.values()]
        lines.append(f"| {figure} | {' | '.join(cells)} |")
    out.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
