"""What bodies of this dialect have in common, and how its errors look."""

from typing import Any

from berthub.encoding.request import NO_PROMPT, Prompt
from berthub.serving.bodies import Fields
from berthub.serving.call import Call
from berthub.serving.failures import BadRequestError, RequestError, UnprocessableError
from berthub.serving.service import Service, Truncation
from berthub.tokenization.tokenizer import Text

__all__ = [
    "EmptyError",
    "TaskError",
    "failure",
    "named_prompt_of",
    "parameters_of",
    "prompt_of",
    "service_of",
    "strings_or_pairs",
    "token_failure",
    "truncation_of",
]

_TYPES = {
    "auth": "Validation",
    "backend": "Backend",
    "input": "Validation",
    "missing": "Validation",
    "overloaded": "Overloaded",
    "size": "Validation",
    "timeout": "Overloaded",
    "unready": "Unhealthy",
}


class EmptyError(BadRequestError):
    """There is no text."""


class TaskError(UnprocessableError):
    """The model is for another task."""


def failure(error: RequestError) -> Any:
    """The body of an error as TEI's clients read it."""
    return _body(error, _TYPES[error.kind])


def token_failure(error: RequestError) -> Any:
    """The same of the endpoints that only tokenize."""
    return _body(error, "Tokenizer" if error.status == 422 else _TYPES[error.kind])


def _body(error: RequestError, kind: str) -> Any:
    if isinstance(error, EmptyError):
        kind = "Empty"
    elif isinstance(error, TaskError):
        # What that server says of a model that is for another task, with the status 424.
        kind = "Backend"
    return {"error": str(error), "error_type": kind}


def service_of(call: Call, fields: Fields) -> Service:
    """The model that the body names, or the default."""
    return call.service(fields.string("model"))


def truncation_of(call: Call, fields: Fields) -> Truncation:
    """What is done with texts that are too long."""
    truncate = None if fields.values.get("truncate") is None else fields.boolean("truncate", False)
    side = fields.choice("truncation_direction", ("Right", "Left"), "Right")
    return call.truncation(truncate, side=side.lower())


def prompt_of(fields: Fields, service: Service) -> Prompt:
    """The prompt that a request names, else the model's default; `UnprocessableError` for a name that is not known."""
    name, embedding = fields.string("prompt_name"), service.encoder.checkpoint.embedding
    if name is not None and name not in embedding.prompts:
        there = ", ".join(embedding.prompts) or "none"
        raise UnprocessableError(
            f"{fields.place('prompt_name')} is {name[:60]!r}, and the model's prompts are: {there}; or write it before "
            "each text",
            where=fields.place("prompt_name"),
        )
    return Prompt.of(embedding, service.tokenizer, None, name)


def named_prompt_of(fields: Fields, service: Service) -> Prompt:
    """The prompt that a request names, and none where it names none: for tokens, not for sentence vectors."""
    return NO_PROMPT if fields.string("prompt_name") is None else prompt_of(fields, service)


def parameters_of(fields: Fields) -> Fields | None:
    """The `parameters` that Hugging Face's own clients send, None where there are none."""
    given = fields.values.get("parameters")
    return None if given is None else Fields.of(given, fields.place("parameters"))


def strings_or_pairs(call: Call, fields: Fields) -> tuple[list[Text], bool]:
    """The texts of `inputs`, and whether it was one text by itself: a string, or a list of strings and of pairs."""
    given = fields.required("inputs")
    if isinstance(given, str):
        return [given], True
    if given == []:
        raise EmptyError("inputs is an empty list", where="inputs")
    return call.texts(given, "inputs", pairs=True), False
