"""Logs: what a line holds, that nothing breaks out of it, and that loggers are as they were afterwards."""

import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime

import pytest

from berthub.serving.logs import Access, JsonFormatter, TextFormatter, configure_logs, log_access, request_id

_ACCESS = Access(
    request_id="abc",
    method="POST",
    route="/v1/models/{name}",
    path="/v1/models/bert",
    status=200,
    seconds=0.0123456789,
    model="bert",
    texts=2,
    tokens=19,
    key="search",
    client="127.0.0.1:5000",
)
_EVIL = 'x\r\n{"level":"FORGED"}\x1b[31m\x7f\x9b\u2028\u202e'


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(params=["json", "text"])
def style(request: pytest.FixtureRequest, stream: io.StringIO) -> Iterator[str]:
    undo = configure_logs(request.param, stream=stream)
    yield request.param
    undo()


def _only_line(stream: io.StringIO) -> str:
    (line,) = stream.getvalue().splitlines()
    return line


def test_the_access_log(style: str, stream: io.StringIO) -> None:
    log_access(_ACCESS)
    line = _only_line(stream)
    if style == "json":
        found = json.loads(line)
        assert datetime.fromisoformat(found.pop("time")).utcoffset() is not None
        assert found == {
            "level": "INFO",
            "logger": "berthub.access",
            "message": "POST /v1/models/bert 200",
            "request_id": "abc",
            "method": "POST",
            "route": "/v1/models/{name}",
            "path": "/v1/models/bert",
            "status": 200,
            "seconds": 0.012346,
            "model": "bert",
            "texts": 2,
            "tokens": 19,
            "key": "search",
            "client": "127.0.0.1:5000",
        }
    else:
        assert line.split(" ", 1)[1] == (
            "INFO berthub.access POST /v1/models/bert 200 request_id=abc seconds=0.012346 route=/v1/models/{name} "
            "model=bert texts=2 tokens=19 key=search client=127.0.0.1:5000"
        )


def test_what_is_unknown_is_left_out(style: str, stream: io.StringIO) -> None:
    log_access(Access(request_id="a b", method="GET", path="/", status=404, seconds=0.0))
    line = _only_line(stream)
    assert "model" not in line
    assert ('"request_id": "a b"' if style == "json" else 'request_id="a b"') in line


def test_nothing_breaks_out_of_its_line(style: str, stream: io.StringIO) -> None:
    log_access(Access(request_id="a", method="GET", path=_EVIL, status=404, seconds=0.0, model=_EVIL, client="x=1 y"))
    logging.getLogger("berthub.serving").warning("odd: %s", _EVIL, extra={"fields": {"level": "FORGED", "what": _EVIL}})
    lines = stream.getvalue().split("\n")
    assert len(lines) == 3
    assert all(character.isprintable() for line in lines for character in line)
    if style == "json":
        first, second = json.loads(lines[0]), json.loads(lines[1])
        assert first["path"] == first["model"] == _EVIL
        assert (second["level"], second["what"]) == ("WARNING", _EVIL)


def test_half_a_surrogate_pair_can_be_written() -> None:
    # Not through a logger: pytest keeps what is logged, and cannot send this to another process.
    record = logging.LogRecord("berthub", logging.INFO, "", 0, "odd: %s", ("a\ud800",), None)
    assert json.loads(JsonFormatter().format(record))["message"] == "odd: a\ud800"
    assert TextFormatter().format(record).endswith("odd: a\\ud800")


def test_exceptions(style: str, stream: io.StringIO) -> None:
    try:
        raise ValueError(f"broken\n2026-01-01T00:00:00Z INFO forged {_EVIL}")
    except ValueError:
        logging.getLogger("berthub.serving").exception("failed")
    lines = stream.getvalue().split("\n")[:-1]
    if style == "json":
        assert json.loads(lines[0])["exception"].startswith("Traceback")
        assert len(lines) == 1
    else:
        assert len(lines) > 4
        assert all(line.startswith("    ") for line in lines[1:])
    assert all(character.isprintable() for line in lines for character in line)


def test_long_paths_are_shortened(style: str, stream: io.StringIO) -> None:
    log_access(Access(request_id="a", method="GET", path="/" * 30_000, status=404, seconds=0.0))
    assert len(stream.getvalue()) < 5000
    assert "... (30,000 characters)" in stream.getvalue()


def test_probes_are_quiet_while_they_succeed(style: str, stream: io.StringIO) -> None:
    for status in (200, 503):
        log_access(Access(request_id="a", method="GET", path="/health", route="/health", status=status, seconds=0.0))
    assert "503" in _only_line(stream)


def test_uvicorn_and_warnings_are_logged_too(style: str, stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("uvicorn.error").info("Waiting for application startup.")
    # It would write query strings.
    logging.getLogger("uvicorn.access").info("GET /?secret=1")
    assert not logging.getLogger("uvicorn.access").propagate
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("truncated", UserWarning, stacklevel=1)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert "Invalid HTTP" in lines[0]
    assert "truncated" in lines[1]
    assert "secret" not in stream.getvalue()


def test_loggers_are_as_they_were_afterwards(stream: io.StringIO) -> None:
    names = ["berthub", "uvicorn", "uvicorn.error", "uvicorn.access", "py.warnings"]

    def state() -> list[object]:
        loggers = [logging.getLogger(name) for name in names]
        return [(logger.handlers, logger.level, logger.propagate, warnings.showwarning) for logger in loggers]

    before = state()
    undo = configure_logs("json", stream=stream)
    assert state() != before
    undo()
    assert state() == before
    logging.getLogger("berthub").error("not there any more")
    assert stream.getvalue() == ""
    assert not sys.stderr.closed


@pytest.mark.parametrize("header", ["a", "0" * 128, "req_123-ABC/~!"])
def test_a_sane_request_id_is_kept(header: str) -> None:
    assert request_id(header) == header


@pytest.mark.parametrize(
    "header", [None, "", " ", "a b", "0" * 129, "a\n", "a\x7f", "ü", "\ud800", "a\r\nset-cookie: x"]
)
def test_any_other_is_replaced(header: str | None) -> None:
    made = request_id(header)
    assert len(made) == 32
    assert int(made, 16) >= 0
    assert made != request_id(header)
