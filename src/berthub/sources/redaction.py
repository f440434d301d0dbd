"""Keep the secrets of an address out of all that is shown or written.

A password, a token or a signature may stand in an address that the user gives, in one that a server redirects to, in
the environment (proxies, pip's index, the hubs' tokens), and so in whatever the clients of the network say. Two rules
keep them in: an address is shown by its `public_spelling` alone, and what another library said is shown `redact`ed,
as a copy: its exceptions are never chained, for they hold addresses in a dozen attributes.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    import logging

__all__ = [
    "ClientError",
    "client_error",
    "environment_secrets",
    "public_spelling",
    "redact",
    "redacted_logs",
    "secrets_of",
    "without_credentials",
]

_HIDDEN = "***"
# What is shorter is no secret, and would be found in every other word.
_SHORTEST_SECRET = 4
_LONGEST_CHAIN = 8

_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "KAGGLE_API_TOKEN", "KAGGLE_KEY")
_ADDRESSES = (
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_PROXY",
)

# Servers choose a part of what is searched: each pattern is bounded, so that time grows with the length alone.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://")
_END = r"\s'\"<>()\[\]{}`"
_ADDRESS = re.compile(rf"({_SCHEME.pattern})(?:[^{_END}/?#]*@)?([^\s'\"<>(){{}}`?#]*)(?:[?#][^{_END}]*)?")
_QUERY = re.compile(rf"\?[^{_END}?=]*=[^{_END}]*")
_BEFORE_A_HOST = re.compile(r"^(?!(?:hf|kaggle|pypi):)[^/@:\s]+:[^/@\s]*@")
_CREDENTIAL = (
    r"x-(?:amz|goog|ms)-[\w-]+|awsaccesskeyid|googleaccessid|key-pair-id|expires|policy|jwt|auth|"
    r"(?:[\w-]*[_-])?(?:access_?key|api_?key|credentials?|key|passw(?:or)?d|pwd|secret|sig|signature|token)|"
    r"[\w-]*(?:apikey|secret|signature|token)"
)
_PARAMETER = re.compile(rf"(?<![\w-])([\w-]{{1,64}})=([^{_END}&,;]+)")
_HEADER = re.compile(r"(authorization['\"]?\s*[:=]\s*['\"]?(?:basic |bearer |token )?)[^\s'\",;]+", re.IGNORECASE)
_IS_CREDENTIAL = re.compile(_CREDENTIAL, re.IGNORECASE)
# The other parameters of a shared access signature of Azure, which tell nothing of the content.
_AZURE = frozenset(
    ("se", "si", "sig", "sip", "ske", "skoid", "sks", "skt", "sktid", "skv", "sp", "spr", "sr", "srt", "ss", "st", "sv")
)


class ClientError(Exception):
    """An error of a network client, as text without secrets."""


def public_spelling(handle: str | os.PathLike[str] | None) -> str:
    """The handle without secrets, to be shown and written: an address without user, password, query and fragment.

    Its pin, `#sha256=HEX`, stays. None, the default model, is "the default model".
    """
    if handle is None:
        return "the default model"
    if not isinstance(handle, str):
        return os.fsdecode(handle)
    text, mark, pin = handle.strip().partition("#sha256=")
    pin = mark + pin if re.fullmatch(r"[0-9A-Za-z]*", pin) else mark + _HIDDEN
    if not _SCHEME.match(text):
        return _QUERY.sub("", _BEFORE_A_HOST.sub(f"{_HIDDEN}@", redact(text) if "://" in text else text)) + pin
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        if "@" in text:
            # Where the password ends cannot be told.
            return f"{text.partition('://')[0]}://{_HIDDEN}{pin}"
    scheme, _, rest = re.split(r"[?#]", text, maxsplit=1)[0].partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}{pin}"


def secrets_of(url: str) -> tuple[str, ...]:
    """The secrets of an address: its user and password, and all of its query and fragment."""
    rest, _, fragment = url.partition("#")
    rest, _, query = rest.partition("?")
    user, _, password = rest.partition("://")[2].partition("/")[0].rpartition("@")[0].partition(":")
    values = [pair.partition("=")[2] or pair for pair in re.split(r"[&;]", query)]
    found = [user if not password else "", password, query, fragment, *values]
    return tuple(dict.fromkeys(spelled for text in found for spelled in (text, unquote(text)) if spelled))


def environment_secrets() -> tuple[str, ...]:
    """The tokens and passwords in the environment that the clients of the network use."""
    found = [os.environ.get(name, "") for name in _TOKENS]
    for name in _ADDRESSES:
        for address in (os.environ.get(name, "") + " " + os.environ.get(name.lower(), "")).split():
            found.extend(secrets_of(address if "://" in address else f"http://{address}"))
    return tuple(dict.fromkeys(text for text in found if text))


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without `secrets`, without what comes before and after the path of any address, and without the
    values of parameters that are called token, key, signature and the like.
    """
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, _HIDDEN)
    text = _ADDRESS.sub(lambda found: found[1] + found[2], text)
    text = _QUERY.sub("", text)
    text = _PARAMETER.sub(lambda found: f"{found[1]}={_HIDDEN}" if _is_credential(found[1]) else found[0], text)
    return _HEADER.sub(lambda found: found[1] + _HIDDEN, text)


def client_error(error: BaseException, secrets: Iterable[str] = ()) -> ClientError:
    """A copy of an exception and of those that it came from, as text; to be chained in its place.

    Raise the error that carries it outside the `except` block: inside, Python chains the original as well.
    """
    hidden = (*secrets, *environment_secrets())
    lines: list[str] = []
    now: BaseException | None = error
    while now is not None and len(lines) < _LONGEST_CHAIN:
        kind = type(now)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        lines.append(f"{name}: {redact(str(now), hidden)}")
        now = now.__cause__ or (None if now.__suppress_context__ else now.__context__)
    return ClientError("\n  from ".join(lines))


def without_credentials(url: str) -> str:
    """The address without credentials: two users' signed addresses of one file become the same."""
    rest, _, query = url.partition("#")[0].partition("?")
    scheme, _, rest = rest.partition("://")
    authority, slash, path = rest.partition("/")
    pairs = [pair for pair in query.split("&") if pair]
    names = [unquote(pair.partition("=")[0]) for pair in pairs]
    azure = _AZURE if "sig" in names else frozenset[str]()
    kept = [
        pair for pair, name in zip(pairs, names, strict=True) if not (_is_credential(name) or name.lower() in azure)
    ]
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}" + ("?" + "&".join(kept) if kept else "")


def _is_credential(name: str) -> bool:
    return len(name) <= 64 and _IS_CREDENTIAL.fullmatch(name) is not None


@contextmanager
def redacted_logs(*loggers: str, secrets: Iterable[str] = ()) -> Iterator[None]:
    """A context in which these loggers are redacted: clients log the addresses that they request."""
    import logging

    hidden = (*secrets, *environment_secrets())

    def hide(record: "logging.LogRecord") -> bool:
        try:
            record.msg, record.args = redact(record.getMessage(), hidden), ()
        except (TypeError, ValueError):
            record.msg, record.args = "a record that cannot be formatted", ()
        return True

    found = [logging.getLogger(name) for name in loggers]
    for logger in found:
        logger.addFilter(hide)
    try:
        yield
    finally:
        for logger in found:
            logger.removeFilter(hide)
