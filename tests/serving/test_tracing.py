"""Traces: the span of a request and those of its stages, and that nothing happens where nobody asked for them."""

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from berthub.errors import InputError, MissingDependencyError
from berthub.serving import tracing
from berthub.serving.tracing import RequestSpan, Tracing, load_tracing

# It is no package by itself, and `needs` asks for those.
_INSTALLED = tracing._installed("opentelemetry.sdk")
_needs_sdk = pytest.mark.skipif(not _INSTALLED, reason="needs opentelemetry: pip install opentelemetry-sdk")
_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exporter() -> Any:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    return InMemorySpanExporter()


@pytest.fixture
def traced(exporter: Any) -> Iterator[Tracing]:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traced = tracing.OpenTelemetryTracing(provider, own=True)
    yield traced
    traced.close()


@_needs_sdk
def test_a_request_and_its_stages(traced: Tracing, exporter: Any) -> None:
    before = time.time_ns()
    span = traced.start("POST", {"traceparent": _PARENT})
    assert span.trace_id == "0af7651916cd43dd8448eb211c80319c"
    now = time.perf_counter()
    span.stage("tokenize", now, now + 0.001)
    span.stage("compute", now + 0.001, now + 0.003)
    span.end(route="/v1/models/{name}", status=200, request_id="abc", model="bert", texts=2, tokens=19, key=None)
    tokenize, compute, request = exporter.get_finished_spans()
    assert request.name == "POST /v1/models/{name}"
    assert request.kind.name == "SERVER"
    assert dict(request.attributes) == {
        "http.request.method": "POST",
        "http.route": "/v1/models/{name}",
        "http.response.status_code": 200,
        "berthub.request_id": "abc",
        "berthub.model": "bert",
        "berthub.texts": 2,
        "berthub.tokens": 19,
    }
    assert request.status.is_ok
    assert f"{request.parent.span_id:016x}" == "b7ad6b7169203331"
    for child, duration in ((tokenize, 1_000_000), (compute, 2_000_000)):
        assert child.parent.span_id == request.context.span_id
        assert child.context.trace_id == request.context.trace_id
        assert child.end_time - child.start_time == pytest.approx(duration, abs=10)
        # The clocks of both are brought together.
        assert before - 10**9 < child.start_time < time.time_ns() + 10**9
    assert (tokenize.name, compute.name) == ("tokenize", "compute")


@_needs_sdk
def test_failures_odd_headers_and_unsampled_traces(traced: Tracing, exporter: Any) -> None:
    for header in ("", "00-zz", "\xff" * 100, _PARENT + "-extra-", _PARENT.replace("00-", "ff-", 1)):
        span = traced.start("\x00ODD", {"traceparent": header})
        assert span.trace_id not in (None, "0" * 32)
        span.end(route="/", status=500)
    finished = exporter.get_finished_spans()
    assert all(span.parent is None and span.name == "_OTHER /" for span in finished)
    assert all(not span.status.is_ok and span.attributes["error.type"] == "500" for span in finished)
    unsampled = traced.start("GET", {"traceparent": _PARENT[:-1] + "0"})
    unsampled.stage("compute", 0.0, 1.0)
    unsampled.end(route="/", status=200)
    assert unsampled.trace_id is None
    assert len(exporter.get_finished_spans()) == len(finished)


def test_nothing_is_traced_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for environment in (
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "console"},
    ):
        nothing = load_tracing(environment)
        assert type(nothing) is Tracing
        span = nothing.start("GET", {"traceparent": _PARENT})
        assert span is nothing.start("GET", {})
        span.stage("compute", 0.0, 1.0)
        span.end(route="/", status=200)
        assert span.trace_id is None
        nothing.close()
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    assert type(load_tracing({"OTEL_TRACES_EXPORTER": "console"})) is Tracing


@_needs_sdk
def test_the_environment_says_where_traces_go(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    traced = load_tracing({"OTEL_TRACES_EXPORTER": "console"})
    span = traced.start("GET", {})
    assert type(span) is not RequestSpan
    span.end(route="/health", status=200)
    traced.close()
    printed = capsys.readouterr().err
    assert '"service.name": "berthub"' in printed
    assert '"name": "GET /health"' in printed
    with pytest.raises(InputError, match=r"OTEL_TRACES_EXPORTER is 'zipkin'. Accepted are otlp, console and none"):
        load_tracing({"OTEL_TRACES_EXPORTER": "zipkin"})
    with pytest.raises(
        InputError, match=r"OTEL_EXPORTER_OTLP_PROTOCOL is 'http/json'. Accepted are grpc and http/prot"
    ):
        load_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"})
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)
    with pytest.raises(MissingDependencyError, match="pip install opentelemetry-exporter-otlp"):
        load_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"})


@_needs_sdk
def test_the_provider_of_the_process_is_used_and_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(provider, "shutdown", lambda: pytest.fail("it belongs to the process"))
    load_tracing({}).close()
    assert type(load_tracing({}).start("GET", {})) is not RequestSpan
