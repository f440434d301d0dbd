"""Find a model in the caches that the hubs' own clients keep, so that it is not fetched again.

They are read and never written to. What is there is used where it lies, once it is known to be whole:

    Hugging Face   HF_HUB_CACHE, HF_HOME/hub, ~/.cache/huggingface/hub, and TRANSFORMERS_CACHE and
                   SENTENCE_TRANSFORMERS_HOME: models--ORG--NAME/refs/REVISION names a commit, and snapshots/COMMIT/ has
                   its files, as links into blobs/, where a file is called by its hash
    Kaggle         KAGGLEHUB_CACHE, ~/.cache/kagglehub: models/OWNER/MODEL/FRAMEWORK/VARIATION/VERSION/, which is whole
                   if VERSION.complete is beside it
    TensorFlow Hub TFHUB_CACHE_DIR, and tfhub_modules in the system's folder of temporary files: a folder is called by
                   the SHA-1 of the handle as it was typed
"""

import hashlib
import os
import posixpath
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from berthub.containers.regular_files import open_regular
from berthub.containers.strict_json import parse_json
from berthub.errors import ModelError
from berthub.sources.hugging_face import module_folders
from berthub.sources.kinds import HuggingFaceModel, KaggleModel
from berthub.sources.selection import Selection, SeveralModelsError, incomplete, select

__all__ = ["Snapshot", "find_kaggle", "find_snapshot", "find_tensorflow_hub"]

_COMMIT = re.compile(r"[0-9a-f]{40}")
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_MODULES = "modules.json"
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json")
# Whatever tokenizer.json has too.
_SPARE = ("vocab.txt", "vocab.json", "merges.txt")
_MOST_FILES = 100_000
_MAX_TREE_BYTES = 64 << 20


@dataclass(frozen=True)
class Snapshot:
    """A model at one commit in Hugging Face's cache.

    `files` are the model's files that are there, each with its hash (of git, 40 digits, or SHA-256) where the cache has
    it. `missing` are those that are known to be needed and not there. `asked` is False where nobody can tell from the
    cache whether the repository has more files that say something of the model.
    """

    folder: Path
    commit: str
    files: Mapping[str, str | None]
    missing: tuple[str, ...] = ()
    asked: bool = True

    def without(self, names: tuple[str, ...]) -> "Snapshot":
        """The same, where some of the files are damaged."""
        kept = {name: digest for name, digest in self.files.items() if name not in names}
        return replace(self, files=kept, missing=(*self.missing, *names))


def find_snapshot(handle: HuggingFaceModel) -> Snapshot | None:
    """The model in Hugging Face's cache, whole or not; None where there is nothing of it."""
    for root in _hugging_face_roots():
        home = root / ("models--" + handle.repo.replace("/", "--"))
        commit = _commit(home, handle.revision or "main")
        if commit and (home / "snapshots" / commit).is_dir():
            return _snapshot(handle, home, commit)
    return None


def _hugging_face_roots() -> Iterator[Path]:
    # As huggingface_hub reads the environment, without importing it.
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("HF_HOME") or caches / "huggingface")
    hub = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or home / "hub"
    more = (os.environ.get(name) for name in ("TRANSFORMERS_CACHE", "SENTENCE_TRANSFORMERS_HOME"))
    for root in (hub, *filter(None, more)):
        yield _absolute(root)


def _commit(home: Path, revision: str) -> str | None:
    if _COMMIT.fullmatch(revision):
        return revision
    try:
        text = (home / "refs" / revision).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return text if _COMMIT.fullmatch(text) else None


def _snapshot(handle: HuggingFaceModel, home: Path, commit: str) -> Snapshot:
    folder = home / "snapshots" / commit
    names = dict(_names(folder))
    whole = {name for name, there in names.items() if there}
    tree = _tree(home / "trees" / f"{commit}.json")
    modules = tuple(module_folders(folder / _MODULES)) if _MODULES in whole else ()
    missing: list[str] = []
    try:
        selection = select(whole, path=handle.path, modules=modules)
        # With the names of broken links, and those of the repository where the cache has them.
        full = select({*names, *tree}, path=handle.path, modules=modules, weights_of=whole if selection else None)
    except SeveralModelsError as error:
        return Snapshot(folder, commit, {}, error.paths)
    if selection is None:
        return Snapshot(folder, commit, {}, full.weights if full else ("the weights",))
    missing += incomplete(selection.weights)
    fast = any(name.endswith("tokenizer.json") for name in selection.settings)
    for name in full.settings if full else ():
        if name not in whole and not (fast and posixpath.basename(name) in _SPARE):
            missing.append(name)
    missing += _without_tokenizer(selection)
    missing += [name for name in _module_files(modules) if name not in whole and name not in missing]
    asked = bool(tree) or _MODULES in whole or (home / ".no_exist" / commit / _MODULES).exists()
    files = {name: _digest(folder / name, tree.get(name)) for name in selection.files}
    return Snapshot(folder, commit, files, tuple(dict.fromkeys(missing)), asked)


def _names(folder: Path) -> Iterator[tuple[str, bool]]:
    """The files below `folder`, and whether each is really there: a link may lead nowhere."""
    count = 0
    for place, _, names in os.walk(folder):
        for name in names:
            count += 1
            if count > _MOST_FILES:
                return
            path = Path(place, name)
            yield path.relative_to(folder).as_posix(), path.is_file()


def _tree(path: Path) -> Mapping[str, str | None]:
    """The listing of the repository that later clients keep: the hash of each file; empty where there is none."""
    try:
        with open_regular(path) as file:
            files = parse_json(file.read(_MAX_TREE_BYTES), source=str(path))["files"]
        return {str(name): _hash_of(file) for name, file in files.items()}
    except (ModelError, OSError, KeyError, AttributeError, TypeError):
        return {}


def _hash_of(file: Mapping[str, Any]) -> str | None:
    found = file.get("lfs_sha256") or file.get("blob_id")
    return found if isinstance(found, str) and _HASH.fullmatch(found) else None


def _digest(path: Path, listed: str | None) -> str | None:
    """The hash that the file should have: by the listing, else the name of the blob that it links to."""
    if listed:
        return listed
    name = path.resolve().name if path.is_symlink() else ""
    return name if _HASH.fullmatch(name) else None


def _without_tokenizer(selection: Selection) -> list[str]:
    """A tokenizer's file, if the weights are transformers' and there is none beside them."""
    if not any(
        name.endswith((".safetensors", ".bin", "tf_model.h5", ".msgpack", ".onnx")) for name in selection.weights
    ):
        return []
    bases = {posixpath.basename(name) for name in selection.settings}
    return (
        [] if bases.intersection(_TOKENIZERS) or any(base.endswith(".model") for base in bases) else ["tokenizer.json"]
    )


def _module_files(modules: tuple[str, ...]) -> Iterator[str]:
    """The settings that each module should have. A normalization has had none until lately."""
    for module in filter(None, modules):
        if "normalize" not in module.lower():
            yield f"{module}/config.json"


def find_kaggle(handle: KaggleModel) -> Path | None:
    """The model's folder in Kaggle's cache, if it is whole; without a version the newest one there."""
    root = _absolute(os.environ.get("KAGGLEHUB_CACHE") or Path.home() / ".cache" / "kagglehub")
    place: Path | None = root / "models"
    for part in (handle.owner, handle.model, handle.framework, handle.variation):
        place = place and _child(place, part)
    if place is None:
        return None
    wanted = None if handle.version is None else str(handle.version)
    names = [path.name for path in _entries(place)]
    versions = [name for name in names if _VERSION.fullmatch(name) and wanted in (None, name)]
    for version in sorted(versions, key=int, reverse=True):
        folder = place / version
        if (place / f"{version}.complete").exists() and any(path.is_file() for path in folder.rglob("*")):
            return folder
    return None


def _child(folder: Path, name: str) -> Path | None:
    """The folder of that name, in whatever case: Kaggle's names are typed in every mixture."""
    found = [path for path in _entries(folder) if path.name.lower() == name.lower() and path.is_dir()]
    return min(found, key=lambda path: path.name != name, default=None)


def _entries(folder: Path) -> list[Path]:
    """What is in the folder; nothing if it is not there or must not be looked at."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def find_tensorflow_hub(handle: str) -> Path | None:
    """The folder of a model in tensorflow_hub's cache, by the handle as it was typed there."""
    chosen = os.environ.get("TFHUB_CACHE_DIR")
    root = _absolute(chosen) if chosen else Path(tempfile.gettempdir()) / "tfhub_modules"
    folder = root / hashlib.sha1(handle.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    if not folder.is_dir():
        return None
    return folder if (_is_whole(folder) if chosen else _is_saved_model(folder) and _is_mine(folder)) else None


def _is_saved_model(folder: Path) -> bool:
    return (folder / "saved_model.pb").is_file() and _is_whole(folder)


def _is_whole(folder: Path) -> bool:
    """Whether nothing is gone of a SavedModel: systems remove old temporary files one by one."""
    names = [name for name, there in _names(folder) if there]
    variables = [name for name in names if name.startswith("variables/")]
    gone = variables and ("saved_model.pb" not in names or "variables/variables.index" not in names)
    return bool(names) and not gone and not incomplete(names)


def _is_mine(folder: Path) -> bool:
    """Whether the folder is the user's own or root's: anybody may make one in the folder of temporary files."""
    return not hasattr(os, "getuid") or folder.stat().st_uid in (os.getuid(), 0)


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111 - no links, no raising
