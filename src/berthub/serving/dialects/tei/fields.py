"""What bodies of this dialect have in common, and how its errors look."""

from typing import Any

from berthub.serving.bodies import Fields
from berthub.serving.call import Call
from berthub.serving.failures import BadRequestError, RequestError, UnprocessableError
from berthub.serving.service import Service, Truncation
from berthub.tokenization.tokenizer import Text

__all__ = [
    "EmptyError",
    "TaskError",
    "check_prompt",
    "failure",
    "parameters_of",
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


def check_prompt(fields: Fields) -> None:
    """Refuse a `prompt_name`: prompts are not known."""
    name = fields.string("prompt_name")
    if name is not None:
        raise UnprocessableError(
            f"{fields.place('prompt_name')} is {name[:60]!r}, and prompts of models are not read: write the prompt "
            "before each text",
            where=fields.place("prompt_name"),
        )


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
