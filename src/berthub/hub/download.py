"""How is one file downloaded over http(s): retried, bounded, and known to be whole?"""

from pathlib import Path
from typing import TYPE_CHECKING

from berthub.errors import FetchError

if TYPE_CHECKING:
    import requests

__all__ = ["MAX_DOWNLOAD_BYTES", "download"]

MAX_DOWNLOAD_BYTES = 32 << 30
RETRIES = 4
BACKOFF_SECONDS = 0.5
"""The first wait between two tries; each next one is twice as long."""
TIMEOUTS_SECONDS = (10.0, 60.0)
"""How long to wait for a connection, and between two bytes."""

_CHUNK = 1 << 20
_RETRIED = (429, 500, 502, 503, 504)


def download(url: str, to: Path, *, shown: str) -> None:
    """Download `url` to the new file `to`; `shown` stands for the address in messages.

    Connection failures and the server's own errors are tried again a few times. Raises `FetchError` with the
    status, and when fewer bytes came than were announced or more than `MAX_DOWNLOAD_BYTES`.
    """
    import requests
    import urllib3

    try:
        with _session() as session:
            # Compression in transit would make the length say nothing, and archives are compressed as they
            # are.
            headers = {"Accept-Encoding": "identity"}
            with session.get(url, stream=True, timeout=TIMEOUTS_SECONDS, headers=headers) as response:
                _check(response, shown)
                _save(response, to, shown)
    except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
        raise FetchError(
            f"cannot download {shown}: {type(error).__name__}: {_without(str(error), url, shown)}\n"
            "Check the address and the network (a proxy is taken from HTTPS_PROXY), and try again; or "
            "download the archive by other means and give its path."
        ) from error


def _session() -> "requests.Session":
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    retry = Retry(
        total=RETRIES,
        backoff_factor=BACKOFF_SECONDS,
        status_forcelist=_RETRIED,
        # The last answer tells more than that there were too many.
        raise_on_status=False,
        # It is the server that says how long, which may be hours.
        respect_retry_after_header=False,
    )
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=retry))
    session.mount("https://", HTTPAdapter(max_retries=retry))
    return session


def _check(response: "requests.Response", shown: str) -> None:
    status = response.status_code
    if status == 200:
        return
    if status in (401, 403):
        advice = "The server asks for permission: download it in a browser, and give the file's path."
    elif status in (404, 410):
        advice = "Nothing is there: check the address."
    elif status in _RETRIED:
        advice = f"The server failed {RETRIES + 1} times: try again later."
    else:
        advice = "Check the address in a browser."
    raise FetchError(f"cannot download {shown}: HTTP status {status} {response.reason}.\n{advice}")


def _save(response: "requests.Response", to: Path, shown: str) -> None:
    announced = response.headers.get("Content-Length", "")
    expected = int(announced) if announced.isdecimal() else None
    if expected is not None and expected > MAX_DOWNLOAD_BYTES:
        raise _too_large(shown)
    came = 0
    with to.open("xb") as out:
        for chunk in response.raw.stream(_CHUNK, decode_content=False):
            came += len(chunk)
            if came > MAX_DOWNLOAD_BYTES:
                raise _too_large(shown)
            out.write(chunk)
    if expected is not None and came != expected:
        raise FetchError(
            f"cannot download {shown}: {came:,} bytes came of the {expected:,} that were announced. Try again."
        )


def _too_large(shown: str) -> FetchError:
    return FetchError(
        f"cannot download {shown}: it is larger than {MAX_DOWNLOAD_BYTES:,} bytes. If that is right, "
        "download it by other means and give the unpacked folder."
    )


def _without(message: str, url: str, shown: str) -> str:
    """The message without the address's password and query, which may be secrets."""
    tail = url.partition("://")[2].partition("/")[2]
    return message.replace(url, shown).replace(f"/{tail}", "/..." if tail else "/")
