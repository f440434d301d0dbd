"""A server with models, in a thread of the test's process, on the loopback interface."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import httpx

from berthub.encoding.encoder import Encoder
from berthub.serving.keys import ApiKeys
from berthub.serving.models import ModelSource
from berthub.serving.server import Options, Server, listening

__all__ = ["RunningServer"]

_PATIENCE = 120


class RunningServer:
    """A server that runs while a test is inside `with`: `url`, a `client` for it, and the server itself.

    `models` gives for each name an encoder, or a function that loads one.
    """

    def __init__(
        self,
        models: Mapping[str, Encoder | Callable[[], Encoder]],
        *,
        keys: ApiKeys | None = None,
        wait: bool = True,
        **options: Any,
    ) -> None:
        sources = [
            ModelSource(name=name, handle=f"handle/{name}", load=_loader(model)) for name, model in models.items()
        ]
        self._ready = threading.Event()
        self._wait = wait
        settings = replace(Options(port=0, drain_seconds=10.0), **options)
        self.server = Server(sources, settings, keys=keys, started=lambda address: self._ready.set())
        self._listener = listening(settings.host, settings.port)
        self._thread = threading.Thread(target=self._run)
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        socket = self._listener.__enter__()
        self.port = socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._socket = socket
        self._thread.start()
        while self._wait and not self._ready.wait(0.01):
            assert self._thread.is_alive(), f"the server has ended: {self.error!r}"
        self.client = httpx.Client(base_url=self.url, timeout=_PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        if self._thread.is_alive():
            self.server.stop()
        self._thread.join(_PATIENCE)
        self._listener.__exit__(kind, error, trace)
        assert not self._thread.is_alive(), "the server has not ended"

    def _run(self) -> None:
        try:
            self.server.run_on(self._socket)
        except BaseException as error:
            self.error = error


def _loader(model: Encoder | Callable[[], Encoder]) -> Callable[[], Encoder]:
    return model if callable(model) and not isinstance(model, Encoder) else lambda: model  # type: ignore[return-value]
