"""The server: uvicorn with this application, its signals, and its end."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import uvicorn

from berthub.encoding.encoder import Encoder
from berthub.errors import InputError
from berthub.serving.accepting import AcceptingServer
from berthub.serving.app import create_app
from berthub.serving.batcher import BatchingOptions
from berthub.serving.bounds import Bounds
from berthub.serving.keys import ApiKeys
from berthub.serving.logs import configure_logs
from berthub.serving.metrics import Metrics
from berthub.serving.models import Models, ModelSource
from berthub.serving.page import page_routes
from berthub.serving.protocol import bounded_protocol
from berthub.serving.service import Service
from berthub.serving.state import RequestLimits, ServerState
from berthub.serving.tracing import load_tracing

__all__ = ["Options", "check_certificate", "serve"]

_LOGGER = logging.getLogger(__name__)

# Threads that tokenize and make answers beside the batcher's.
_THREADS = 4
# Others that tokenize megabytes.
_LARGE_THREADS = 2
_TICK = 0.02
# A server that ends answers 503 until so many seconds after the last request, so that clients learn of it.
_QUIET = 0.3
# But not for longer than this.
_TELLING = 1.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a server; `drain_seconds` is how long it finishes what it took when it is to stop."""

    host: str = "127.0.0.1"
    port: int = 8080
    batching: BatchingOptions = field(default_factory=BatchingOptions)
    limits: RequestLimits = field(default_factory=RequestLimits)
    bounds: Bounds = field(default_factory=Bounds)
    drain_seconds: float = 30.0
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    origins: Sequence[str] = ()
    page: bool = True
    model_control: bool = False
    log_format: Literal["json", "text"] = "text"
    log_level: int = logging.INFO


def serve(
    sources: Sequence[ModelSource],
    options: Options,
    *,
    keys: ApiKeys | None = None,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve models until SIGTERM or SIGINT comes; `started` is told the address when all models are loaded.

    Raises what loading a model raises at the start, and `InputError` for an address that cannot be had, and for a
    certificate that cannot be used.
    """
    if options.tls_certificate is not None:
        check_certificate(options.tls_certificate, options.tls_key)
    with listening(options.host, options.port) as listener:
        undo = configure_logs(options.log_format, level=options.log_level)
        try:
            Server(sources, options, keys=keys, started=started).run_on(listener)
        finally:
            undo()


def check_certificate(certificate: Path, key: Path | None) -> None:
    """`InputError` for a certificate and a key that cannot be read, or do not belong together."""
    for name, file in (("certificate", certificate), ("key", key)):
        try:
            if file is not None:
                file.open("rb").close()
        except OSError as error:
            raise InputError(f"the {name} {file} cannot be read: {error.strerror or type(error).__name__}") from error
    try:
        # A key with a password would be asked for at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: b"")
    except (ssl.SSLError, ValueError) as error:
        what = getattr(error, "reason", None) or "no PEM, or a password protects it"
        raise InputError(
            f"the certificate {certificate} and the key {key} cannot be used: {what}; --tls-cert and --tls-key take "
            "PEM files without a password that belong together"
        ) from error


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket at an address; port 0 is any that is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(
                f"cannot listen at {host}:{port}: {reason}; --host and --port name another address"
            ) from error
        yield listener
    finally:
        listener.close()


class Server(AcceptingServer):
    """uvicorn's server, with an end of its own: it tells clients that it ends, and finishes what it took."""

    def __init__(
        self,
        sources: Sequence[ModelSource],
        options: Options,
        *,
        keys: ApiKeys | None = None,
        started: Callable[[str], None] | None = None,
    ) -> None:
        self._options = options
        self._told = started
        self._failure: BaseException | None = None
        self._ends: asyncio.Task[None] | None = None
        self.address = ""
        metrics = Metrics()
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="berthub-serving")
        large = self._large = ThreadPoolExecutor(_LARGE_THREADS, thread_name_prefix="berthub-large")

        def made(name: str, encoder: Encoder) -> Service:
            observer = _Told(metrics, name)
            return Service(name, encoder, pool=pool, large=large, options=options.batching, observer=observer)

        names: dict[str, ModelSource] = {source.name: source for source in sources}
        self.state = ServerState(
            models=Models(names, serve=made),
            metrics=metrics,
            pool=pool,
            limits=options.limits,
            keys=keys,
            tracing=load_tracing(os.environ),
            model_control=options.model_control,
            on_failure=self._failed,
        )
        app = create_app(self.state, page=page_routes() if options.page else (), origins=options.origins)
        super().__init__(
            uvicorn.Config(
                app,
                http=bounded_protocol(options.bounds, metrics.refused),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ssl_certfile=options.tls_certificate,
                ssl_keyfile=options.tls_key,
                # Beyond what `_drain` has waited for.
                timeout_graceful_shutdown=1,
            ),
            options.bounds,
        )

    def run_on(self, listener: socket.socket) -> None:
        """Serve at a listening socket until a signal comes."""
        host, port = listener.getsockname()[:2]
        scheme = "http" if self._options.tls_certificate is None else "https"
        self.address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        try:
            self.run(sockets=[listener])
        finally:
            for pool in (self.state.pool, self._large):
                pool.shutdown(wait=False, cancel_futures=True)
            self.state.tracing.close()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End, from any thread, as SIGTERM does."""
        self.loop.call_soon_threadsafe(self._end)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while the server runs: SIGTERM and SIGINT end it, a second one at once; SIGHUP reloads."""
        self.loop = asyncio.get_running_loop()
        handlers = {signal.SIGTERM: self._end, signal.SIGINT: self._end}
        if hasattr(signal, "SIGHUP"):
            handlers[signal.SIGHUP] = self._reload
        added: list[signal.Signals] = []
        watch = self.loop.create_task(self._tell())
        try:
            for number, handler in handlers.items():
                # Signals are for the main thread; on Windows the loop has none.
                with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                    self.loop.add_signal_handler(number, handler)
                    added.append(number)
            yield
        finally:
            watch.cancel()
            for number in added:
                self.loop.remove_signal_handler(number)

    async def _tell(self) -> None:
        """Tell when all models are there."""
        while not (self.started and self.state.models.ready):
            await asyncio.sleep(_TICK)
        _LOGGER.info("serving at %s", self.address)
        if self._told is not None:
            self._told(self.address)

    def _failed(self, error: BaseException) -> None:
        self._failure = error
        self.should_exit = True

    def _end(self) -> None:
        if self._ends is not None:
            self.force_exit = True
            self.should_exit = True
            return
        self.state.draining = True
        _LOGGER.info("ending: %d requests are under way", self.state.in_flight)
        self._ends = self.loop.create_task(self._drain())

    async def _drain(self) -> None:
        state, began = self.state, time.perf_counter()
        while (now := time.perf_counter()) < began + self._options.drain_seconds:
            told = now - state.last_request > _QUIET or now - began > _TELLING or not self.server_state.connections
            if told and not state.in_flight:
                break
            await asyncio.sleep(_TICK)
        # Nobody is let in any more; those who have just come in get their answer, too.
        for server in self.servers:
            server.close()
        until = time.perf_counter() + _QUIET
        while self.server_state.connections and time.perf_counter() < until:
            await asyncio.sleep(_TICK)
        if state.in_flight:
            _LOGGER.warning("%d requests were not finished in time", state.in_flight)
        self.should_exit = True

    def _reload(self) -> None:
        for model in self.state.models:
            task = self.loop.create_task(self.state.models.load(model.name))
            # A failure is logged where it happens, and the old model serves on.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())


@dataclass(frozen=True)
class _Told:
    """The metrics, told of one model."""

    metrics: Metrics
    model: str

    def tokenized(self, *, texts: int, tokens: int, seconds: float, lengths: npt.NDArray[np.int64]) -> None:
        self.metrics.tokenized(self.model, seconds, texts, tokens, lengths)

    def waited(self, seconds: float) -> None:
        self.metrics.waited(self.model, seconds)

    def batch_done(self, *, texts: int, tokens: int, padded_tokens: int, seconds: float) -> None:
        self.metrics.batch_done(self.model, texts, tokens, padded_tokens, seconds)

    def shared(self, texts: int) -> None:
        self.metrics.shared(self.model, texts)

    def dropped(self, reason: str, texts: int) -> None:
        self.metrics.dropped(self.model, reason, texts)
