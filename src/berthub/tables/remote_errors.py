"""What goes wrong between here and a remote file: which errors pass by themselves, and what is said of the others.

The clients of object stores raise errors of their own libraries. They are told apart by their class names and by their
HTTP status, so that no such library is imported here. None is chained as it is: it may hold a key or a token.
"""

import errno
import random
import time
from collections.abc import Callable
from typing import TypeVar

from berthub.errors import BerthubError, InputError
from berthub.sources.redaction import ClientError, client_error

__all__ = ["TRIES", "retried"]

TRIES = 4
"""How often a request is made before its transient error is final."""

_FIRST_WAIT = 0.5
_LONGEST_TEXT = 400

_PASSING_STATUS = {408, 425, 429}
# Broken connections are classes of their own. Not every system knows all of these.
_PASSING_ERRNO = {
    getattr(errno, name, errno.EIO)
    for name in ("EIO", "EREMOTEIO", "EBUSY", "EAGAIN", "EINTR", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH")
}
# Classes of botocore, aiohttp, httpx, requests, urllib3 and http.client: a connection failed, or an answer broke off.
_PASSING_CLASSES = {
    "ChecksumError",
    "ChunkedEncodingError",
    "ClientConnectionError",
    "ClientPayloadError",
    "ConnectionError",
    "HTTPClientError",
    "IncompleteRead",
    "IncompleteReadError",
    "ProtocolError",
    "ResponseParserError",
    "Timeout",
    "TransportError",
}
_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run `aws configure`",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
    "hf": "set HF_TOKEN, or run `hf auth login`",
}
_CREDENTIALS["s3a"] = _CREDENTIALS["s3"]
_CREDENTIALS["gcs"] = _CREDENTIALS["gs"]

T = TypeVar("T")


def retried(request: Callable[[], T], *, name: str, protocol: str, anonymous: Callable[[], bool] | None = None) -> T:
    """The result of a request for the remote file `name`; `InputError` for what cannot be had.

    A transient error is waited out: the request is made up to `TRIES` times, after waits that double, each varied so
    that many readers do not come back at one moment. `anonymous` says whether requests carry no credentials.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return request()
        except BerthubError:
            raise
        except Exception as error:  # The libraries' errors have no root in common.
            failed, passing = error, _is_passing(error)
            message = _message(error, name, protocol, anonymous is not None and anonymous())
        if not passing or attempt == TRIES:
            break
        time.sleep(_FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
    cause = client_error(failed)
    del failed
    if passing:
        message = f"{name} cannot be read, after {TRIES} tries: {_told(cause)}"
    # Outside of the block above: inside, Python would chain the original.
    raise InputError(message) from cause


def _is_passing(error: Exception) -> bool:
    """Whether an error may be gone when the request is made again."""
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError):
        return False
    status = _status(error)
    if status is not None:
        return status >= 500 or status in _PASSING_STATUS
    if isinstance(error, TimeoutError | ConnectionError):
        return True
    if _classes(error) & _PASSING_CLASSES:
        return True
    return isinstance(error, OSError) and error.errno in _PASSING_ERRNO


def _message(error: Exception, name: str, protocol: str, anonymous: bool) -> str:
    status, advice = _status(error), _CREDENTIALS.get(protocol)
    if isinstance(error, FileNotFoundError) or status == 404:
        hidden = f" (or it is private: {advice})" if protocol == "hf" else ""
        return f"not found: {name}; there is no such file or folder, or no such bucket or repository{hidden}"
    if any("Credentials" in kind for kind in _classes(error)):
        return f"{name} cannot be read without credentials" + (f": {advice}" if advice else "")
    refused = isinstance(error, PermissionError) or status in (401, 403) or str(error).startswith("Forbidden")
    if refused and anonymous:
        return f"{name} is not public, and no credentials were found" + (f": {advice}" if advice else "")
    told = _told(client_error(error))
    if refused:
        return f"access to {name} is refused: {told}. Check the credentials" + (f": {advice}" if advice else "")
    if "FileExpired" in _classes(error):
        return f"{name} was changed while it was read. Read it again when nobody writes to it, or read a copy"
    if "range requests" in str(error):
        return f"the server of {name} gives files only as a whole: download it, and read the copy"
    return f"{name} cannot be read: {told}"


def _told(error: ClientError) -> str:
    """What the first of the errors said, in one line."""
    text = " ".join(str(error).partition("\n  from ")[0].split())
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."


def _status(error: Exception) -> int | None:
    """The HTTP status that an error carries, wherever its library keeps it."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):
        found = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(answer, "status_code", None) or getattr(error, "status", None) or getattr(error, "code", None)
    try:
        return None if found is None else int(found)
    except (TypeError, ValueError):
        return None


def _classes(error: Exception) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}
