"""OpenAI's dialect: `/v1/embeddings` and `/v1/models` (https://platform.openai.com/docs/api-reference/embeddings)."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from berthub.encoding.request import Prompt, Request
from berthub.engines.engine import Floats
from berthub.serving.answers import Answer, as_json, json_answer, list_answer
from berthub.serving.bodies import Fields, is_ids
from berthub.serving.call import Call, truncation_headers
from berthub.serving.dimensions import dimensions_of, first_dimensions
from berthub.serving.endpoint import Endpoint
from berthub.serving.failures import BadRequestError, Kind, RequestError, UnprocessableError
from berthub.serving.results import Encoded
from berthub.serving.service import Service
from berthub.serving.versions import version_status

__all__ = ["ENDPOINTS", "SCHEMAS"]

_CODES: Mapping[Kind, str] = {
    "auth": "invalid_api_key",
    "backend": "internal_error",
    "input": "invalid_value",
    "missing": "model_not_found",
    "overloaded": "rate_limit_exceeded",
    "size": "request_too_large",
    "timeout": "timeout",
    "unready": "service_unavailable",
}


def failure(error: RequestError) -> Any:
    """The body of an error as OpenAI's clients read it."""
    kind = "server_error" if error.status >= 500 else "invalid_request_error"
    return {"error": {"message": str(error), "type": kind, "param": error.where, "code": _CODES[error.kind]}}


async def embeddings(call: Call) -> Answer:
    """Vectors of texts, of pieces' ids, or of lists of either."""
    fields = Fields.of(call.json())
    given = fields.required("input")
    encoding = fields.choice("encoding_format", ("float", "base64"), "float")
    service = call.service(fields.string("model"))
    embedding = service.encoder.checkpoint.embedding
    request = Request.of_vectors(service.encoder.checkpoint, prompt=Prompt.of(embedding, service.tokenizer))
    dimensions = dimensions_of(fields, service, request)
    truncates = _truncates(fields)
    terms = call.terms(priority=fields.integer("priority", least=-1000, most=1000))
    call.ledger.task, call.ledger.single = "embed", isinstance(given, str)

    if is_ids(given):
        encoded = await service.encode_tokens([given], request, terms=terms)
    elif isinstance(given, list) and given and all(isinstance(each, list) for each in given):
        call.check_count(given, "input")
        for index, row in enumerate(given):
            if not is_ids(row):
                raise BadRequestError(f"input[{index}] must be a list of the ids of tokens", where=f"input[{index}]")
        encoded = await service.encode_tokens(given, request, terms=terms)
    else:
        texts = [given] if isinstance(given, str) else call.texts(given, "input")
        if not texts:
            raise BadRequestError("input is an empty list", where="input")
        truncation = call.truncation(truncates)
        encoded = await service.encode(texts, request, terms=terms, truncation=truncation)
    return _answer(encoded, service, encoding=encoding, dimensions=dimensions)


def _answer(encoded: Encoded, service: Service, *, encoding: str, dimensions: int | None) -> Answer:
    vectors = first_dimensions(encoded.embedding(), dimensions, unit=True)
    used = len(encoded.tokens.ids)
    after = as_json({"model": service.name, "object": "list", "usage": {"prompt_tokens": used, "total_tokens": used}})

    def write(index: int, vector: Floats) -> bytes:
        if encoding == "base64":
            raw = np.ascontiguousarray(vector, np.dtype("<f4")).tobytes()
            return b'{"object":"embedding","index":%d,"embedding":"%b"}' % (index, base64.b64encode(raw))
        return b'{"object":"embedding","index":%d,"embedding":%b}' % (index, as_json(vector))

    return list_answer(
        vectors,
        write=write,
        floats=vectors.size,
        before=b'{"data":[',
        after=b"]," + after[1:],
        headers=truncation_headers(encoded.truncated),
    )


def _truncates(fields: Fields) -> bool | None:
    """Whether texts that are too long are truncated, by vLLM's field; None where the request does not say."""
    name = "truncate_prompt_tokens"
    limit = fields.integer(name)
    if limit not in (None, -1):
        raise UnprocessableError(
            f"{name} is {limit}, and only -1 is taken: texts are truncated to what the model takes", where=name
        )
    return None if limit is None else True


async def models(call: Call) -> Answer:
    """The models that there are."""
    return json_answer({"object": "list", "data": [_about(model.name) for model in call.state.models]})


async def model(call: Call) -> Answer:
    """One model, with TensorFlow Serving's status of it, which has the same path."""
    model = call.state.models.model(call.path["name"])
    return json_answer({**_about(model.name), **version_status(model)})


def _about(name: str) -> Mapping[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "berthub"}


_IDS = {"type": "array", "items": {"type": "integer"}, "minItems": 1}

SCHEMAS: Mapping[str, Any] = {
    "OpenAIError": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type"],
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                    "param": {"type": ["string", "null"]},
                    "code": {"type": ["string", "null"]},
                },
            }
        },
    },
    "OpenAIEmbeddings": {
        "type": "object",
        "required": ["input"],
        "properties": {
            "input": {
                "oneOf": [
                    {"type": "string"},
                    {"type": "array", "items": {"type": "string"}, "minItems": 1},
                    _IDS,
                    {"type": "array", "items": _IDS, "minItems": 1},
                ]
            },
            "model": {"type": ["string", "null"]},
            "encoding_format": {"enum": ["float", "base64", None]},
            "dimensions": {"type": ["integer", "null"], "minimum": 1},
            "user": {"type": ["string", "null"]},
            "priority": {"type": ["integer", "null"], "minimum": -1000, "maximum": 1000},
            "truncate_prompt_tokens": {"enum": [-1, None]},
        },
    },
    "OpenAIVectors": {
        "type": "object",
        "required": ["object", "data", "model", "usage"],
        "properties": {"object": {"const": "list"}, "data": {"type": "array"}, "usage": {"type": "object"}},
    },
}

ENDPOINTS = (
    Endpoint(
        path="/v1/embeddings",
        method="POST",
        handler=embeddings,
        failure=failure,
        operation={"summary": "Vectors of texts (OpenAI)", "body": "OpenAIEmbeddings", "answer": "OpenAIVectors"},
    ),
    Endpoint(path="/v1/models", method="GET", handler=models, failure=failure, operation={"summary": "The models"}),
    Endpoint(
        path="/v1/models/{name}", method="GET", handler=model, failure=failure, operation={"summary": "One model"}
    ),
)
