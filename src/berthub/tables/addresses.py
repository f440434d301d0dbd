"""Addresses of files: local paths, and the URLs that fsspec knows, such as s3://bucket/texts.parquet."""

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from berthub.errors import InputError, MissingDependencyError
from berthub.sources.redaction import public_spelling
from berthub.tables.remote_errors import retried

__all__ = [
    "FileStamp",
    "Remote",
    "file_stamp",
    "is_known_url",
    "is_url",
    "is_web_url",
    "local_path",
    "remote",
    "shown_address",
    "suffixes_of",
]

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://.")
_WEB = {"http", "https"}
_LOCAL = {"file", "local"}
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
# What changes with the content of a remote file, as the file systems of fsspec call it, the surest first. A listing and
# a request for one file tell the same.
_VERSIONS = (
    "ETag",
    "etag",
    "generation",
    "blob_id",
    "xet_hash",
    "sha",
    "md5Hash",
    "md5",
    "content_md5",
    "Content-MD5",
    "LastModified",
    "last_modified",
    "Last-Modified",
    "mtime",
    "modified",
    "created",
)


@dataclass(frozen=True)
class FileStamp:
    """What a file was like at one moment: its size in bytes, and a text that changes when the file does."""

    size: int
    version: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Remote:
    """A URL with the file system of fsspec that it lies in, and its path there."""

    address: str
    protocol: str
    system: Any
    path: str

    def retried(self, request: Any) -> Any:
        """The result of a request to the file system; `InputError` for what cannot be had."""
        return retried(
            request,
            name=shown_address(self.address),
            protocol=self.protocol,
            anonymous=lambda: getattr(self.system, "anon", False) is True,
        )

    def address_of(self, path: str) -> str:
        """The URL of another path in the same file system."""
        address, own = self.address.rstrip("/"), self.path.rstrip("/")
        if own and address.endswith(own):
            return address[: len(address) - len(own)] + path
        return f"{self.protocol}://{path.lstrip('/')}"

    def info(self) -> Mapping[str, Any]:
        """What the file system says of the file or folder, now and from no cache."""

        def request() -> Mapping[str, Any]:
            self.system.invalidate_cache()
            return self.system.info(self.path)  # type: ignore[no-any-return]

        return self.retried(request)  # type: ignore[no-any-return]


def is_url(address: str) -> bool:
    """Whether this has the form of a URL, other than that of a local file; its protocol may be unknown."""
    protocol = _protocol(address)
    return protocol is not None and protocol not in _LOCAL


def is_known_url(address: str) -> bool:
    """Whether this is a URL whose protocol fsspec knows."""
    return is_url(address) and _protocol(address) in _known_protocols()


def is_web_url(address: str) -> bool:
    """Whether this is a URL of the web, behind which there are no folders."""
    return _protocol(address) in _WEB


def local_path(address: str) -> Path | None:
    """The path of a local file, given as such or as file://; None for the URL of another file system."""
    if is_url(address):
        return None
    if _protocol(address) in _LOCAL:
        return Path(unquote(address.partition("://")[2]))
    return Path(address)


def shown_address(address: str) -> str:
    """The address as messages show it, without user, password, query and fragment."""
    if not is_url(address):
        return address
    if is_web_url(address):
        return public_spelling(address)
    protocol, _, rest = address.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{protocol}://{authority.rpartition('@')[2]}{slash}{path}"


def suffixes_of(address: str) -> list[str]:
    """The extensions of a file's name, in lower case."""
    path = urlsplit(address).path if is_web_url(address) else address
    # As Path.suffixes, which takes ten times as long, and there may be millions of files.
    name = (path if os.sep == "/" else path.replace(os.sep, "/")).rstrip("/").rpartition("/")[2]
    return [] if name.endswith(".") else [f".{suffix.lower()}" for suffix in name.lstrip(".").split(".")[1:]]


def file_stamp(address: str) -> FileStamp:
    """The stamp of a file as it is now; `InputError` for one that is not there or cannot be reached."""
    path = local_path(address)
    if path is None:
        return stamp_of(remote(address).info())
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{address} cannot be read: {error.strerror or error}") from error
    return FileStamp(status.st_size, f"{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_ino}")


def stamp_of(info: Mapping[str, Any]) -> FileStamp:
    """The stamp of a remote file of which its file system says this."""
    found = next((str(info[key]) for key in _VERSIONS if info.get(key)), "")
    return FileStamp(int(info.get("size") or 0), found.strip('"'))


def remote(address: str) -> Remote:
    """The file system of a URL, ready for requests; `InputError` and `MissingDependencyError` for what cannot be."""
    from fsspec import get_filesystem_class

    name, protocol = shown_address(address), _protocol(address) or ""
    if protocol not in _known_protocols():
        raise InputError(
            f'{name} has the unknown protocol "{protocol}"; known are s3, gs, hf, abfs, http, https, sftp, memory and '
            "the others of fsspec"
        )
    user, at, _ = address.partition("://")[2].partition("/")[0].rpartition("@")
    if at and (":" in user or protocol in _EXTRAS):
        raise InputError(
            f"the address of {name} holds a password or a key, which would end up in files and logs: leave it out, and "
            "give credentials through the environment"
        )
    try:
        kind = get_filesystem_class(protocol)
    except ImportError as error:
        raise _missing(name, protocol, str(error)) from error
    found = Remote(address=address, protocol=protocol, system=None, path=kind._strip_protocol(address))
    options = {**kind._get_kwargs_from_urls(address), **_options(protocol)}
    system = found.retried(lambda: kind(**options))
    return Remote(address=address, protocol=protocol, system=system, path=found.path)


def _missing(name: str, protocol: str, said: str) -> MissingDependencyError:
    extra = _EXTRAS.get(protocol)
    if extra is not None:
        return MissingDependencyError(f"reading {name} needs an optional library: pip install 'berthub[{extra}]'")
    if protocol in _WEB:
        return MissingDependencyError(f"reading {name} needs an optional library: pip install 'fsspec[http]'")
    return MissingDependencyError(f"reading {name} needs an optional library: {said}")


def _options(protocol: str) -> dict[str, Any]:
    """What makes a file system of this protocol read public files where there are no credentials.

    Google's and Hugging Face's do so by themselves; that of S3 does not, and asks for anonymous access to be chosen.
    """
    if _EXTRAS.get(protocol) != "s3":
        return {}
    from fsspec.config import conf

    # FSSPEC_S3_ANON, FSSPEC_S3_KEY and fsspec's configuration files stand above.
    chosen = {"anon", "key", "secret", "token", "profile", "session", "username", "client_kwargs"}
    if chosen & conf.get(protocol, {}).keys():
        return {}
    found = _has_aws_credentials(*(os.environ.get(key) for key in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "HOME")))
    return {} if found else {"anon": True}


@functools.cache
def _has_aws_credentials(*_environment: str | None) -> bool:
    """Whether botocore finds credentials where it looks for them: environment, files, the machine's role."""
    import botocore.session

    try:
        return botocore.session.Session().get_credentials() is not None
    except Exception:  # An unreadable file or profile: the first request says which.
        return True


@functools.cache
def _known_protocols() -> frozenset[str]:
    from fsspec import available_protocols

    return frozenset(available_protocols())


def _protocol(address: str) -> str | None:
    found = _URL.match(address)
    return None if found is None else found[1].lower()
