"""The files beside a checkpoint of Google's code: which checkpoint is meant, its configuration and vocabulary."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from berthub.config import EncoderConfig
from berthub.containers.files import read_bytes, read_json
from berthub.errors import CorruptFileError, ModelNotFoundError, UnsupportedModelError
from berthub.formats.settings import Settings, look_up
from berthub.formats.tensorflow.architecture import Google
from berthub.formats.tensorflow.architectures import ARCHITECTURES
from berthub.formats.vocabularies import vocabulary_at
from berthub.vocabulary import Vocabulary

__all__ = ["CONFIG_FILES", "checkpoint_prefix", "find_config", "find_vocabulary", "put_config"]

CONFIG_FILES = ("*bert_config.json", "electra_config.json", "*_L-*_H-*.json")
"""What the releases call the configuration: bert_config.json, albert_config.json, uncased_L-24_H-128_..._OPT.json."""

# The gelu of all these releases' code is the tanh variant.
_ACTIVATIONS = {"gelu": "gelu_tanh", "relu": "relu"}
_NAMED = re.compile(rb'^[ \t]*model_checkpoint_path:[ \t]*"([^"\\]*)"', re.MULTILINE)


def checkpoint_prefix(folder: Path) -> Path:
    """The path that the files of the folder's checkpoint share; of several the one that the file `checkpoint` names."""
    prefixes = [path.with_suffix("") for path in sorted(folder.glob("*.index"))]
    if len(prefixes) != 1:
        named = _named_checkpoint(folder / "checkpoint")
        prefixes = [prefix for prefix in prefixes if prefix.name == named] or prefixes
    if len(prefixes) != 1:
        found = ", ".join(f"{prefix.name}.index" for prefix in prefixes) or "none"
        raise ModelNotFoundError(
            f"{folder} should hold one checkpoint (*.index), or a file `checkpoint` that names one; it holds {found}"
        )
    return prefixes[0]


def find_config(folder: Path) -> Path | None:
    """The configuration file, None where there is none."""
    found = {path for pattern in CONFIG_FILES for path in folder.glob(pattern) if path.is_file()}
    if len(found) > 1:
        names = ", ".join(sorted(path.name for path in found))
        raise ModelNotFoundError(f"{folder} should hold one configuration file; it holds {names}")
    return next(iter(found), None)


def put_config(settings: Settings, path: Path, kind: type[EncoderConfig]) -> Mapping[str, Any]:
    """Take over the settings in the configuration file; returns all that it holds."""
    stored, google = read_json(path), _google(kind)
    settings.put(path.name, **{name: stored[key] for key, name in google.keys.items() if key in stored})
    if "hidden_act" in stored:
        activation = look_up(_ACTIVATIONS, stored["hidden_act"], setting="hidden_act", source=str(path))
        settings.put(path.name, activation=activation)
    if "do_lower_case" in stored:
        settings.put(path.name, lower_case=stored["do_lower_case"])
    if off := [key for key in google.needed if not stored.get(key, True)]:
        raise UnsupportedModelError(f"{path} switches {' and '.join(off)} off; {kind.title}s are read that have both")
    return stored


def find_vocabulary(folder: Path, kind: type[EncoderConfig]) -> Vocabulary:
    """The vocabulary: `vocab.txt` or the like, or a SentencePiece model (`*.model`).

    The model comes first where the architecture's release has one.
    """
    texts, model = ("vocab.txt", "*vocab*.txt"), "*.model"
    for pattern in (model, *texts) if _google(kind).sentencepiece else (*texts, model):
        for place in (folder, folder / "assets"):
            found = sorted(path for path in place.glob(pattern) if path.is_file())
            if len(found) > 1:
                names = ", ".join(path.name for path in found)
                raise ModelNotFoundError(f"{place} should hold one vocabulary; it holds {names}")
            if found:
                return vocabulary_at(found[0])
    raise ModelNotFoundError(f"{folder} has no vocabulary: neither vocab.txt nor *.model is in it")


def _google(kind: type[EncoderConfig]) -> Google:
    google = ARCHITECTURES[kind].google
    assert google is not None, "the files are those of Google's code"
    return google


def _named_checkpoint(path: Path) -> str | None:
    """The name, without its folder, which is one of the machine that it was written on."""
    if not path.is_file():
        return None
    match = _NAMED.search(read_bytes(path))
    if match is None:
        raise CorruptFileError(f'{path} names no checkpoint: it has no line `model_checkpoint_path: "..."`')
    return match[1].decode("utf-8", errors="replace").replace("\\", "/").rpartition("/")[2]
