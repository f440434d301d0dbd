"""The OpenAPI document, made of what the endpoints say of themselves (https://spec.openapis.org/oas/v3.1.0)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from berthub.serving.endpoint import Endpoint
from berthub.version import __version__

__all__ = ["document"]

_ERRORS = {
    400: "The body is no JSON, or has the wrong shape",
    401: "No API key came, or a wrong one",
    403: "The operator has not allowed it",
    404: "There is no such model",
    409: "The model is being loaded",
    413: "The request is too large",
    415: "The body is in a format that is not taken",
    422: "The model cannot do it",
    429: "The queue is full",
    503: "The model is being loaded, or the server is about to stop",
    504: "The request's time was over",
}


def document(endpoints: Sequence[Endpoint], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document of these endpoints; `schemas` are those that their operations name."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "berthub", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": dict(schemas),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    about = endpoint.operation
    answer = about.get("answer")
    media: dict[str, Any] = {} if answer is None else {"application/json": {"schema": _reference(answer)}}
    # Where the header Accept asks for them.
    media |= {name: {"schema": {"type": "string", "format": "binary"}} for name in about.get("bytes", ())}
    content = {"content": media} if media else {}
    operation: dict[str, Any] = {
        "summary": about.get("summary", endpoint.path),
        "operationId": re.sub(r"\W+", "_", f"{endpoint.method.lower()}{endpoint.path}").strip("_"),
        "responses": {
            "200": {"description": "Done", **content},
            **{str(status): {"description": text} for status, text in _ERRORS.items()},
        },
    }
    names = re.findall(r"{(\w+)(?::\w+)?}", endpoint.path)
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if "body" in about:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _reference(about["body"])}},
        }
    if not endpoint.open:
        operation["security"] = [{"key": []}]
    return operation


def _reference(name: str) -> Mapping[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
