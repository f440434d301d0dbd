"""Throw random and damaged requests at a server by raw sockets, and check that it goes on answering.

    berthub serve HANDLE --port 8000
    python tests/fuzz_server.py 127.0.0.1:8000 --cases 10000

Each case takes one or several requests of the dialects, damages their bytes (bit flips, truncations, repetitions, odd
headers, wrong lengths, chunks, control characters, odd JSON), or makes random bytes, sends them in pieces, and reads
what comes or leaves at once, with or without a reset. After each batch `GET /health` has to be answered with 200 within
some seconds, and the answers of a batch are counted by status. A case fails if an answer is no HTTP, or is 500: the
server has to say what is wrong with a request. `--first SEED --cases 1` repeats a case. `--key` is sent as the API key
of most requests.
"""

import argparse
import contextlib
import http.client
import json
import random
import re
import socket
import struct
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

_BATCH = 200
_CLIENTS = 16
_HEALTH_SECONDS = 30
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)[ \r]")
_TEXT = "The quick brown fox."
_MODEL = "bert"
_ROUTES: tuple[tuple[str, str, object], ...] = (
    ("GET", "/health", None),
    ("GET", "/metrics", None),
    ("GET", "/info", None),
    ("GET", "/openapi.json", None),
    ("GET", "/v1/models", None),
    ("GET", f"/v2/models/{_MODEL}", None),
    ("POST", "/", {"inputs": _TEXT}),
    ("POST", "/embed", {"inputs": [_TEXT, "b"], "truncate": True}),
    ("POST", "/embed_all", {"inputs": _TEXT}),
    ("POST", "/predict", {"inputs": [[_TEXT, "b"]]}),
    ("POST", "/similarity", {"inputs": {"source_sentence": _TEXT, "sentences": ["a", "b"]}}),
    ("POST", "/tokenize", {"inputs": _TEXT, "add_special_tokens": True}),
    ("POST", "/decode", {"ids": [101, 102]}),
    ("POST", "/v1/embeddings", {"input": [_TEXT, "b"], "model": _MODEL, "encoding_format": "base64"}),
    ("POST", "/v1/embeddings", {"input": [[101, 102]], "model": _MODEL}),
    ("POST", f"/v1/models/{_MODEL}:predict", {"instances": [_TEXT, {"b64": "YQ=="}]}),
    ("POST", f"/v1/models/{_MODEL}:predict", {"inputs": {"input_word_ids": [[101, 102]], "input_mask": [[1, 1]]}}),
    (
        "POST",
        f"/v2/models/{_MODEL}/infer",
        {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": [_TEXT]}]},
    ),
)
_HEADERS = (
    b"Content-Length: 5",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: -1",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip",
    b"Expect: 100-continue",
    b"Connection: close",
    b"Connection: Upgrade\r\nUpgrade: h2c",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13",
    b"Accept: application/x-npy",
    b"Accept: application/vnd.apache.arrow.stream;q=nonsense, \xff",
    b"Content-Type: text/plain; charset=utf-16",
    b"Content-Encoding: gzip",
    b"Inference-Header-Content-Length: 10",
    b"X-Request-Id: \x01\x02",
    b"traceparent: 00-zz",
    b"Host: other",
    b"X: " + b"a" * 40_000,
    b"X: a\r\n" * 300 + b"Y: b",
)
_VALUES = (None, True, -1, 0, 1e308, 2**70, "", "x" * 3000, "\ud800", [], {}, [[]], [None], {"a": {}}, "a\0b")


def main() -> int:
    """Run the cases and print how they ended; 1 if any failed, or the server stopped answering."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("address", help="HOST:PORT of a server")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first case")
    parser.add_argument("--key", help="an API key")
    arguments = parser.parse_args()
    host, _, port = arguments.address.rpartition(":")
    started = time.monotonic()
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    seeds = range(arguments.first, arguments.first + arguments.cases)
    for start in range(0, len(seeds), _BATCH):
        failures += run_batch((host, int(port)), seeds[start : start + _BATCH], outcomes, key=arguments.key)
        print(f"\r{start + _BATCH:,} cases, {time.monotonic() - started:.0f} s", end="", file=sys.stderr, flush=True)
        if failures and failures[-1].startswith("GET /health"):
            break
    print(file=sys.stderr)
    for outcome, count in outcomes.most_common():
        print(f"{count:>7,}  {outcome}")
    for failure in failures:
        print(f"FAILED  {failure}")
    print(f"{sum(outcomes.values()):,} cases, {len(failures)} failures")
    return 1 if failures else 0


def run_batch(address: tuple[str, int], seeds: range, outcomes: Counter[str], *, key: str | None = None) -> list[str]:
    """Run cases, several at once, and ask for the server's health; what failed."""
    failures = []
    with ThreadPoolExecutor(_CLIENTS) as pool:
        for seed, outcome in zip(seeds, pool.map(lambda seed: run_case(address, seed, key=key), seeds), strict=True):
            outcomes[outcome] += 1
            if outcome.startswith(("no HTTP", "500")):
                failures.append(f"seed {seed}: {outcome}")
    try:
        health = http.client.HTTPConnection(*address, timeout=_HEALTH_SECONDS)
        with contextlib.closing(health):
            health.request("GET", "/health")
            status = health.getresponse().status
    except OSError as error:
        return [*failures, f"GET /health after seed {seeds[-1]}: {type(error).__name__}: {error}"]
    return failures if status == 200 else [*failures, f"GET /health after seed {seeds[-1]}: {status}"]


def run_case(address: tuple[str, int], seed: int, *, key: str | None = None) -> str:
    """Send the bytes of one case; how it ended."""
    chance = random.Random(seed)
    data = make_case(chance, key=key)
    try:
        with socket.create_connection(address, timeout=_HEALTH_SECONDS) as connection:
            answer = _exchange(connection, data, chance)
    except OSError as error:
        return type(error).__name__
    if not answer:
        return "no answer"
    status = _STATUS.match(answer)
    if status is None:
        return f"no HTTP: {answer[:60]!r}"
    # Of several answers, the worst.
    return max(found.decode() for found in _STATUS.findall(answer))


def _exchange(connection: socket.socket, data: bytes, chance: random.Random) -> bytes:
    position = 0
    while position < len(data):
        size = chance.choice((1, 10, 1000, 1 << 20))
        connection.sendall(data[position : position + size])
        position += size
        if size == 1 and chance.random() < 0.1:
            time.sleep(0.001)
    way = chance.random()
    if way < 0.1:
        # Closed with a reset, whatever is on its way.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return b""
    if way < 0.2:
        return b""
    if way < 0.4:
        connection.shutdown(socket.SHUT_WR)
    answer = b""
    connection.settimeout(chance.choice((0.05, 0.3)))
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while len(answer) < 1 << 22 and (received := connection.recv(1 << 16)):
            answer += received
            connection.settimeout(0.05)
    return answer


def make_case(chance: random.Random, *, key: str | None = None) -> bytes:
    """The bytes that a case sends."""
    if chance.random() < 0.1:
        return chance.randbytes(chance.choice((1, 10, 1000, 100_000)))
    data = bytearray(b"".join(_request(chance, key) for _ in range(chance.choice((1, 1, 1, 2, 5)))))
    for _ in range(chance.choice((0, 1, 1, 2, 10))):
        chance.choice((_flip, _flip, _overwrite, _truncate, _repeat, _delete, _break_lines))(data, chance)
    return bytes(data)


def _request(chance: random.Random, key: str | None) -> bytes:
    method, path, document = chance.choice(_ROUTES)
    if chance.random() < 0.1:
        method = chance.choice(("PUT", "DELETE", "OPTIONS", "HEAD", "CONNECT", "get", "PRI", "\0"))
    if chance.random() < 0.1:
        path = chance.choice(
            ("*", "//", "/%00", "/%", "/../..", "/?" + "a" * 3000, "/" + "a" * 40_000, f"http://x{path}")
        )
    body = b"" if document is None else _body(document, chance)
    lines = [f"{method} {path} HTTP/1.{chance.choice('1111110')}".encode(), b"Host: localhost"]
    if body:
        lines.append(b"Content-Type: application/json")
        if chance.random() < 0.2:
            lines.append(b"Transfer-Encoding: chunked")
            body = _chunked(body, chance)
        else:
            wrong = chance.choice((-1, 1, 1000)) if chance.random() < 0.1 else 0
            lines.append(b"Content-Length: %d" % max(0, len(body) + wrong))
    if key is not None and chance.random() < 0.9:
        lines.append(f"Authorization: Bearer {key}".encode())
    if chance.random() < 0.3:
        lines.append(chance.choice(_HEADERS))
    return b"\r\n".join((*lines, b"", body))


def _body(document: object, chance: random.Random) -> bytes:
    document = json.loads(json.dumps(document))
    if chance.random() < 0.5 and isinstance(document, dict):
        name = chance.choice(list(document))
        value = chance.choice((*_VALUES, [chance.choice(_VALUES)] * chance.choice((1, 3, 1000))))
        document[chance.choice((name, name, "other"))] = value
    if chance.random() < 0.03:
        depth = chance.choice((100, 10_000, 200_000))
        return chance.choice((b"[", b'{"inputs":')) * depth
    return json.dumps(document).encode()


def _chunked(body: bytes, chance: random.Random) -> bytes:
    content, position = b"", 0
    while position < len(body):
        part = body[position : position + chance.choice((1, 10, 1000))]
        extension = b";a=b" if chance.random() < 0.1 else b""
        content += b"%x%s\r\n%s\r\n" % (len(part), extension, part)
        position += len(part)
    return content + chance.choice(
        (b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nX: trailer\r\n\r\n", b"", b"zz\r\n")
    )


def _flip(data: bytearray, chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _overwrite(data: bytearray, chance: random.Random) -> None:
    if data:
        start = chance.randrange(len(data))
        length = chance.choice((1, 4, 100))
        data[start : start + length] = chance.choice((b"\0", b"\xff", b"\r", b"\n", b" ", chance.randbytes(1))) * length


def _truncate(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _repeat(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data) + 1)
    data[start:start] = data[start : start + chance.choice((1, 16, 512))] * chance.choice((1, 3, 100))


def _delete(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data) + 1)
    del data[start : start + chance.choice((1, 2, 10, 100))]


def _break_lines(data: bytearray, chance: random.Random) -> None:
    data[:] = data.replace(
        b"\r\n", chance.choice((b"\n", b"\r", b"\r\n\r\n", b" \r\n", b"\r\n ")), chance.choice((1, -1))
    )


if __name__ == "__main__":
    sys.exit(main())
