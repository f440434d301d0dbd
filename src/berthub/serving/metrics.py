"""What is measured of the server, in Prometheus' formats: the one place that knows the names of the metrics.

Names that begin with `te_` are those of text-embeddings-inference, with its labels and buckets, so that its dashboards
go on working; they are sums over all models. `berthub_` is this server's own. Nothing here is state of the process:
each `Metrics` has its own registry. All methods may be called from any thread, and take some microseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from berthub.serving.series import Counter, Histogram, Series
from berthub.version import __version__

__all__ = ["Computed", "Metrics"]

_OPENMETRICS = "application/openmetrics-text"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TEXTS = tuple(2**power for power in range(11))
_TOKENS = tuple(2**power for power in range(4, 18))
_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
# As text-embeddings-inference has them.
_TE_SECONDS = tuple(0.00001 * 1.5**power for power in range(1, 36))
_TE_SIZES = tuple(2**power for power in range(13))
_TE_TOKENS = tuple(2**power for power in range(21))
_TE_LENGTHS = tuple(2**power for power in range(20))
_TE_ERRORS = {
    400: "validation",
    413: "batch_size",
    422: "tokenization",
    424: "inference",
    429: "overloaded",
    500: "inference",
    503: "unhealthy",
}
_TE_STAGES = ("", "tokenization_", "queue_", "inference_")


@dataclass(frozen=True)
class Computed:
    """What a request asked to have computed, and the seconds that it took in each stage.

    `single`: the request was one text by itself, not a list.
    """

    task: Literal["embed", "predict"]
    single: bool = False
    texts: int = 0
    tokenization: float = 0.0
    queue: float = 0.0
    inference: float = 0.0


class Metrics:
    """The metrics of one server.

    Routes are templates (`/v1/models/{name}`), and models those that are known: never what a client sent.
    """

    def __init__(self) -> None:
        series = Series()
        self._series, self._lock = series, series.lock
        series.gauge("berthub_info", "The version of berthub, as a label.", ("version",)).set(1, (__version__,))
        self._requests = series.counter("berthub_requests", "Answered requests.", ("route", "model", "status"))
        about = "Seconds from a request's headers to the end of its answer."
        self._request_seconds = series.histogram("berthub_request_seconds", about, ("route", "model"), bounds=_SECONDS)
        about = "Connections and requests that were refused before they reached a route."
        self._refused = series.counter("berthub_refused_requests", about, ("status",))
        about = "Requests that are not answered yet."
        self._in_flight = series.gauge("berthub_requests_in_flight", about, ("route",))

        def histogram(name: str, about: str, bounds: Sequence[float]) -> Histogram:
            return series.histogram(f"berthub_{name}", about, ("model",), bounds=bounds)

        self._tokenization = histogram("tokenization_seconds", "Seconds to tokenize a request's texts.", _SECONDS)
        self._waiting = histogram("queue_seconds", "Seconds from tokenized to computing.", _SECONDS)
        self._inference = histogram("inference_seconds", "Seconds that the engine took for a batch.", _SECONDS)
        self._batch_texts = histogram("batch_texts", "Texts in a batch.", _TEXTS)
        self._batch_tokens = histogram("batch_tokens", "Tokens in a batch, without padding.", _TOKENS)
        self._padding = histogram("batch_padding_ratio", "Share of a batch that is padding.", _SHARES)

        def counter(name: str, about: str, labels: Sequence[str] = ("model",)) -> Counter:
            return series.counter(f"berthub_{name}", about, labels)

        self._tokenized_texts = counter("tokenized_texts", "Texts that were tokenized.")
        self._tokenized_tokens = counter("tokenized_tokens", "Tokens that the tokenized texts have.")
        self._computed_texts = counter("computed_texts", "Texts that the engine computed.")
        self._computed_tokens = counter("computed_tokens", "Tokens that the engine computed, without padding.")
        self._shared = counter("shared_texts", "Texts that were answered with the result of an equal text.")
        self._dropped = counter("dropped_texts", "Texts that were dropped uncomputed.", ("model", "reason"))
        self._queue_texts = series.gauge("berthub_queue_texts", "Texts that wait to be computed.", ("model",))
        self._queue_tokens = series.gauge("berthub_queue_tokens", "Tokens that wait to be computed.", ("model",))

        self._te_count = series.counter("te_request_count", "Requests to compute.", ("method",), plain=True)
        self._te_success = series.counter("te_request_success", "Computed requests.", ("method",), plain=True)
        self._te_failure = series.counter("te_request_failure", "Failures, by cause.", ("err",), plain=True)
        self._te_queue = series.gauge("te_queue_size", "Texts that wait to be computed.")
        about = "Tokens of a text."
        self._te_lengths = series.histogram("te_request_input_length", about, bounds=_TE_LENGTHS)
        self._te_batch_size = series.histogram("te_batch_next_size", "Texts in a batch.", bounds=_TE_SIZES)
        self._te_batch_tokens = series.histogram("te_batch_next_tokens", "Tokens in a batch.", bounds=_TE_TOKENS)
        self._te_texts = {
            (task, end): series.counter(f"te_{task}_{end}", f"Texts to {task}: {end}.", plain=True)
            for task in ("embed", "predict")
            for end in ("count", "success")
        }
        self._te_seconds = {
            (unit, stage): series.histogram(f"te_{unit}_{stage}duration", "Seconds.", bounds=_TE_SECONDS)
            for unit in ("request", "embed", "predict")
            for stage in _TE_STAGES
        }
        self._registry = CollectorRegistry()
        self._registry.register(series)
        # The process's memory, processor time and open files, and Python's version and garbage collector.
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def request_started(self, route: str) -> None:
        """A request's headers have arrived."""
        with self._lock:
            self._in_flight.add(1, (route,))

    def request_ended(
        self, route: str, model: str, status: int, seconds: float, computed: Computed | None = None
    ) -> None:
        """A request was answered, or its client has gone. `model` is empty where the route has none."""
        with self._lock:
            self._in_flight.add(-1, (route,))
            self._requests.add(1, (route, model, str(status)))
            self._request_seconds.observe(seconds, (route, model))
            if status in _TE_ERRORS:
                self._te_failure.add(1, (_TE_ERRORS[status],))
            if computed is not None:
                self._te_request(status, seconds, computed)

    def refused(self, status: int) -> None:
        """The protocol refused a request: it was no HTTP, too large, too slow, or there were too many connections."""
        with self._lock:
            self._refused.add(1, (str(status),))

    def tokenized(
        self, model: str, seconds: float, texts: int, tokens: int, lengths: Sequence[int] | np.ndarray = ()
    ) -> None:
        """The texts of a request were tokenized; `lengths` has the tokens of each, where they are at hand."""
        with self._lock:
            self._tokenization.observe(seconds, (model,))
            self._tokenized_texts.add(texts, (model,))
            self._tokenized_tokens.add(tokens, (model,))
            if len(lengths):
                self._te_lengths.observe_all(np.asarray(lengths))

    def waited(self, model: str, seconds: float) -> None:
        """Work was taken from the queue after so many seconds."""
        with self._lock:
            self._waiting.observe(seconds, (model,))

    def batch_done(self, model: str, texts: int, tokens: int, padded_tokens: int, seconds: float) -> None:
        """The engine computed a batch. `padded_tokens` are its tokens and its padding."""
        labels = (model,)
        with self._lock:
            self._inference.observe(seconds, labels)
            self._batch_texts.observe(texts, labels)
            self._batch_tokens.observe(tokens, labels)
            if padded_tokens:
                self._padding.observe(1 - tokens / padded_tokens, labels)
            self._computed_texts.add(texts, labels)
            self._computed_tokens.add(tokens, labels)
            self._te_batch_size.observe(texts)
            self._te_batch_tokens.observe(tokens)

    def shared(self, model: str, texts: int) -> None:
        """Texts get the result of an equal text, and are not computed themselves."""
        with self._lock:
            self._shared.add(texts, (model,))

    def dropped(self, model: str, reason: str, texts: int) -> None:
        """Texts were dropped before they were computed: their client has gone, or their deadline has passed."""
        with self._lock:
            self._dropped.add(texts, (model, reason))
            self._te_failure.add(texts, ("dropped",))

    def queue(self, model: str, texts: int, tokens: int) -> None:
        """So many texts and tokens wait to be computed now."""
        with self._lock:
            self._queue_texts.set(texts, (model,))
            self._queue_tokens.set(tokens, (model,))
            self._te_queue.set(self._queue_texts.total())

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics, and their content type: OpenMetrics where the `Accept` header asks for it."""
        # prometheus_client's own choice fails on some headers.
        encode, content_type = choose_encoder(_OPENMETRICS if _OPENMETRICS in accept else "")
        content = encode(self._registry)
        for name in self._series.plain:
            # The older text format has counters of any name.
            content = content.replace(f"# TYPE {name} untyped\n".encode(), f"# TYPE {name} counter\n".encode())
        return content, content_type

    def _te_request(self, status: int, seconds: float, computed: Computed) -> None:
        method, task = ("single" if computed.single else "batch",), computed.task
        self._te_count.add(1, method)
        self._te_texts[task, "count"].add(computed.texts)
        if status >= 300:
            return
        self._te_success.add(1, method)
        self._te_texts[task, "success"].add(computed.texts)
        stages = (seconds, computed.tokenization, computed.queue, computed.inference)
        for stage, duration in zip(_TE_STAGES, stages, strict=True):
            self._te_seconds["request", stage].observe(duration)
            self._te_seconds[task, stage].observe(duration, times=computed.texts)
