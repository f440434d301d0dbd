"""berthub's own saved form: `berthub.json`, `model.safetensors` and `vocab.txt`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from berthub.checkpoint import Checkpoint, Origin, weight_shapes
from berthub.config import BertConfig
from berthub.errors import CorruptFileError, InputError, UnsupportedModelError
from berthub.formats.files import read_json, read_lines
from berthub.formats.safetensors import read_safetensors, write_safetensors
from berthub.vocabulary import Vocabulary

__all__ = ["CONFIG", "read_native", "write_native"]

FORMAT = "berthub folder"
CONFIG = "berthub.json"
_WEIGHTS = "model.safetensors"
_VOCABULARY = "vocab.txt"
_VERSION = 1
_ROLES = ("unknown", "classify", "separate", "pad", "mask")


def read_native(folder: Path, given: Mapping[str, Any] | None = None) -> Checkpoint:
    """The model that `write_native` saved."""
    path = folder / CONFIG
    stored = read_json(path)
    version = stored.get("format_version")
    if version != _VERSION:
        raise UnsupportedModelError(f"{path} is of format version {version!r}; this berthub reads version {_VERSION}")
    config, roles = stored.get("config"), stored.get("special_pieces")
    if not isinstance(config, dict) or not isinstance(roles, dict):
        raise CorruptFileError(f"{path} should hold the objects config and special_pieces")
    if sorted(roles) != sorted(_ROLES) or not all(isinstance(piece, str) for piece in roles.values()):
        raise CorruptFileError(f"special_pieces in {path} should name {', '.join(_ROLES)}; it holds {roles}")
    sources = {name: path.name for name in config if name != "architecture"}
    sources |= dict.fromkeys(given or {}, "given by the caller")
    return Checkpoint(
        config=BertConfig.from_dict({**config, **(given or {})}),
        weights=read_safetensors(folder / _WEIGHTS),
        vocabulary=Vocabulary(tuple(read_lines(folder / _VOCABULARY)), **roles),
        origin=Origin(format=FORMAT, folder=folder, settings=sources),
    )


def write_native(checkpoint: Checkpoint, folder: Path) -> None:
    """Save the checkpoint in `folder`, which is made; one that holds files already is refused."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not an empty folder: choose another name, or remove it first")
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = checkpoint.vocabulary
    (folder / _VOCABULARY).write_text(
        "".join(f"{piece}\n" for piece in vocabulary.pieces), encoding="utf-8", newline="\n"
    )
    weights = {name: checkpoint.weights[name] for name in weight_shapes(checkpoint.config)}
    write_safetensors(folder / _WEIGHTS, weights, {"format": "berthub"})
    # Last: a folder without it is no model, so that an interrupted save is never taken for a whole one.
    description = {
        "format_version": _VERSION,
        "config": checkpoint.config.to_dict(),
        "special_pieces": {role: getattr(vocabulary, role) for role in _ROLES},
        "converted_from": checkpoint.origin.format,
    }
    (folder / CONFIG).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
