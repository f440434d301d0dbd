"""The routes of the page: the files of the folder `web`, which a browser may load and nothing else."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

__all__ = ["page_routes"]

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_START = "index.html"
_HEADERS = {
    # A text that somebody pastes can neither run as a script nor send anything elsewhere.
    "content-security-policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # The browser asks each time, and gets 304 until berthub is updated.
    "cache-control": "no-cache",
}


@dataclass(frozen=True)
class _File:
    content: bytes
    content_type: str
    etag: str


def page_routes() -> list[BaseRoute]:
    """The routes `/` and `/web/{name}`, with the page's files read from the package once."""
    found = _files()

    async def start(request: Request) -> Response:
        return _answer(found[_START], request)

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        # The names that there are, and no path: nothing outside of the folder can be asked for.
        if name not in found or name == _START:
            return PlainTextResponse("The page has no file of this name.", 404, headers=_HEADERS)
        return _answer(found[name], request)

    return [Route("/", start), Route("/web/{name}", file)]


def _files() -> dict[str, _File]:
    read = {}
    for place in files("berthub.serving").joinpath("web").iterdir():
        content_type = _TYPES.get(place.name.rpartition(".")[2])
        if content_type is not None:
            content = place.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            read[place.name] = _File(content, content_type, etag)
    return read


def _answer(file: _File, request: Request) -> Response:
    headers = {**_HEADERS, "etag": file.etag}
    if _has_it(request.headers.getlist("if-none-match"), file.etag):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers={**headers, "content-type": file.content_type})


def _has_it(fields: list[str], etag: str) -> bool:
    """Whether the header If-None-Match names the ETag. Weak ones count as equal, as RFC 9110 says."""
    known = {part.strip().removeprefix("W/") for field in fields for part in field.split(",")}
    return etag in known or "*" in known
