"""Download one file over http(s): retried, resumed, bounded in size and time, checked to be whole."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urljoin, urlsplit

from berthub.errors import FetchError
from berthub.sources.redaction import client_error, public_spelling, redact, redacted_logs, secrets_of
from berthub.sources.watchdog import Watchdog

if TYPE_CHECKING:
    import requests

__all__ = ["MAX_DOWNLOAD_BYTES", "download"]

MAX_DOWNLOAD_BYTES = 32 << 30
MAX_SECONDS = 24 * 3600.0
"""How long one file may take with all its tries."""
SLOWEST_WINDOW_SECONDS = 60.0
SLOWEST_BYTES = 60 << 10
"""A connection over which fewer bytes came in so many seconds is given up, and the next try goes on where it ended."""
RETRIES = 4
"""How often is tried again in a row when nothing came; what came goes on being added to."""
MAX_TRIES = 100
BACKOFF_SECONDS = 0.5
"""The first wait between two tries; each next one is twice as long."""
TIMEOUTS_SECONDS = (10.0, 60.0)
"""How long to wait for a connection, and between two bytes."""
MAX_REDIRECTS = 10

# Small enough for a slow connection to be seen as one that moves.
_CHUNK = 1 << 15
# With less the next try does not count as the first again.
_PROGRESS = 1 << 20
_RETRIED = (408, 429, 500, 502, 503, 504)
_LENGTH = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")


def download(url: str, to: Path, *, shown: str) -> None:
    """Download `url` to the new file `to`; `shown` stands for the address in messages.

    Connections that fail, break off or become too slow, and the server's own errors, are tried again a few times; what
    came is kept where the server can go on after it and says that the file is still the same. Redirects are followed,
    but not from https to http. Raises `FetchError` with the status, when fewer bytes came than were announced, more
    than `MAX_DOWNLOAD_BYTES`, or none for too long.
    """
    wanted = _Wanted(url, shown, deadline=time.monotonic() + MAX_SECONDS)
    failures = 0
    with to.open("xb") as out:
        for left in reversed(range(MAX_TRIES)):
            before = out.tell()
            failure = _try(wanted, out)
            if failure is None:
                return
            failures = 1 if out.tell() - before >= _PROGRESS else failures + 1
            if failure.final or failures > RETRIES or time.monotonic() >= wanted.deadline or not left:
                raise failure.error from failure.cause
            time.sleep(BACKOFF_SECONDS * 2 ** (failures - 1))


@dataclass
class _Wanted:
    """The wanted file, and what is known of it so far."""

    url: str
    shown: str
    deadline: float
    secrets: list[str] = field(default_factory=list)
    whole: int | None = None
    """The number of bytes of all of it, when the server announced them."""
    validator: str | None = None
    """What the server calls this very content: a range is asked for on the condition that it is still so."""

    def __post_init__(self) -> None:
        self.secrets.extend(secrets_of(self.url))


@dataclass(frozen=True)
class _Failure:
    """The failure of a try: the error to raise if it was the last, and whether another try would fail too."""

    error: FetchError
    final: bool
    cause: Exception | None = None


def _try(wanted: _Wanted, out: BinaryIO) -> _Failure | None:
    """Request the missing bytes, and add them to `out`; returns the failure, if there was one."""
    import requests
    import urllib3

    broken: Exception | None = None
    why = None
    try:
        with (
            redacted_logs("urllib3.connectionpool", "urllib3.util.retry", secrets=wanted.secrets),
            Watchdog(
                deadline=wanted.deadline, window=SLOWEST_WINDOW_SECONDS, least_bytes=SLOWEST_BYTES
            ) as watchdog,
        ):  # fmt: skip
            try:
                with _answer(wanted, watchdog, out.tell()) as response:
                    failure = _refusal(response, wanted, out) or _save(response, wanted, out, watchdog)
            finally:
                why = watchdog.why
        if why is None:
            return failure
    except FetchError as refused:
        return _Failure(refused, final=True)
    # ValueError: what an address, a header or a proxy's address raises that is malformed.
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        broken = error
    if why is not None:
        return _Failure(FetchError(f"cannot download {wanted.shown}: {why}.\n{_BY_OTHER_MEANS}"), final=False)
    assert broken is not None
    said = redact(str(broken), (*wanted.secrets, wanted.url))
    failed = FetchError(f"cannot download {wanted.shown}: {type(broken).__name__}: {said}\n{_ADVICE}")
    return _Failure(failed, final=not _may_pass(broken), cause=client_error(broken, wanted.secrets))


def _may_pass(error: Exception) -> bool:
    """Whether the failure was the network's, and may pass."""
    import requests
    import urllib3

    if isinstance(error, requests.exceptions.SSLError | requests.exceptions.InvalidProxyURL):
        return False
    passing = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    broken = (urllib3.exceptions.ProtocolError, urllib3.exceptions.TimeoutError)
    return isinstance(error, passing + broken)


@contextmanager
def _answer(wanted: _Wanted, watchdog: Watchdog, begin: int) -> Iterator["requests.Response"]:
    """The response at the end of all redirects."""
    import requests

    # Compression in transit would make the length say nothing, and archives are compressed as they are.
    headers = {"Accept-Encoding": "identity"}
    if begin and wanted.validator:
        headers |= {"Range": f"bytes={begin}-", "If-Range": wanted.validator}
    with _session() as session:
        adapter = watchdog.adapter()
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        url = wanted.url
        auth: tuple[str, str] | None = None
        for _ in range(MAX_REDIRECTS + 1):
            with session.get(
                url, stream=True, timeout=TIMEOUTS_SECONDS, headers=headers, allow_redirects=False, auth=auth
            ) as response:
                if not response.is_redirect:
                    yield response
                    return
                there = _target(response, url, wanted)
            if not _same_server(url, there):
                auth = None
            elif any(given := requests.utils.get_auth_from_url(url)):
                auth = given
            url = there
    raise FetchError(f"cannot download {wanted.shown}: it leads to another address more than {MAX_REDIRECTS} times.")


def _session() -> "requests.Session":
    import requests

    class Session(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> None:
            """Always None: a session would read a redirect's address even when it shall not follow it."""

    return Session()


def _same_server(url: str, there: str) -> bool:
    """Whether two addresses have one server, so that a password for one may be sent to the other."""
    one, other = urlsplit(url), urlsplit(there)
    return (one.scheme, one.hostname, one.port) == (other.scheme, other.hostname, other.port)


def _target(response: "requests.Response", url: str, wanted: _Wanted) -> str:
    """The address that a redirect leads to; its signature becomes one of the secrets."""
    raw = response.headers["Location"]
    failure = f"cannot download {wanted.shown}: the server leads to "
    try:
        there = urljoin(url, raw.encode("latin-1").decode("utf-8", "replace"))
        parts = urlsplit(there)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        valid = False
        there = raw
    wanted.secrets.extend(secrets_of(there))
    if not valid:
        raise FetchError(
            f"{failure}{public_spelling(there)[:200]!r}, which is no valid http(s) address. Check the address."
        )
    if urlsplit(url).scheme == "https" and parts.scheme == "http":
        raise FetchError(
            f"{failure}{public_spelling(there)[:200]!r}, from https to http, where anybody on the way can change what "
            "comes.\nIf that is right, give that address yourself, and pin the content (#sha256=HEX)."
        )
    return there


def _refusal(response: "requests.Response", wanted: _Wanted, out: BinaryIO) -> _Failure | None:
    """The failure that a response's status means, None if the bytes follow; notes what is announced."""
    status = response.status_code
    if status == 206 and out.tell():
        return _misplaced(response, wanted, out)
    if status == 416 and out.tell():
        _begin_anew(out)
        return _Failure(_status_error(response, wanted), final=False)
    if status != 200:
        return _Failure(_status_error(response, wanted), final=status not in _RETRIED)
    _begin_anew(out)
    announced = response.headers.get("Content-Length", "")
    wanted.whole = int(announced) if _LENGTH.fullmatch(announced) else None
    if wanted.whole is not None and wanted.whole > MAX_DOWNLOAD_BYTES:
        return _Failure(_too_large(wanted.shown), final=True)
    tag, date = response.headers.get("ETag", ""), response.headers.get("Last-Modified")
    # A weak tag (W/) does not promise the same bytes.
    wanted.validator = tag if tag.startswith('"') and tag.isascii() else date
    return None


def _misplaced(response: "requests.Response", wanted: _Wanted, out: BinaryIO) -> _Failure | None:
    """A failure if the range that came does not continue after the bytes that are there."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found and int(found[1]) == out.tell() and (found[3] == "*" or wanted.whole in (None, int(found[3]))):
        if found[3] != "*":
            wanted.whole = int(found[3])
        return None
    wanted.validator = None
    _begin_anew(out)
    return _Failure(
        FetchError(f"cannot download {wanted.shown}: another range came than was asked for. Try again."), final=False
    )


def _begin_anew(out: BinaryIO) -> None:
    out.seek(0)
    out.truncate()


def _status_error(response: "requests.Response", wanted: _Wanted) -> FetchError:
    status = response.status_code
    if status in (401, 403):
        advice = "The server asks for permission: download it in a browser, and give the file's path."
    elif status in (404, 410):
        advice = "Nothing is there: check the address."
    elif status in _RETRIED:
        advice = f"The server failed {RETRIES + 1} times: try again later."
    else:
        advice = "Check the address in a browser."
    reason = redact(response.reason or "", wanted.secrets)[:200]
    return FetchError(f"cannot download {wanted.shown}: HTTP status {status} {reason}.\n{advice}")


def _save(response: "requests.Response", wanted: _Wanted, out: BinaryIO, watchdog: Watchdog) -> _Failure | None:
    while chunk := response.raw.read(_CHUNK, decode_content=False):
        if out.tell() + len(chunk) > MAX_DOWNLOAD_BYTES:
            return _Failure(_too_large(wanted.shown), final=True)
        watchdog.came(len(chunk))
        out.write(chunk)
    if wanted.whole is None or out.tell() == wanted.whole or watchdog.why is not None:
        return None
    said = f"{out.tell():,} bytes came of the {wanted.whole:,} that were announced. Try again."
    return _Failure(FetchError(f"cannot download {wanted.shown}: {said}"), final=out.tell() > wanted.whole)


def _too_large(shown: str) -> FetchError:
    return FetchError(
        f"cannot download {shown}: it is larger than {MAX_DOWNLOAD_BYTES:,} bytes. If that is right, "
        "download it by other means and give the unpacked folder."
    )


_BY_OTHER_MEANS = "Try again, or download the archive by other means and give its path."
_ADVICE = (
    "Check the address and the network (a proxy is taken from HTTPS_PROXY), and try again; or "
    "download the archive by other means and give its path."
)
