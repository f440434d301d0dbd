"""The models of a server by name: loaded in the background, replaced without losing a request."""

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from berthub.encoding.encoder import Encoder
from berthub.serving.failures import ConflictError, UnavailableError, UnknownModelError
from berthub.serving.service import Service

__all__ = ["Model", "ModelSource", "Models", "State"]

_LOGGER = logging.getLogger(__name__)

_MOMENT = 0.02

State = Literal["failed", "loading", "ready", "unloaded"]


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """Where a model comes from: `handle`, as it may be shown, and a function that loads it."""

    name: str
    handle: str
    load: Callable[[], Encoder]


class Model:
    """A model under its name. `version` counts how often it was loaded; `fault` says why it could not be."""

    def __init__(self, source: ModelSource) -> None:
        self.source = source
        self.state: State = "unloaded"
        self.service: Service | None = None
        self.version = 0
        self.fault: str | None = None
        self.loading: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The name that clients use."""
        return self.source.name


class Models:
    """All models of a server, the first of which is the default; for the event loop's thread alone.

    `serve` makes a service of a loaded encoder, in a thread of the loader.
    """

    def __init__(self, sources: Mapping[str, ModelSource], *, serve: Callable[[str, Encoder], Service]) -> None:
        self._models = {name: Model(source) for name, source in sources.items()}
        self._serve = serve
        self._closing: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    @property
    def default(self) -> Model:
        """The model that requests get which name none."""
        return next(iter(self._models.values()))

    @property
    def ready(self) -> bool:
        """Whether all models can serve."""
        return all(model.service is not None for model in self._models.values())

    def model(self, name: str | None) -> Model:
        """The model of that name, None for the default; `UnknownModelError` names those that there are."""
        if name is None:
            return self.default
        model = self._models.get(name) or next((each for each in self if each.source.handle == name), None)
        if model is None:
            raise UnknownModelError(
                f"there is no model {name[:200]!r}; this server has {', '.join(map(repr, self._models))}", where="model"
            )
        return model

    def service(self, name: str | None = None) -> Service:
        """The service of the model of that name; `UnavailableError` while it is being loaded.

        Who uses it counts up its `users` meanwhile.
        """
        model = self.model(name)
        if model.service is not None:
            return model.service
        if model.state == "loading":
            raise UnavailableError(f"the model {model.name!r} is being loaded: try again", retry_after=2)
        why = f" ({model.fault})" if model.fault else ""
        raise UnavailableError(f"the model {model.name!r} is not loaded{why}")

    async def load(self, name: str | None = None) -> Model:
        """Load a model, or load it anew; the old one serves until the new one is ready, and then what it has taken.

        Raises what loading raises: the old one serves on then. Who asks while it is being loaded waits for the same.
        """
        model = self.model(name)
        if model.loading is None:
            model.loading = asyncio.create_task(self._load(model))
        # A client that goes away does not end it.
        await asyncio.shield(model.loading)
        return model

    async def unload(self, name: str) -> Model:
        """Let a model serve no more, after the requests that it has taken; `ConflictError` while it is being loaded."""
        model = self.model(name)
        if model.loading is not None:
            raise ConflictError(f"the model {model.name!r} is being loaded: try again", retry_after=2)
        old, model.service, model.state = model.service, None, "unloaded"
        self._retire(old)
        return model

    async def close(self, timeout: float) -> bool:
        """End all services; whether they could finish what they had taken within `timeout` seconds."""
        services = [model.service for model in self._models.values() if model.service is not None]
        done = await asyncio.gather(*(asyncio.to_thread(service.close, timeout) for service in services))
        if self._closing:
            await asyncio.wait(self._closing, timeout=timeout)
        return all(done)

    async def _load(self, model: Model) -> None:
        if model.service is None:
            model.state = "loading"
        try:
            service = await asyncio.to_thread(self._made, model.source)
        except Exception as error:
            model.fault = str(error)
            if model.service is None:
                model.state = "failed"
            _LOGGER.error("the model %s could not be loaded: %s", model.name, error)
            raise
        finally:
            model.loading = None
        old, model.service = model.service, service
        model.state, model.fault = "ready", None
        model.version += 1
        _LOGGER.info("the model %s is ready", model.name)
        self._retire(old)

    def _made(self, source: ModelSource) -> Service:
        service = self._serve(source.name, source.load())
        service.warm_up()
        return service

    def _retire(self, service: Service | None) -> None:
        """Let a service finish what it has taken, and end."""
        if service is None:
            return

        async def close() -> None:
            # Requests that got it may still be tokenized.
            while service.users:
                await asyncio.sleep(_MOMENT)
            await asyncio.to_thread(service.close)

        loop = asyncio.get_running_loop()
        task = loop.create_task(close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        # An encoder is part of circles, and as large as its weights: it does not wait for the collector's own time.
        task.add_done_callback(lambda _: loop.call_later(_MOMENT, gc.collect))
