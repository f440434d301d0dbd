"""Fetch a model from Hugging Face: the listing of one commit, the choice of files, and these files at that commit."""

import errno
import glob
import logging
import os
import posixpath
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from berthub.containers.regular_files import open_regular
from berthub.containers.strict_json import parse_json
from berthub.errors import FetchError, ModelError
from berthub.sources import catalogue
from berthub.sources.download import MAX_DOWNLOAD_BYTES
from berthub.sources.kinds import HuggingFaceModel
from berthub.sources.redaction import client_error, environment_secrets, redact, redacted_logs
from berthub.sources.selection import READ, Selection, SeveralModelsError, incomplete, select

__all__ = [
    "LOGGERS",
    "Wanted",
    "fetch_hugging_face",
    "is_of_the_disk",
    "link_files",
    "module_folders",
    "said",
    "wanted_files",
]

LOGGERS = ("httpx", "httpx2", "huggingface_hub.file_download", "kagglehub.clients", "urllib3.connectionpool")
"""The loggers of the clients that write down every address that they ask for, the signed ones among them."""

T = TypeVar("T")

_MODULES = "modules.json"
_MAX_MODULES_BYTES = 1 << 20
_MOST_NAMES = 12
_LOGGER = logging.getLogger(__name__)
# What repositories without weights of their own have instead: the file that shows it, and what to do.
_OTHERS = {
    "adapter_config.json": "It is an adapter (PEFT), which changes another model: merge it into that one "
    "(merge_and_unload), save the result (save_pretrained), and load that folder.",
    "model_index.json": "It is a pipeline of diffusers, whose parts are models of their own.",
    "rust_model.ot": "Convert the weights to safetensors, or name another repository.",
}


@dataclass(frozen=True)
class Wanted:
    """The files of a model at one commit, and how large they are, as far as the hub says."""

    commit: str
    selection: Selection
    sizes: Mapping[str, int]


def fetch_hugging_face(
    handle: HuggingFaceModel, scratch: Path, *, at: str | None = None, have: Mapping[str, Path] | None = None
) -> Path:
    """Fetch the files that a reader needs with Hugging Face's own client, which knows the user's token.

    `at` is the commit, by default the one of the handle's revision. The files in `have`, by their names in the
    repository at that commit, are linked or copied in place of being fetched. Raises `FetchError`.
    """
    import huggingface_hub

    have = have or {}
    target = scratch / "repository"
    wanted = wanted_files(handle, scratch, at=at, have=have)
    missing = [name for name in wanted.selection.files if name not in have]
    total = sum(wanted.sizes.get(name, 0) for name in missing)
    if total > MAX_DOWNLOAD_BYTES:
        raise FetchError(
            f"{handle} is larger than {MAX_DOWNLOAD_BYTES:,} bytes: its files have {total:,}. If that is right, "
            "download it by other means and give its folder."
        )
    _LOGGER.info(
        "%s is at commit %s: %d files, %s bytes to fetch",
        handle,
        wanted.commit,
        len(wanted.selection.files),
        f"{total:,}",
    )
    link_files({name: have[name] for name in wanted.selection.files if name in have}, target)
    if missing:
        _told(
            handle,
            lambda: huggingface_hub.snapshot_download(
                handle.repo,
                revision=wanted.commit,
                local_dir=target,
                cache_dir=scratch / "cache",
                allow_patterns=[glob.escape(name) for name in missing],
            ),
        )
    notes = target / ".cache"
    if notes.exists():
        shutil.rmtree(notes)
    absent = [name for name in missing if not (target / name).is_file()]
    if absent:
        raise FetchError(f"Hugging Face did not give {handle}: {_named(absent)} did not come. Try again.")
    return target


def wanted_files(
    handle: HuggingFaceModel, scratch: Path, *, at: str | None = None, have: Mapping[str, Path] | None = None
) -> Wanted:
    """Ask the hub which files there are, and choose those of the model; of weights, those in `have` are preferred."""
    import huggingface_hub

    have = have or {}
    revision = at or handle.revision
    info = _told(
        handle, lambda: huggingface_hub.HfApi().model_info(handle.repo, revision=revision, files_metadata=True)
    )
    files = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    if not info.sha:
        raise FetchError(f"Hugging Face did not say at which commit {handle} is. Try again.")
    modules: tuple[str, ...] = ()
    # Beside the encoder of a named folder or file, its modules are those of the repository.
    if _MODULES in files:
        place = have.get(_MODULES)
        if place is None:
            place = _modules_file(handle, info.sha, scratch)
        modules = tuple(module_folders(place))
    selection = None
    if (local := _select(handle, have.keys() & files.keys(), modules)) and not incomplete(local.weights):
        # Weights that are there in another format are as good as those that would be chosen.
        selection = _select(handle, files, modules, weights_of=have.keys() & files.keys())
    selection = selection or _select(handle, files, modules)
    if selection is None:
        raise _nothing(handle, files)
    return Wanted(info.sha, selection, files)


def _modules_file(handle: HuggingFaceModel, commit: str, scratch: Path) -> Path:
    import huggingface_hub

    to, cache = scratch / "modules", scratch / "cache"
    came = _told(
        handle,
        lambda: huggingface_hub.hf_hub_download(handle.repo, _MODULES, revision=commit, local_dir=to, cache_dir=cache),
    )
    return Path(came)


def module_folders(path: Path) -> list[str]:
    """The folders that a `modules.json` names; none where it is damaged, which whoever reads the model will say."""
    try:
        with open_regular(path) as file:
            entries = parse_json(file.read(_MAX_MODULES_BYTES), source=str(path))
    except (ModelError, OSError):
        return []
    if not isinstance(entries, list):
        return []
    folders = [entry["path"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("path"), str)]
    return [folder.strip("/") for folder in folders]


def _select(
    handle: HuggingFaceModel,
    names: Collection[str],
    modules: Sequence[str],
    *,
    weights_of: Collection[str] | None = None,
) -> Selection | None:
    try:
        return select(names, path=handle.path, modules=modules, weights_of=weights_of)
    except SeveralModelsError as error:
        several = error.paths
    raise FetchError(
        f"{handle} holds several models, or one in several precisions. Name one of them:\n  "
        + "\n  ".join(str(replace(handle, path=path)) for path in several[:_MOST_NAMES])
        + (f"\n  and {len(several) - _MOST_NAMES} more" if len(several) > _MOST_NAMES else "")
    )


def _nothing(handle: HuggingFaceModel, names: Collection[str]) -> FetchError:
    """The error for a repository, or a folder of it, without weights that are read."""
    if handle.path is not None and handle.path in names:
        return FetchError(f"{handle} names no file of weights. Read are {READ}.")
    inside = [name for name in sorted(names) if not handle.path or name.startswith(f"{handle.path}/")]
    if handle.path is not None and not inside:
        return FetchError(f"{handle.repo} has no folder and no file {handle.path}. It has {_named(sorted(names))}.")
    files = {posixpath.basename(name) for name in inside}
    advice = next((advice for file, advice in _OTHERS.items() if file in files), _CONVERT)
    if files and all(name.endswith((".safetensors", ".bin", ".h5", ".msgpack")) or "." not in name for name in files):
        advice = "Its weights need their settings, config.json, beside them."
    return FetchError(f"{handle} has no weights that are read. It has {_named(inside)}.\nRead are {READ}.\n{advice}")


_CONVERT = "Convert its weights to safetensors (save_pretrained of transformers), or name another repository."


def _named(names: Sequence[str]) -> str:
    if not names:
        return "no files"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def link_files(files: Mapping[str, Path], target: Path) -> Path:
    """Give the files these names in `target` as well, or copy them there where it is on another disk."""
    for name, source in files.items():
        to = target / name
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source.resolve(), to)
        except OSError:
            # Another disk, or one that has no links. Without permissions: copied ones could forbid cleaning up.
            shutil.copyfile(source, to)
    return target


def _told(handle: HuggingFaceModel, call: Callable[[], T]) -> T:
    """Call the client; its errors become a `FetchError`, without secrets, that says what to do."""
    try:
        with redacted_logs(*LOGGERS):
            return call()
    except Exception as error:  # the client's errors have no common root
        if is_of_the_disk(error):
            raise
        failure = error
    # Outside the except block, where the client's own error would be chained too.
    what = f"Hugging Face did not give {handle}: {said(failure)}\n{_advice(failure, handle)}"
    raise FetchError(what) from client_error(failure)


def said(error: Exception) -> str:
    """What a client's error says, in one line without secrets."""
    return f"{type(error).__name__}: {' '.join(redact(str(error), environment_secrets()).split())}"


def is_of_the_disk(error: Exception) -> bool:
    """Whether the disk failed, not the network; the cache then says what to do."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def _advice(error: Exception, handle: HuggingFaceModel) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return "Ask for access on the model's page, and log in (hf auth login) or set HF_TOKEN."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"See the branches and tags on https://huggingface.co/{handle.repo}/tree/main."
    if isinstance(error, errors.RepositoryNotFoundError):
        near = catalogue.nearest(handle.repo)
        hint = f"\nOf TensorFlow Hub there are {', '.join(near)}." if near else ""
        here = f"\nThere is no local folder {handle.repo} either." if not os.path.isdir(handle.repo) else ""  # noqa: PTH112
        return f"Check the name; for a private model log in (hf auth login) or set HF_TOKEN.{here}{hint}"
    return "Check the network and try again, or download the files in a browser and give their folder."
