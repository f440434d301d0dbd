"""What is the same for all requests: keys, bounds, deadlines, clients that go, bugs, and the end of the server."""

import logging
import socket
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import berthub as hub
from berthub.engines.engine import AnyBatch, Engine, Result
from berthub.errors import InputError
from berthub.networks.outputs import Output
from berthub.serving.batcher import BatchingOptions
from berthub.serving.keys import load_keys
from berthub.serving.server import Options, serve
from berthub.serving.service import Service
from berthub.serving.state import RequestLimits
from berthub.tokenization.tokenizer import Tokenizer
from support.server import RunningServer


class Held(Engine):
    """An engine that computes as soon as `go` is set."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.precision, self.limits = engine.name, engine.precision, engine.limits
        self.go = threading.Event()
        self.begun = threading.Event()
        self.rows = 0

    def run(self, batches: Iterable[AnyBatch], outputs: Sequence[Output]) -> Generator[Result]:
        for batch in batches:
            self.begun.set()
            assert self.go.wait(60)
            self.rows += len(batch.rows)
            yield from self._engine.run([batch], outputs)


@pytest.fixture(scope="module")
def encoder(models: Path) -> hub.Encoder:
    return hub.load(models / "tf2_v4", engine="numpy")


@pytest.fixture(scope="module")
def server(encoder: hub.Encoder) -> Iterator[RunningServer]:
    limits = RequestLimits(body_bytes=5000, texts=20, bytes=50_000)
    with RunningServer({"tiny": encoder}, limits=limits, batching=BatchingOptions(queue_tokens=600)) as running:
        yield running


@pytest.fixture
def held(models: Path) -> Iterator[tuple[RunningServer, Held]]:
    encoder = hub.load(models / "tf2_v4", engine="numpy")
    engine = Held(encoder._engine)
    engine.go.set()
    encoder._engine = engine
    with RunningServer({"tiny": encoder}) as running:
        engine.go.clear()
        engine.begun.clear()
        engine.rows = 0
        yield running, engine
        engine.go.set()


def ask(server: RunningServer, texts: Any = "a text", **options: Any) -> Any:
    return server.client.post("/v1/embeddings", json={"input": texts}, **options)


def message(answer: Any) -> str:
    return str(answer.json()["error"]["message"])


def test_a_request_has_an_id(server: RunningServer) -> None:
    assert ask(server, headers={"x-request-id": "my-id"}).headers["x-request-id"] == "my-id"
    first, second = ask(server), ask(server, 3)
    assert len({first.headers["x-request-id"], second.headers["x-request-id"]}) == 2
    assert server.client.get("/nothing", headers={"x-request-id": "my-id"}).headers["x-request-id"] == "my-id"


@pytest.mark.parametrize(
    ("texts", "status", "part"),
    [
        ("a" * 5000, 413, "the body is larger than 5,000 bytes"),
        (["a"] * 21, 413, "input has 21 texts, and at most 20 are taken at a time"),
        ([" ".join("abcdefghij" * 3)] * 20, 413, "tokens, and the server takes at most 600 at a time"),
    ],
)
def test_what_is_too_large(server: RunningServer, texts: Any, status: int, part: str) -> None:
    answer = ask(server, texts)
    assert answer.status_code == status, answer.text
    assert part in message(answer)


def test_a_body_without_a_length_is_bounded_too(server: RunningServer) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    answer = server.client.post("/v1/embeddings", content=parts(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("headers", "status", "part"),
    [
        ({"content-type": "text/plain"}, 415, "a body of the type 'text/plain' is not taken"),
        ({"content-encoding": "gzip"}, 415, "a body with a Content-Encoding is not taken"),
        ({"x-priority": "soon"}, 400, "x-priority must be a whole number from -1000 to 1000, and is 'soon'"),
        ({"x-request-timeout": "nan"}, 400, "x-request-timeout must be seconds from 0.001 to 86400, and is 'nan'"),
    ],
)
def test_headers(server: RunningServer, headers: dict[str, str], status: int, part: str) -> None:
    answer = ask(server, headers=headers)
    assert (answer.status_code, part in message(answer)) == (status, True), answer.text


def test_deep_json_and_no_json(server: RunningServer) -> None:
    for body in (b"[" * 4000, b"{", b"", b"\xff", b'"' + b"\\" * 3 + b'"'):
        answer = server.client.post("/v1/embeddings", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 400
        assert message(answer).startswith("the body is")


def test_unknown_paths_and_methods(server: RunningServer) -> None:
    assert server.client.get("/nothing").status_code == 404
    assert server.client.get("/v1/embeddings").status_code == 405
    assert server.client.get("/v1/embeddings").json() == {"error": "GET is not taken here; POST is"}


def test_results_take_room_until_they_are_sent(server: RunningServer, encoder: hub.Encoder) -> None:
    # 20 texts of 40 tokens, whose token vectors are 4 * 32 bytes each.
    body = {"inputs": [" ".join("abcdefghij") + f" {number}" for number in range(20)]}
    answer = server.client.post("/embed_all", json=body)
    assert answer.status_code == 200, answer.text
    assert server.server.state.held == 0
    long = {"inputs": [" ".join("abcdefghij" * 2) + f" {number}" for number in range(20)]}
    answer = server.client.post("/embed_all", json=long)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert "too many large requests" in answer.json()["error"]
    assert server.server.state.held == 0


def test_a_deadline(held: tuple[RunningServer, Held]) -> None:
    server, engine = held
    answer = ask(server, headers={"x-request-timeout": "0.05"})
    assert answer.status_code == 504
    assert ask(server, "waits", headers={"x-request-timeout": "0.05"}).status_code == 504
    engine.go.set()
    assert ask(server, "another").status_code == 200
    # What waited when its time was over was not computed.
    assert engine.rows == 2
    assert 'berthub_dropped_texts_total{model="tiny",reason="deadline"} 1.0' in server.client.get("/metrics").text


def test_a_client_that_goes(held: tuple[RunningServer, Held]) -> None:
    server, engine = held
    first = threading.Thread(target=ask, args=(server, "first"))
    first.start()
    assert engine.begun.wait(60)
    body = b'{"input": ["goes away", "and this, too"]}'
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = (
            b"POST /v1/embeddings HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        )
        connection.sendall(head % len(body) + body)
        batcher = server.server.state.models.service().batcher
        while batcher.texts < 3:
            time.sleep(0.01)
    while batcher.texts > 1:
        time.sleep(0.01)
    engine.go.set()
    first.join()
    assert ask(server, "another").status_code == 200
    assert engine.rows == 2
    assert 'berthub_dropped_texts_total{model="tiny",reason="gone"} 2.0' in server.client.get("/metrics").text


def test_what_is_tokenized_for_nobody_takes_no_room(encoder: hub.Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread goes on after the deadline of its request: what it would take then, nobody would give back."""
    over, ended = threading.Event(), threading.Event()
    prepare = Service._prepare

    def late(self: Service, *arguments: Any) -> Any:
        assert over.wait(60)
        return prepare(self, *arguments)

    def submit(self: Service, *arguments: Any, **options: Any) -> Any:
        try:
            return submitted(self, *arguments, **options)
        finally:
            ended.set()

    submitted = Service._submit
    with RunningServer({"tiny": encoder}) as server:
        monkeypatch.setattr(Service, "_prepare", late)
        monkeypatch.setattr(Service, "_submit", submit)
        texts = [f"text {number}" for number in range(40)]
        assert ask(server, texts, headers={"x-request-timeout": "0.05"}).status_code == 504
        over.set()
        assert ended.wait(60)
        state = server.server.state
        assert (state.held, state.models.service().batcher.texts) == (0, 0)


@pytest.mark.parametrize("kind", ["ids", "text"])
def test_much_is_taken_apart_beside_the_event_loop(
    encoder: hub.Encoder, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    threads = []
    prepare_ids, tokens = Service._prepare_ids, Tokenizer.tokens

    def noted(self: Service, *arguments: Any) -> Any:
        threads.append(threading.current_thread().name)
        return prepare_ids(self, *arguments)

    def counted(self: Tokenizer, texts: Any, **options: Any) -> Any:
        found = tokens(self, texts, **options)
        assert len(found.ids) < 2000, "more of a text is tokenized than what decides that it is too long"
        return found

    with RunningServer({"tiny": encoder}) as server:
        monkeypatch.setattr(Service, "_prepare_ids", noted)
        monkeypatch.setattr(Tokenizer, "tokens", counted)
        if kind == "ids":
            assert ask(server, [[7] * 10] * 500).status_code == 200
            assert [name for name in threads if name.startswith("berthub-serving")] == threads != []
        else:
            answer = ask(server, ["short", "a word " * 50_000])
            assert answer.status_code == 422
            assert f"text 1 has more than {encoder.max_length} tokens" in message(answer)


def test_large_texts_do_not_keep_others_from_being_tokenized(
    encoder: hub.Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, go = Service._prepare, threading.Event()

    def held_up(self: Service, texts: Sequence[Any], *arguments: Any) -> Any:
        assert len(texts) > 1 or go.wait(60)
        return prepare(self, texts, *arguments)

    with RunningServer({"tiny": encoder}) as server:
        monkeypatch.setattr(Service, "_prepare", held_up)
        try:
            for _ in range(8):
                assert ask(server, "a" * 300_000, headers={"x-request-timeout": "0.05"}).status_code == 504
            texts = [f"text {number}" for number in range(40)]
            assert ask(server, texts, headers={"x-request-timeout": "30"}).status_code == 200
        finally:
            go.set()


def test_a_client_that_goes_while_its_texts_are_tokenized(
    held: tuple[RunningServer, Held], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, engine = held
    engine.go.set()
    state = server.server.state
    service = state.models.service()
    prepare, begun, go = service._prepare, threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Any:
        begun.set()
        assert go.wait(60)
        return prepare(*arguments)

    submitted = threading.Event()
    submit = service._submit

    def noted(*arguments: Any, **options: Any) -> Any:
        try:
            return submit(*arguments, **options)
        finally:
            submitted.set()

    monkeypatch.setattr(service, "_prepare", slow)
    monkeypatch.setattr(service, "_submit", noted)
    with pytest.raises(httpx.ReadTimeout):
        ask(server, [f"goes away {number}" for number in range(20)], timeout=0.5)
    assert begun.is_set()
    while state.in_flight:
        time.sleep(0.01)
    go.set()
    assert submitted.wait(60)
    monkeypatch.undo()
    assert ask(server, [f"another {number}" for number in range(20)]).status_code == 200
    assert (engine.rows, state.held, service.batcher.texts) == (20, 0, 0)


def test_a_full_queue(models: Path) -> None:
    encoder = hub.load(models / "tf2_v4", engine="numpy")
    engine = Held(encoder._engine)
    engine.go.set()
    encoder._engine = engine
    with RunningServer({"tiny": encoder}, batching=BatchingOptions(queue_tokens=70)) as server:
        engine.go.clear()
        threads = [threading.Thread(target=ask, args=(server, f"{number} " * 20)) for number in range(3)]
        for thread in threads:
            thread.start()
        while server.server.state.models.service().batcher.tokens < 60:
            time.sleep(0.01)
        answer = ask(server, "c " * 20)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        engine.go.set()
        for thread in threads:
            thread.join()
        assert ask(server, "c " * 20).status_code == 200


def test_a_bug_fails_one_request_alone(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from berthub.serving.dialects import openai

    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
        patched.setattr(openai, "truncation_headers", lambda _: 1 / 0)
        answer = ask(server, headers={"x-request-id": "the-one"})
    assert answer.status_code == 500
    assert message(answer) == "a bug in the server; its log has more under the request's id"
    (record,) = [each for each in caplog.records if each.exc_info]
    assert record.fields["request_id"] == "the-one"  # type: ignore[attr-defined]
    assert ask(server).status_code == 200


def test_keys(encoder: hub.Encoder) -> None:
    keys = load_keys(None, {"BERTHUB_API_KEYS": "team first-secret, other second-secret"})
    with RunningServer({"tiny": encoder}, keys=keys) as server:
        for headers in ({}, {"authorization": "Bearer wrong-secret"}, {"authorization": "Basic first-secret"}):
            answer = ask(server, headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert "secret" not in answer.text
        for headers in ({"authorization": "Bearer first-secret"}, {"x-api-key": "second-secret"}):
            assert ask(server, headers=headers).status_code == 200
        for path in ("/health", "/v2/health/live", "/v2/health/ready", "/metrics", "/openapi.json"):
            assert server.client.get(path).status_code == 200, path
        for path in ("/models.json", "/v1/models", "/info"):
            assert server.client.get(path).status_code == 401, path


def test_while_it_loads_and_when_it_cannot(models: Path, encoder: hub.Encoder) -> None:
    go = threading.Event()

    def slowly() -> hub.Encoder:
        assert go.wait(60)
        return encoder

    with RunningServer({"fast": encoder, "slow": slowly}, wait=False) as server:
        while ask(server, "a").status_code == 503:
            time.sleep(0.01)
        assert server.client.get("/v2/health/live").status_code == 200
        assert server.client.get("/v2/health/ready").status_code == 503
        answer = server.client.post("/v1/embeddings", json={"model": "slow", "input": "a"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert message(answer) == "the model 'slow' is being loaded: try again"
        go.set()
        while server.client.get("/health").status_code != 200:
            time.sleep(0.01)
        assert server.client.post("/v1/embeddings", json={"model": "slow", "input": "a"}).status_code == 200

    def broken() -> hub.Encoder:
        return hub.load(models / "no-such-model")

    failing = RunningServer({"broken": broken}, wait=False)
    failing.__enter__()
    failing._thread.join(60)
    failing.__exit__(None, None, None)
    assert isinstance(failing.error, hub.BerthubError)


def test_the_end(held: tuple[RunningServer, Held]) -> None:
    server, engine = held
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(ask(server, "accepted")))
    thread.start()
    assert engine.begun.wait(60)
    server.server.stop()
    while not server.server.state.draining:
        time.sleep(0.01)
    late = ask(server, "late")
    assert (late.status_code, late.headers["connection"]) == (503, "close")
    assert server.client.get("/v2/health/live").status_code == 200
    assert server.client.get("/v2/health/ready").status_code == 503
    engine.go.set()
    thread.join()
    assert answers[0].status_code == 200
    server._thread.join(60)
    assert server.error is None


def test_texts_and_ids_are_counted_alike(encoder: hub.Encoder) -> None:
    with RunningServer({"tiny": encoder}) as server:
        for texts in (["a text", "another"], [[5, 6, 7]]):
            assert ask(server, texts).status_code == 200
        counted = server.client.get("/metrics").text
    assert 'berthub_tokenized_texts_total{model="tiny"} 3.0' in counted
    assert 'berthub_tokenization_seconds_count{model="tiny"} 2.0' in counted


def test_uvicorn_does_not_wait_again_for_what_draining_has_waited_for(encoder: hub.Encoder) -> None:
    with RunningServer({"tiny": encoder}, drain_seconds=300.0) as server:
        assert server.server.config.timeout_graceful_shutdown == 1


def test_several_threads_get_what_is_theirs(server: RunningServer, encoder: hub.Encoder) -> None:
    texts = [f"text {number} of many" for number in range(40)]
    wanted = encoder.embed(texts)
    faults: list[str] = []

    def client(start: int) -> None:
        for number in range(start, len(texts), 4):
            vector = np.array(ask(server, texts[number]).json()["data"][0]["embedding"], np.float32)
            if not np.allclose(vector, wanted[number], atol=1e-5):
                faults.append(texts[number])

    threads = [threading.Thread(target=client, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


@pytest.mark.parametrize(
    ("content", "message"), [(None, "the certificate .*cert.pem cannot be read"), (b"none", "cannot be used: ")]
)
def test_a_certificate_that_cannot_be_used(tmp_path: Path, content: bytes | None, message: str) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    if content is not None:
        certificate.write_bytes(content)
        key.write_bytes(content)
    with pytest.raises(InputError, match=message):
        serve([], Options(port=0, tls_certificate=certificate, tls_key=key))
