"""The ways in which a request can fail, and the HTTP status of each: the one place where errors become statuses."""

from typing import ClassVar, Literal

from berthub.errors import BerthubError, InputError, UnsupportedModelError

__all__ = [
    "BadRequestError",
    "ConflictError",
    "DeadlineError",
    "ForbiddenError",
    "Kind",
    "MediaTypeError",
    "QueueFullError",
    "RequestError",
    "TooLargeError",
    "UnauthorizedError",
    "UnavailableError",
    "UnknownModelError",
    "UnprocessableError",
    "as_request_error",
]

Kind = Literal["auth", "backend", "input", "missing", "overloaded", "size", "timeout", "unready"]
"""What is at fault, in a word: dialects have names of their own for it."""


class RequestError(BerthubError):
    """A request that cannot be answered; `status` is the HTTP status, `retry_after` in how many seconds to try again.

    `where` is the place in the request that is at fault, as far as one is: `input[3]`.
    """

    status: ClassVar[int] = 500
    kind: ClassVar[Kind] = "backend"

    def __init__(self, message: str, *, where: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.where = where
        self.retry_after = retry_after


class BadRequestError(RequestError):
    """The body is no JSON, or has the wrong shape."""

    status, kind = 400, "input"


class UnauthorizedError(RequestError):
    """No API key came, or a wrong one."""

    status, kind = 401, "auth"


class ForbiddenError(RequestError):
    """The operator has not allowed it."""

    status, kind = 403, "auth"


class UnknownModelError(RequestError):
    """No model has that name."""

    status, kind = 404, "missing"


class ConflictError(RequestError):
    """It cannot be done in the state in which things are."""

    status, kind = 409, "input"


class TooLargeError(RequestError):
    """The request is larger than the server takes, in bytes, texts or tokens."""

    status, kind = 413, "size"


class MediaTypeError(RequestError):
    """The body is in a format that is not taken."""

    status, kind = 415, "input"


class UnprocessableError(RequestError):
    """The request has the right shape, and the model cannot do it."""

    status, kind = 422, "input"


class QueueFullError(RequestError):
    """More is waiting than the server takes."""

    status, kind = 429, "overloaded"


class UnavailableError(RequestError):
    """The model is being loaded, or the server is about to stop."""

    status, kind = 503, "unready"


class DeadlineError(RequestError):
    """The request's time was over before it was computed."""

    status, kind = 504, "timeout"


def as_request_error(error: BaseException) -> RequestError:
    """The error that a client gets: the library's own about input become 422; of a bug nothing is told."""
    if isinstance(error, RequestError):
        return error
    # The latter of a model without vectors of texts; loading a model raises none in a request.
    if isinstance(error, InputError | UnsupportedModelError):
        return UnprocessableError(str(error))
    return RequestError("a bug in the server; its log has more under the request's id")
