"""Traces by OpenTelemetry: a span a request, with its stages below it, where `opentelemetry-sdk` is installed.

Without it, or where nothing says where traces go, spans are no-ops. Traces go to the provider that the process has
(`opentelemetry-instrument berthub serve ...` makes one), else where the `OTEL_*` environment says. Spans hold no text
and no key.
"""

import sys
import time
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from berthub.errors import InputError, MissingDependencyError
from berthub.version import __version__

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["RequestSpan", "Tracing", "load_tracing"]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_EXPORTERS = {
    "grpc": "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http.trace_exporter",
}


class RequestSpan:
    """A request that is not traced; what is said of it is dropped."""

    __slots__ = ()

    @property
    def trace_id(self) -> str | None:
        """The trace's id in hexadecimal, for logs; None where the request is not traced."""
        return None

    def stage(self, name: str, start: float, end: float) -> None:
        """A stage of the request (tokenize, queue, compute, serialize), by times of `time.perf_counter`."""

    def end(self, *, route: str, status: int, **about: str | float | None) -> None:
        """The request was answered; `about` has what else is known: request_id, model, texts, tokens."""


class Tracing:
    """Traces nothing."""

    def start(self, method: str, headers: Mapping[str, str]) -> RequestSpan:
        """A span for a request that has arrived; a `traceparent` header makes it part of the client's trace."""
        return _UNTRACED

    def close(self) -> None:
        """Send what is left."""


_UNTRACED = RequestSpan()


class OpenTelemetryTracing(Tracing):
    """Traces by a tracer provider of OpenTelemetry; `own` if it is closed with the server."""

    def __init__(self, provider: Any, *, own: bool = False) -> None:
        self._provider = provider
        self._own = own
        self._tracer = provider.get_tracer("berthub", __version__)

    def start(self, method: str, headers: Mapping[str, str]) -> RequestSpan:
        """A span for a request that has arrived; a `traceparent` header makes it part of the client's trace."""
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        known = method if method in _METHODS else "_OTHER"
        # What is not a header of a trace is ignored, as its specification asks.
        context = extract(headers)
        attributes = {"http.request.method": known}
        span = self._tracer.start_span(known, context=context, kind=SpanKind.SERVER, attributes=attributes)
        return _TracedSpan(self._tracer, span, known) if span.is_recording() else _UNTRACED

    def close(self) -> None:
        """Send what is left, if the provider is this server's own."""
        if self._own:
            self._provider.shutdown()


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class _TracedSpan(RequestSpan):
    __slots__ = ("_method", "_offset", "_span", "_tracer")

    def __init__(self, tracer: Any, span: "Span", method: str) -> None:
        self._tracer = tracer
        self._span = span
        self._method = method
        # From the clock of the stages to that of the spans.
        self._offset = time.time_ns() - time.perf_counter_ns()

    @property
    def trace_id(self) -> str | None:
        return f"{self._span.get_span_context().trace_id:032x}"

    def stage(self, name: str, start: float, end: float) -> None:
        from opentelemetry.trace import set_span_in_context

        parent = set_span_in_context(self._span)
        child = self._tracer.start_span(name, context=parent, start_time=self._nanoseconds(start))
        child.end(self._nanoseconds(max(start, end)))

    def end(self, *, route: str, status: int, **about: str | float | None) -> None:
        from opentelemetry.trace import Status, StatusCode

        span = self._span
        span.update_name(f"{self._method} {route}")
        span.set_attributes({"http.route": route, "http.response.status_code": status})
        span.set_attributes({f"berthub.{name}": value for name, value in about.items() if value is not None})
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def _nanoseconds(self, seconds: float) -> int:
        return int(seconds * 1e9) + self._offset


def load_tracing(environment: Mapping[str, str]) -> Tracing:
    """The tracing that the process and its environment ask for; one that does nothing where they ask for none."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or not _installed("opentelemetry.sdk"):
        return Tracing()
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        return OpenTelemetryTracing(provider)
    exporter = _exporter(environment)
    return Tracing() if exporter is None else OpenTelemetryTracing(_provider(exporter, environment), own=True)


def _exporter(environment: Mapping[str, str]) -> Any:
    name = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    if not name and any(environment.get(each) for each in _ENDPOINTS):
        name = "otlp"
    if name in ("", "none"):
        return None
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(out=sys.stderr)
    if name != "otlp":
        raise InputError(f"OTEL_TRACES_EXPORTER is {name!r}. Accepted are otlp, console and none.")
    protocol = next(filter(None, map(environment.get, _PROTOCOLS)), "http/protobuf")
    if protocol not in _EXPORTERS:
        accepted = " and ".join(_EXPORTERS)
        raise InputError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}. Accepted are {accepted}.")
    if not _installed(_EXPORTERS[protocol]):
        command = "pip install opentelemetry-exporter-otlp"
        raise MissingDependencyError(f"The environment asks for traces by OTLP, whose exporter is missing: {command}")
    return import_module(_EXPORTERS[protocol]).OTLPSpanExporter()


def _provider(exporter: Any, environment: Mapping[str, str]) -> Any:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = "OTEL_SERVICE_NAME" in environment or "service.name=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    provider = TracerProvider(resource=Resource.create({} if named else {"service.name": "berthub"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it is missing
        return False
