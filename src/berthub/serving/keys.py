"""API keys: who may use the server, and under which name.

A file (`--api-key-file`) has one key a line, `NAME KEY` or `KEY`; the environment variable `BERTHUB_API_KEYS` has the
same, separated by commas or line breaks. Names appear in logs and metrics, and requests are shared out fairly between
them. Keys themselves appear nowhere: only keyed hashes of them are kept, and no message shows a line of the file.
"""

import hashlib
import hmac
import re
import secrets
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from berthub.errors import InputError

__all__ = ["ENVIRONMENT", "ApiKeys", "load_keys", "presented"]

ENVIRONMENT = "BERTHUB_API_KEYS"

_SHORTEST = 8
_LONGEST = 1024
# Each request is compared with every key.
_MOST_KEYS = 1000
_MOST_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY = re.compile(r"[\x21-\x7e]+")
_HEADERS = ("x-api-key", "api-key")


@dataclass(frozen=True)
class ApiKeys:
    """The keys that are accepted, as keyed hashes, with the name of each; `notices` are for the operator."""

    names: tuple[str, ...]
    notices: tuple[str, ...] = ()
    _digests: tuple[bytes, ...] = field(repr=False, default=())
    _salt: bytes = field(repr=False, default=b"")

    def name_of(self, presented: str) -> str | None:
        """The name of a key that a client presents; None where it is none of them.

        It is compared with every key, each in constant time, so that the time tells nothing of the keys.
        """
        digest = _digest(presented, self._salt)
        found: str | None = None
        for name, accepted in zip(self.names, self._digests, strict=True):
            if hmac.compare_digest(digest, accepted):
                found = name
        return found


def load_keys(file: str | Path | None, environment: Mapping[str, str]) -> ApiKeys | None:
    """The keys of a file and of the environment together; None where there is neither."""
    lines: list[tuple[str, str]] = []
    notices: tuple[str, ...] = ()
    if file is not None:
        text, notices = _read(Path(file))
        lines += _lines(text.splitlines(), f"the API key file {file}", "line")
    if ENVIRONMENT in environment:
        entries = re.split(r"[,\n\r]+", environment[ENVIRONMENT])
        lines += _lines(entries, f"the environment variable {ENVIRONMENT}", "entry")
    if file is None and ENVIRONMENT not in environment:
        return None
    return _keys(lines, notices)


def presented(headers: Mapping[str, str]) -> str | None:
    """The key in a request's headers: `Authorization: Bearer KEY`, `x-api-key: KEY` or `api-key: KEY`."""
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    for name in _HEADERS:
        if value := headers.get(name, "").strip():
            return value
    return None


def _read(path: Path) -> tuple[str, tuple[str, ...]]:
    try:
        with path.open("rb") as file:
            status = stat.S_IMODE(path.stat().st_mode)
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"The API key file {path} cannot be read: {error.strerror or type(error).__name__}."
        ) from error
    if len(content) > _MOST_BYTES:
        raise InputError(f"The API key file {path} is larger than {_MOST_BYTES:,} bytes. It has one key a line.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # The error of the decoder would show what it could not decode.
        raise InputError(f"The API key file {path} is no UTF-8 text. It has one key a line.") from None
    if status & stat.S_IROTH:
        notice = f"The API key file {path} can be read by every user of this machine: chmod o-r closes it."
        return text, (notice,)
    return text, ()


def _lines(lines: Iterable[str], source: str, unit: str) -> list[tuple[str, str]]:
    """The names (empty where none is given) and keys; messages show neither, since one may stand for the other."""
    found = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        where = f"{source[0].upper()}{source[1:]}, {unit} {number}"
        if len(words) > 2:
            raise InputError(f"{where}: {len(words)} words, where NAME KEY or KEY is expected.")
        name, key = ("", words[0]) if len(words) == 1 else (words[0], words[1])
        if name and not _NAME.fullmatch(name):
            raise InputError(f"{where}: the name has to be up to 64 letters, digits, dots, dashes and underscores.")
        if not _KEY.fullmatch(key):
            raise InputError(
                f"{where}: the key has characters that no HTTP header can carry. Printable ASCII is accepted."
            )
        if not _SHORTEST <= len(key) <= _LONGEST:
            accepted = f"{_SHORTEST} to {_LONGEST:,} characters are accepted"
            raise InputError(
                f"{where}: the key has {len(key):,} characters; {accepted}. `openssl rand -hex 32` makes one."
            )
        found.append((name, key))
    if not found:
        raise InputError(
            f"{source[0].upper()}{source[1:]} holds no API key. Without keys every request would be answered; "
            f"to serve without keys, give neither --api-key-file nor {ENVIRONMENT}."
        )
    return found


def _keys(lines: list[tuple[str, str]], notices: tuple[str, ...]) -> ApiKeys:
    if len(lines) > _MOST_KEYS:
        raise InputError(f"{len(lines):,} API keys were given; at most {_MOST_KEYS:,} are accepted.")
    names = [name or f"key-{position}" for position, (name, _) in enumerate(lines, 1)]
    for kind, values in (("name", names), ("key", [key for _, key in lines])):
        seen: dict[str, int] = {}
        for position, value in enumerate(values, 1):
            if value in seen:
                raise InputError(
                    f"API keys {seen[value]} and {position} (as they stand, from the top) have the same {kind}."
                )
            seen[value] = position
    salt = secrets.token_bytes(32)
    return ApiKeys(tuple(names), notices, tuple(_digest(key, salt) for _, key in lines), salt)


def _digest(key: str, salt: bytes) -> bytes:
    return hmac.digest(salt, key.encode("utf-8", "surrogatepass"), hashlib.sha256)
