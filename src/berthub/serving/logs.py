"""Logs of the server: one line a record, as JSON or as text, and the ids by which requests are found in them.

What a client sent cannot end a line or steer a terminal: control characters are escaped. Bodies, query strings and keys
are never logged; of a key, its name is.
"""

import itertools
import json
import logging
import re
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

__all__ = ["Access", "JsonFormatter", "TextFormatter", "configure_logs", "log_access", "request_id"]

_ID = re.compile(r"[\x21-\x7e]{1,128}")
# Control characters, line separators, marks that turn the direction of writing, and halves of surrogate pairs.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_PLAIN = re.compile(r"[\w./:@{}*+,-]+")
_LONGEST = 2048
# Asked for every few seconds by machines; told at the level DEBUG while they succeed.
_QUIET = frozenset({"/health", "/v2/health/live", "/v2/health/ready", "/metrics"})
_LOGGERS = ("berthub", "uvicorn", "uvicorn.error", "uvicorn.asgi", "uvicorn.access", "py.warnings")
# It writes query strings.
_SILENT = "uvicorn.access"
_encode = json.JSONEncoder(default=str).encode
# Ids of this process: random once, and then counted, for random numbers are a call to the system each.
_PROCESS = uuid.uuid4().hex[:20]
_NUMBERS = itertools.count(1)
_access = logging.getLogger("berthub.access")


@dataclass(frozen=True, kw_only=True)
class Access:
    """What the access log says of one request; what is None is left out. `key` is the name of the key."""

    request_id: str
    method: str
    path: str
    status: int
    seconds: float
    route: str | None = None
    model: str | None = None
    texts: int | None = None
    tokens: int | None = None
    key: str | None = None
    client: str | None = None
    trace_id: str | None = None


_ACCESS = tuple(each.name for each in fields(Access))


def request_id(header: str | None) -> str:
    """The id of a request: the client's `x-request-id` if it is 1 to 128 printable ASCII characters, else a new one."""
    return header if header is not None and _ID.fullmatch(header) else f"{_PROCESS}{next(_NUMBERS):012x}"


def log_access(access: Access) -> None:
    """Log one answered request."""
    level = logging.DEBUG if access.route in _QUIET and access.status < 400 else logging.INFO
    if _access.isEnabledFor(level):
        found = {name: getattr(access, name) for name in _ACCESS}
        path = found["path"] = _shortened(access.path)
        message = "%s %s %d"
        _access.log(level, message, access.method, path, access.status, extra={"fields": found})


def configure_logs(
    style: Literal["json", "text"], *, level: int = logging.INFO, stream: TextIO | None = None
) -> Callable[[], None]:
    """Send the logs of berthub and uvicorn, and warnings, to a stream; the function that is returned undoes it.

    It changes state of the process, and is for a process that is a server: uvicorn has to be started with
    `log_config=None`, or it would configure its loggers itself.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    before = []
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        before.append((logger, logger.handlers[:], logger.level, logger.propagate))
        # The children of `uvicorn` reach its handler.
        logger.handlers = [handler] if "." not in name or name == "py.warnings" else []
        logger.propagate = "." in name and name not in ("py.warnings", _SILENT)
        logger.setLevel(_level(name, level))
    logging.captureWarnings(True)

    def undo() -> None:
        logging.captureWarnings(False)
        for logger, handlers, old_level, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(old_level)
        handler.close()

    return undo


def _level(name: str, level: int) -> int:
    if "." in name:
        return logging.NOTSET
    # At the level INFO uvicorn tells of its own starting and ending, in several lines.
    return max(level, logging.WARNING) if name == "uvicorn" and level == logging.INFO else level


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update((name, value) for name, value in _fields(record).items() if name not in line)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line).replace("\x7f", "\\u007f")


class TextFormatter(logging.Formatter):
    """A record as a line that people read; the lines of a traceback follow, each of them indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines."""
        parts = [_time(record), record.levelname, record.name, _escaped(record.getMessage())]
        shown = _fields(record)
        parts += [
            f"{name}={_quoted(value)}" for name, value in shown.items() if name not in ("method", "path", "status")
        ]
        lines = [" ".join(parts)]
        if record.exc_info:
            # An exception may quote what a client sent: no line of it may look like a record.
            lines += [f"    {_escaped(line)}" for line in self.formatException(record.exc_info).splitlines()]
        return "\n".join(lines)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds") + "Z"


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    found = getattr(record, "fields", None)
    if not isinstance(found, Mapping):
        return {}
    rounded = {name: round(value, 6) if isinstance(value, float) else value for name, value in found.items()}
    return {name: value for name, value in rounded.items() if value is not None}


def _quoted(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(_escaped(text), ensure_ascii=False)


def _escaped(text: str) -> str:
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text):,} characters)"
