"""An endpoint: everything about a request that is the same in all dialects, as an ASGI application.

It checks the API key, reads the body within bounds, gives the request its deadline, lets go of what was asked for when
the client has gone, turns errors into answers, and tells logs and metrics.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from berthub.serving.answers import Answer, chunked, json_answer
from berthub.serving.call import Call
from berthub.serving.failures import (
    DeadlineError,
    MediaTypeError,
    RequestError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
    as_request_error,
)
from berthub.serving.keys import presented
from berthub.serving.logs import Access, log_access, request_id
from berthub.serving.metrics import Computed
from berthub.serving.state import ServerState

__all__ = ["Endpoint", "Failure", "Handler"]

_LOGGER = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[Call], Awaitable[Answer]]
Failure = Callable[[RequestError], Any]

# The client has gone: nobody reads this status, but logs and metrics do (nginx's).
_GONE = 499


class _GoneError(Exception):
    """The client has gone."""


def _plain(error: RequestError) -> Any:
    return {"error": str(error)}


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A path with its method, and the function that answers.

    `failure` makes the body of an error, as the dialect has it. An `open` endpoint needs no key; one that is `always`
    there answers while the server drains, too. `media` are the content types of bodies, None for any. `operation` is
    about the endpoint in the OpenAPI document.
    """

    path: str
    method: str
    handler: Handler
    failure: Failure = _plain
    open: bool = False
    always: bool = False
    media: tuple[str, ...] | None = ("application/json",)
    operation: Mapping[str, Any] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        state: ServerState = scope["app"].state.server
        began = time.perf_counter()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        identity = request_id(headers.get("x-request-id"))
        client = scope.get("client")
        call = Call(
            state=state,
            request_id=identity,
            headers=headers,
            path=scope.get("path_params", {}),
            key=f"client {client[0]}" if client else "client",
        )
        key: str | None = None
        state.metrics.request_started(self.path)
        state.last_request = time.perf_counter()
        state.in_flight += not self.always
        status = _GONE
        span = state.tracing.start(scope["method"], headers)
        answered = None
        try:
            try:
                key = self._admit(call)
                answer = await self._answer(call, receive)
            except Exception as error:
                answer = self._failed(error, call)
            status, answered = answer.status, time.perf_counter()
            await _send(answer, call, send)
        except (_GoneError, asyncio.CancelledError) as error:
            status = _GONE
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            state.in_flight -= not self.always
            ended = time.perf_counter()
            seconds = ended - began
            call.end()
            ledger = call.ledger
            computed = None
            if ledger.task is not None:
                computed = Computed(
                    task=ledger.task,
                    single=ledger.single,
                    texts=ledger.texts,
                    tokenization=ledger.seconds("tokenize"),
                    queue=ledger.seconds("queue"),
                    inference=ledger.seconds("compute"),
                )
            for stage in ledger.stages if span.trace_id else ():
                span.stage(*stage)
            if answered is not None:
                span.stage("serialize", answered, ended)
            about: dict[str, Any] = {
                "request_id": identity,
                "model": call.model or None,
                "texts": ledger.texts or None,
                "tokens": ledger.tokens or None,
            }
            span.end(route=self.path, status=status, **about)
            state.metrics.request_ended(self.path, call.model, status, seconds, computed)
            log_access(
                Access(
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    seconds=seconds,
                    route=self.path,
                    **about,
                    trace_id=span.trace_id,
                    key=key,
                    client=client[0] if client else None,
                )
            )

    def _admit(self, call: Call) -> str | None:
        """Check the key, and whether requests are taken; the key's name."""
        state = call.state
        name: str | None = None
        if state.keys is not None and not self.open:
            shown = presented(call.headers)
            name = None if shown is None else state.keys.name_of(shown)
            if name is None:
                what = "no API key came" if shown is None else "the API key is not known"
                raise UnauthorizedError(f"{what}: send the header `Authorization: Bearer KEY`")
            call.key = f"key {name}"
        if state.draining and not self.always:
            raise UnavailableError("the server is about to stop: try again", retry_after=1)
        call.read_terms()
        return name

    async def _answer(self, call: Call, receive: Receive) -> Answer:
        gone: asyncio.Task[None] | None = None
        try:
            if self.method == "POST":
                self._check_media(call)
                parts: list[bytes] = []
                async for part in _parts(call, receive):
                    call.hold(len(part))
                    parts.append(part)
                call.body = b"".join(parts)
                parts.clear()
            task = asyncio.current_task()
            assert task is not None, "a server runs requests in tasks"
            # While nothing is computed nobody has to be told.
            gone = asyncio.ensure_future(_gone(receive))
            gone.add_done_callback(lambda ended: None if ended.cancelled() else task.cancel())
            try:
                left = None if call.deadline is None else call.deadline - time.perf_counter()
                async with asyncio.timeout(left):
                    return await self.handler(call)
            except TimeoutError:
                raise DeadlineError("the request's time was over before it was computed") from None
            except asyncio.CancelledError:
                if gone.done() and task.cancelling() == 1:
                    task.uncancel()
                    raise _GoneError from None
                raise
        finally:
            if gone is not None:
                gone.cancel()
            call.body = b""

    def _check_media(self, call: Call) -> None:
        if call.headers.get("content-encoding", "identity").lower() != "identity":
            raise MediaTypeError("a body with a Content-Encoding is not taken: send it as it is")
        media = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        if self.media is not None and media and media not in self.media:
            raise MediaTypeError(
                f"a body of the type {media[:100]!r} is not taken: send the header "
                f"`Content-Type: {' or '.join(self.media)}`"
            )

    def _failed(self, error: Exception, call: Call) -> Answer:
        if isinstance(error, _GoneError):
            raise error
        failed = as_request_error(error)
        if failed.status == 500:
            _LOGGER.error("a request failed", exc_info=error, extra={"fields": {"request_id": call.request_id}})
        headers = {} if failed.retry_after is None else {"retry-after": str(failed.retry_after)}
        if failed.status == 401:
            headers["www-authenticate"] = "Bearer"
        return json_answer(self.failure(failed), status=failed.status, headers=headers)


async def _parts(call: Call, receive: Receive) -> Any:
    """The parts of a body as they come; `TooLargeError` as soon as it is known to be too large."""
    most = call.state.limits.body_bytes
    message = f"the body is larger than {most:,} bytes, the most that is taken: send the texts in parts"
    length = call.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise TooLargeError(message)
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise _GoneError
        part: bytes = event.get("body", b"")
        size += len(part)
        if size > most:
            raise TooLargeError(message)
        if part:
            yield part
        if not event.get("more_body", False):
            return


async def _gone(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(answer: Answer, call: Call, send: Send) -> None:
    headers = {"content-type": answer.media_type, "x-request-id": call.request_id, **answer.headers}
    if call.state.draining:
        headers["connection"] = "close"
    body = answer.body
    if isinstance(body, bytes):
        headers["content-length"] = str(len(body))
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    if isinstance(body, bytes):
        await send({"type": "http.response.body", "body": body})
        return
    with closing(body):  # type: ignore[type-var]
        async for chunk in chunked(body, call.state.pool):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
