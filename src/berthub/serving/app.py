"""The application: the endpoints of all dialects, behind Starlette's router."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from berthub.serving import health
from berthub.serving.answers import Answer, as_json
from berthub.serving.call import Call
from berthub.serving.dialects import kserve, openai, tei, tf_serving
from berthub.serving.endpoint import Endpoint
from berthub.serving.logs import Access, log_access, request_id
from berthub.serving.openapi import document
from berthub.serving.state import ServerState

__all__ = ["create_app"]

_DIALECTS = (openai, tei, tf_serving, kserve)
# What is asked for under other paths than those of the endpoints, in logs and metrics.
_NO_ROUTE = "(none)"


def create_app(state: ServerState, *, page: Sequence[BaseRoute] = (), origins: Sequence[str] = ()) -> Starlette:
    """The application of a server; it loads the models when it starts. `origins` may use it from other pages (CORS)."""
    endpoints = [*health.ENDPOINTS, *(endpoint for dialect in _DIALECTS for endpoint in dialect.ENDPOINTS)]
    schemas: dict[str, Any] = {}
    for dialect in _DIALECTS:
        schemas.update(dialect.SCHEMAS)
    endpoints.append(_document_endpoint([*endpoints], schemas))

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        loading = [asyncio.create_task(_load(state, model.name)) for model in state.models]
        try:
            yield
        finally:
            for task in loading:
                task.cancel()
            await asyncio.gather(*loading, return_exceptions=True)
            await state.models.close(timeout=1.0)

    middleware = [
        Middleware(CORSMiddleware, allow_origins=list(origins), allow_methods=["GET", "POST"], allow_headers=["*"])
    ]
    app = Starlette(
        routes=[*(Route(each.path, each, methods=[each.method]) for each in endpoints), *page],
        middleware=middleware if origins else [],
        exception_handlers={HTTPException: _no_route},
        lifespan=lifespan,
    )
    app.state.server = state
    state.last_request = time.perf_counter()
    return app


async def _load(state: ServerState, name: str) -> None:
    try:
        await state.models.load(name)
    except Exception as error:
        # Told to whoever runs the server, which ends it.
        if state.on_failure is None:
            raise
        state.on_failure(error)


def _document_endpoint(endpoints: Sequence[Endpoint], schemas: Mapping[str, Any]) -> Endpoint:
    content = as_json(document(endpoints, schemas))

    async def handler(call: Call) -> Answer:
        return Answer(content)

    return Endpoint(path="/openapi.json", method="GET", handler=handler, open=True, always=True)


async def _no_route(request: Request, error: Exception) -> Response:
    """The answer where no endpoint is: the path is unknown, or takes another method."""
    assert isinstance(error, HTTPException), "the handler is registered for these"
    allowed = (error.headers or {}).get("Allow", "")
    message = (
        f"{request.method} is not taken here; {allowed} is"
        if error.status_code == 405
        else "nothing is served under this path; /openapi.json lists what is"
    )
    identity, metrics = request_id(request.headers.get("x-request-id")), request.app.state.server.metrics
    metrics.request_started(_NO_ROUTE)
    metrics.request_ended(_NO_ROUTE, "", error.status_code, 0.0)
    log_access(
        Access(
            request_id=identity,
            method=request.method,
            # Not that of the URL, which leaves control characters out.
            path=request.scope["path"],
            status=error.status_code,
            seconds=0.0,
            route=_NO_ROUTE,
            client=request.client.host if request.client else None,
        )
    )
    headers = {"x-request-id": identity, **(error.headers or {})}
    return Response(as_json({"error": message}), error.status_code, headers=headers, media_type="application/json")
