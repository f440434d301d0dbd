"""Faults of clients and of the server's own life under load, counted: nothing is lost, and nothing answered twice.

    python tests/storm_server.py requests --times 100000     1% malformed, 1% too large, 1% abandoned, the others right
    python tests/storm_server.py terminate --times 50        SIGTERM under load: what was accepted is answered, exit 0
    python tests/storm_server.py reload --times 20           the model is loaded anew under load, by SIGHUP
    python tests/storm_server.py full --seconds 60           the queue is full for a minute, then all is as before

Each starts `berthub serve` with a tiny model as a process of its own. Every text has a number, and its vector is
compared with that of the library. The server's memory is read before and after. The exit status is 1 where anything is
wrong.
"""

import argparse
import asyncio
import base64
import collections
import contextlib
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import berthub as hub

MODEL = Path(__file__).parent / "data" / "models" / "tf2_v4"
_TEXTS = 200
_BODY = 200_000
_PATIENCE = 60.0
_KINDS = ("malformed", "oversized", "abandoned")


class Server:
    """`berthub serve` as a process, at any free port."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "berthub.cli.main", "serve", f"--name=tiny={MODEL}", "--port", "0"]
        command += ["--log-level", "warning", "--max-body-bytes", str(_BODY), "--threads", "1", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None, "a pipe was asked for"
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.process.stdout.readline())
        if found is None:
            raise SystemExit(f"the server did not start:\n{self.process.communicate()[1]}")
        self.port = int(found[1])
        self._terminated = False

    @property
    def memory(self) -> int:
        """The memory of the process in MB; 0 where the system does not tell."""
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024  # type: ignore[index]
        return 0

    def terminate(self) -> None:
        """Ask it to end, once: a second time it would end at once."""
        if not self._terminated and self.process.poll() is None:
            self._terminated = True
            self.process.terminate()

    def end(self) -> tuple[int, str]:
        """Let it end; the exit status, and what it logged."""
        self.terminate()
        _, logged = self.process.communicate(timeout=_PATIENCE)
        return self.process.returncode, logged


@contextlib.contextmanager
def serving(*options: str) -> Iterator[Server]:
    """A server that is ended."""
    server = Server(*options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


class Storm:
    """Requests from many connections at once, and what became of them."""

    def __init__(self, port: int, *, seed: int = 0) -> None:
        self.port = port
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.faults: list[str] = []
        self._numbers = itertools.count()
        self._chance = random.Random(seed)
        self.texts = [f"text number {number}" + " and more" * (number % 7) for number in range(_TEXTS)]
        self._wanted = hub.load(MODEL, threads=1).embed(self.texts)

    async def run(self, times: int, *, clients: int, kinds: bool = True) -> None:
        """So many requests, by so many clients that each wait for their answers."""
        left = iter(range(times))

        async def client() -> None:
            async with contextlib.AsyncExitStack() as stack:
                connection = None
                for _ in left:
                    connection = connection or await stack.enter_async_context(self._connection())
                    kind = self._chance.choice(_KINDS) if kinds and self._chance.random() < 0.03 else "right"
                    if not await self._request(kind, *connection):
                        connection[1].close()
                        connection = None

        await asyncio.gather(*(client() for _ in range(clients)))

    async def until(self, stop: asyncio.Event, *, clients: int) -> None:
        """Requests until `stop` is set, or until the server says that it ends."""

        async def client() -> None:
            while not stop.is_set():
                try:
                    async with self._connection() as connection:
                        while not stop.is_set() and await self._request("right", *connection, ends=True):
                            pass
                except ConnectionError:
                    # Nobody listens any more.
                    return

        await asyncio.gather(*(client() for _ in range(clients)))

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        try:
            yield reader, writer
        finally:
            writer.close()

    async def _request(
        self, kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, ends: bool = False
    ) -> bool:
        """Ask, and compare the answer; whether the connection can be used again."""
        number = next(self._numbers)
        text = number % _TEXTS
        body = json.dumps({"model": "tiny", "input": self.texts[text], "encoding_format": "base64"}).encode()
        if kind == "malformed":
            body = self._chance.choice([body[:-3], b"[]", b'{"input": 3}', b"\xff\xfe", b'{"input": [["a"]]}', b""])
        elif kind == "oversized":
            body = b'{"input": "' + b"a" * _BODY + b'"}'
        head = (
            f"POST /v1/embeddings HTTP/1.1\r\nhost: localhost\r\nx-request-id: r{number}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        if kind == "abandoned":
            await writer.drain()
            if self._chance.random() < 0.5:
                await asyncio.sleep(self._chance.random() * 0.01)
            self.outcomes["abandoned"] += 1
            return False
        try:
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
            headers = answer.decode("latin-1").lower()
            length = re.search(r"content-length: (\d+)", headers)
            content = await asyncio.wait_for(reader.readexactly(int(length[1]) if length else 0), _PATIENCE)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self.outcomes["lost"] += 1
            # Nothing of an answer came: the server had not taken the request when it closed.
            if not ends or (isinstance(error, asyncio.IncompleteReadError) and error.partial):
                self.faults.append(f"request {number} ({kind}) got no answer: {error!r}")
            return False
        except TimeoutError:
            self.faults.append(f"request {number} ({kind}) got no answer in {_PATIENCE:g} s")
            return False
        status = int(headers[9:12])
        self.outcomes[f"{kind} {status}"] += 1
        self._check(kind, number, status, headers, content, ends=ends)
        return "connection: close" not in headers

    def _check(self, kind: str, number: int, status: int, headers: str, content: bytes, *, ends: bool) -> None:
        # What is refused before its headers are read has no id.
        if f"x-request-id: r{number}\r\n" not in headers and status != 413:
            self.faults.append(f"request {number} ({kind}) got the answer to another one: {headers!r}")
        wanted = {"right": {200, 503} if ends else {200}, "malformed": {400}, "oversized": {413}}[kind]
        if status not in wanted:
            self.faults.append(f"request {number} ({kind}) got {status}: {content[:200]!r}")
        if kind == "right" and status == 200:
            vector = np.frombuffer(base64.b64decode(json.loads(content)["data"][0]["embedding"]), "<f4")
            if not np.allclose(vector, self._wanted[number % _TEXTS], atol=1e-5):
                self.faults.append(f"request {number} got the vector of another text")


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def requests(times: int, *, seed: int = 0, clients: int = 32) -> list[str]:
    """Requests of all kinds; the faults, among them memory that grew."""
    with serving() as server:
        storm = Storm(server.port, seed=seed)
        _run(storm.run(max(200, times // 10), clients=clients))
        before, storm.outcomes = server.memory, collections.Counter()
        _run(storm.run(times, clients=clients))
        after = server.memory
        status, logged = server.end()
    print(f"{times:,} requests: {dict(storm.outcomes)}; memory {before} -> {after} MB; exit {status}")
    faults = storm.faults
    if sum(storm.outcomes.values()) != times:
        faults.append(f"{sum(storm.outcomes.values()):,} outcomes of {times:,} requests")
    if after > before + 64:
        faults.append(f"memory grew from {before} to {after} MB")
    if status or logged:
        faults.append(f"exit status {status}, logged: {logged[-2000:]}")
    return faults


def terminate(times: int, *, seed: int = 0) -> list[str]:
    """SIGTERM while requests come; the faults."""
    faults: list[str] = []
    outcomes: collections.Counter[str] = collections.Counter()
    chance = random.Random(seed)
    for turn in range(times):
        with serving("--drain-seconds", "20") as server:
            storm = Storm(server.port, seed=turn)

            async def under_load(server: Server = server, storm: Storm = storm) -> None:
                stop = asyncio.Event()
                load = asyncio.ensure_future(storm.until(stop, clients=16))
                await asyncio.sleep(0.1 + chance.random())
                server.terminate()
                await asyncio.wait({load}, timeout=_PATIENCE)
                stop.set()
                await load

            _run(under_load())
            status, logged = server.end()
        outcomes.update(storm.outcomes)
        faults += storm.faults
        if status or logged:
            faults.append(f"turn {turn}: exit status {status}, logged: {logged[-2000:]}")
    print(f"terminated {times} times: {dict(outcomes)}")
    return faults


def reload(times: int, *, seed: int = 0) -> list[str]:
    """SIGHUP while requests come; the faults."""
    with serving() as server:
        storm = Storm(server.port, seed=seed)

        async def under_load() -> None:
            stop = asyncio.Event()
            load = asyncio.ensure_future(storm.until(stop, clients=8))
            for _ in range(times):
                server.process.send_signal(signal.SIGHUP)
                await asyncio.sleep(0.3)
            stop.set()
            await load

        _run(under_load())
        status, logged = server.end()
    print(f"loaded anew {times} times: {dict(storm.outcomes)}; exit {status}")
    found = [outcome for outcome in storm.outcomes if outcome != "right 200"]
    faults = [*storm.faults, *(f"under a reload: {outcome}" for outcome in found)]
    return [*faults, f"exit status {status}, logged: {logged[-2000:]}"] if status or logged else faults


def full(seconds: float, *, seed: int = 0) -> list[str]:
    """More than the queue takes, for some time; then everything is as before. The faults."""
    with serving("--max-queue-tokens", "300") as server:
        storm = Storm(server.port, seed=seed)
        statuses: collections.Counter[int] = collections.Counter()

        async def flood() -> None:
            until = time.monotonic() + seconds
            body = json.dumps({"input": [f"{text} {os.getpid()}" for text in storm.texts[:15]]}).encode()
            head = f"POST /v1/embeddings HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n\r\n".encode()

            async def client() -> None:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 20)
                while time.monotonic() < until:
                    writer.write(head + body)
                    headers = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                    statuses[int(headers[9:12])] += 1
                    length = re.search(r"content-length: (\d+)", headers)
                    await reader.readexactly(int(length[1]) if length else 0)
                    if " 429 " in headers and "retry-after: " not in headers:
                        storm.faults.append("a 429 without Retry-After")
                writer.close()

            await asyncio.gather(*(client() for _ in range(32)))

        _run(flood())
        _run(storm.run(200, clients=2, kinds=False))
        status, logged = server.end()
    print(f"full for {seconds:g} s: {dict(statuses)}; then {dict(storm.outcomes)}; exit {status}")
    faults = storm.faults
    if not statuses[429] or not statuses[200] or set(statuses) - {200, 429}:
        faults.append(f"the queue was not full, or something else happened: {dict(statuses)}")
    return [*faults, f"exit status {status}, logged: {logged[-2000:]}"] if status or logged else faults


_ALL: dict[str, Callable[..., list[str]]] = {
    "requests": requests,
    "terminate": terminate,
    "reload": reload,
    "full": full,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=list(_ALL))
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    amount = arguments.seconds if arguments.what == "full" else arguments.times
    faults = _ALL[arguments.what](amount, seed=arguments.seed)
    for fault in faults[:50]:
        print(fault, file=sys.stderr)
    print(f"{len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
