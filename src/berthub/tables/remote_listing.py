"""What a URL names: one remote file, the files that match a pattern, or those in a folder."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from berthub.errors import InputError
from berthub.tables.addresses import FileStamp, Remote, is_web_url, remote, shown_address, stamp_of

__all__ = ["Listing", "RemoteFile", "list_remote"]

_WILDCARDS = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class RemoteFile:
    """A remote file, with the stamp that it had when it was listed."""

    address: str
    stamp: FileStamp


@dataclass(frozen=True)
class Listing:
    """The files that a URL names, sorted, and whether it names a folder."""

    files: list[RemoteFile]
    is_folder: bool


def list_remote(address: str) -> Listing:
    """The files that a URL names; none where a folder is empty. `InputError` where it names nothing."""
    found = remote(address)
    if not is_web_url(address) and _WILDCARDS.search(found.path):
        matches = _matches(found)
        if matches:
            return Listing(_listed(found, matches, sorted(matches)), is_folder=False)
    info = found.info()
    if info.get("type") != "directory":
        return Listing([RemoteFile(address, stamp_of(info))], is_folder=False)
    if is_web_url(address):
        raise InputError(f"{shown_address(address)} is no file: name one by its whole address")
    inside = found.retried(lambda: found.system.find(found.path, detail=True))
    # Folder by folder, as local files are.
    files = _visible(inside, found.path)
    return Listing(_listed(found, files, sorted(files, key=lambda name: name.split("/"))), is_folder=True)


def _matches(found: Remote) -> Mapping[str, Any]:
    def request() -> Any:
        found.system.invalidate_cache()
        return found.system.glob(found.path, detail=True)

    # A wildcard matches no hidden name, as in a shell; a name that the pattern itself spells out is meant.
    fixed = found.path[: _WILDCARDS.search(found.path).start()].rpartition("/")[0]  # type: ignore[union-attr]
    matches = {name: info for name, info in found.retried(request).items() if info.get("type") == "file"}
    if re.search(r"(^|/)\.", found.path[len(fixed) :]):
        return matches
    return {name: info for name, info in matches.items() if not _is_hidden(name[len(fixed) :], ".")}


def _visible(inside: Mapping[str, Any], folder: str) -> Mapping[str, Any]:
    """The files in a folder and in those below, without hidden ones, _SUCCESS and its like."""
    start = len(folder.rstrip("/"))
    return {
        name: info
        for name, info in inside.items()
        if info.get("type") == "file" and not name.endswith("/") and not _is_hidden(name[start:], "._")
    }


def _is_hidden(path: str, marks: str) -> bool:
    return any(part[0] in marks for part in path.split("/") if part)


def _listed(found: Remote, files: Mapping[str, Any], names: list[str]) -> list[RemoteFile]:
    return [RemoteFile(found.address_of(name), stamp_of(files[name])) for name in names]
