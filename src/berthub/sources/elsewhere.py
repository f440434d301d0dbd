"""Look for a model in the caches of other programs, and tell whether it can be used there."""

import logging
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from berthub.errors import FetchError, InferredSettingWarning
from berthub.sources.borrowed import DamagedError, borrow, was_asked
from berthub.sources.cache import Entry, Key
from berthub.sources.hugging_face import wanted_files
from berthub.sources.kinds import Handle, HuggingFaceModel, KaggleModel
from berthub.sources.user_caches import Snapshot, find_kaggle, find_snapshot, find_tensorflow_hub

__all__ = ["Elsewhere", "look_elsewhere"]

_LOGGER = logging.getLogger(__name__)
_MOST_NAMES = 3


@dataclass(frozen=True)
class Elsewhere:
    """A model in another cache: the entry or the folder if it can be used there.

    Else `snapshot` is what there is of it, which need not be fetched again: all of it if `whole` is true, and if not,
    `fault` says what is wrong.
    """

    entry: Entry | None = None
    folder: Path | None = None
    snapshot: Snapshot | None = None
    whole: bool = False
    fault: str | None = None


def look_elsewhere(handle: Handle, root: Path, key: Key, *, online: bool) -> Elsewhere:
    """Look in the caches of the hubs' own clients; `root` and `key` are of berthub's cache.

    Where the network is allowed, the hub is asked, once a commit, whether it has more of the model than such a cache.
    """
    match handle:
        case HuggingFaceModel():
            snapshot = find_snapshot(handle)
            return Elsewhere() if snapshot is None else _checked(handle, snapshot, root, key, online=online)
        case KaggleModel():
            folder = find_tensorflow_hub(f"https://tfhub.dev/{handle.tfhub}") if handle.tfhub else None
            return Elsewhere(folder=folder or find_kaggle(handle))
    return Elsewhere()


def _checked(handle: HuggingFaceModel, snapshot: Snapshot, root: Path, key: Key, *, online: bool) -> Elsewhere:
    if not snapshot.asked and was_asked(root, key, snapshot):
        snapshot = replace(snapshot, asked=True)
    if not snapshot.missing and not snapshot.asked and online:
        snapshot = _compared(handle, snapshot)
    entry = None
    try:
        if not snapshot.missing:
            entry = borrow(root, key, snapshot)
    except DamagedError as error:
        snapshot = snapshot.without(error.names)
    except OSError as error:
        return Elsewhere(fault=f"{snapshot.folder} cannot be read: {error}")
    if snapshot.missing:
        more = f" and {len(snapshot.missing) - _MOST_NAMES} more" if len(snapshot.missing) > _MOST_NAMES else ""
        fault = f"missing or damaged in {snapshot.folder}: {', '.join(snapshot.missing[:_MOST_NAMES])}{more}"
        _LOGGER.info("%s is not whole in Hugging Face's cache: %s", handle, fault)
        return Elsewhere(snapshot=snapshot, fault=fault)
    if not snapshot.asked:
        warnings.warn(
            f"{handle} is used from {snapshot.folder}, and without a connection nobody can tell whether its repository "
            "has files of sentence-transformers (modules.json) that are not there. If it has, embed() gives other "
            "vectors than the model's owner means: load it once while online, or give pooling= yourself",
            InferredSettingWarning,
            stacklevel=4,
        )
    # Of several models in the snapshot a reader could not tell the one whose path the handle has.
    return Elsewhere(entry=entry) if handle.path is None else Elsewhere(snapshot=snapshot, whole=True)


def _compared(handle: HuggingFaceModel, snapshot: Snapshot) -> Snapshot:
    """The snapshot, compared with the listing of its repository at its commit, if the hub answers."""
    have = {name: snapshot.folder / name for name in snapshot.files}
    try:
        with tempfile.TemporaryDirectory() as scratch:
            wanted = wanted_files(handle, Path(scratch), at=snapshot.commit, have=have)
    except FetchError as error:
        _LOGGER.info("%s: %s", handle, error)
        return snapshot
    missing = tuple(name for name in wanted.selection.files if not (snapshot.folder / name).is_file())
    return replace(snapshot, asked=True, missing=missing)
