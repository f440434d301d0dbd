"""Read and write berthub's own format: `berthub.json`, `model.safetensors` and the vocabulary's files.

These are `vocab.txt`, or `spiece.model`, or `vocab.json` and `merges.txt`, as the `algorithm` in `berthub.json` says.
What the model says of its sentence vectors stands under `embedding`.
What layers these pass has the weights `embedding/0/kernel` and so on.
A fine-tuned model has its head there, too: described under `head`, with the weights `head/kernel` and `head/bias`, and
`head/hidden_0/kernel` and so on of its hidden layers.
A model that was calibrated for 8-bit integers has `quantization.safetensors`: for each kernel the arrays of a
`DenseQuantization`, under the kernel's name and theirs.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.atomic import written_folder
from berthub.checkpoint import Checkpoint, Origin
from berthub.containers.files import read_json
from berthub.containers.safetensors import read_safetensors, write_safetensors
from berthub.embedding import UNSAID, Embedding
from berthub.errors import CheckpointError, CorruptFileError, UnsupportedModelError
from berthub.formats.vocabularies import BERT_SPECIAL, read_vocabulary_files, write_vocabulary_files
from berthub.head import HEAD_BIAS, HEAD_KERNEL, Head, HiddenLayer
from berthub.networks.network import config_from_dict, weight_shapes
from berthub.quantization import DenseQuantization, Quantization
from berthub.vocabulary import Vocabulary

__all__ = [
    "CONFIG",
    "EMBEDDING_SCOPE",
    "all_weights",
    "described_checkpoint",
    "description",
    "read_description",
    "read_embedding",
    "read_native",
    "special_pieces",
    "write_native",
    "write_native_files",
]

FORMAT = "berthub folder"
CONFIG = "berthub.json"
_WEIGHTS = "model.safetensors"
_QUANTIZATION = "quantization.safetensors"
_VERSION = 1
# What the vocabularies of folders are for that were written before there was another algorithm.
_FIRST_ALGORITHM = "wordpiece"
# What the names of the weights of the sentence vectors' layers begin with.
EMBEDDING_SCOPE = "embedding/"

_HEAD_SETTINGS = ("task", "labels", "pooling", "max_length")
_OPTIONAL_HEAD_SETTINGS = ("hidden", "activation")
_HIDDEN_SETTINGS = ("activation", "eps")
_HEAD = "head/"
_LAYER = tuple(field.name for field in dataclasses.fields(DenseQuantization))


def read_native(
    folder: Path, given: Mapping[str, Any] | None = None, vocabulary: Vocabulary | None = None
) -> Checkpoint:
    """The model that `write_native` saved."""
    checkpoint = described_checkpoint(
        folder, read_safetensors(folder / _WEIGHTS), given, vocabulary, format=FORMAT, source=_WEIGHTS
    )
    if not (folder / _QUANTIZATION).exists():
        return checkpoint
    return dataclasses.replace(checkpoint, quantization=_read_quantization(folder / _QUANTIZATION))


def described_checkpoint(
    folder: Path,
    stored_weights: Mapping[str, Any],
    given: Mapping[str, Any] | None,
    vocabulary: Vocabulary | None,
    *,
    format: str,
    source: str,
) -> Checkpoint:
    """The model of the description in `folder`, with weights that were read from the file `source` beside it."""
    path, weights = folder / CONFIG, dict(stored_weights)
    stored = read_description(path)
    config, roles = stored["config"], stored["special_pieces"]
    head = _read_head(path, stored["head"], weights, source) if "head" in stored else None
    sources = {name: path.name for name in config if name != "architecture"}
    sources |= dict.fromkeys(given or {}, "given by the caller")
    arrays = {name: weights.pop(name) for name in list(weights) if name.startswith(EMBEDDING_SCOPE)}
    embedding = read_embedding(
        stored, path, {name.removeprefix(EMBEDDING_SCOPE): each for name, each in arrays.items()}
    )
    sources |= {name: path.name for name, value in embedding.to_dict().items() if value != getattr(UNSAID, name)}
    return Checkpoint(
        config=config_from_dict({**config, **(given or {})}),
        weights=weights,
        vocabulary=vocabulary or read_vocabulary_files(folder, stored["algorithm"], roles),
        origin=Origin(format=format, folder=folder, settings=sources),
        head=head,
        embedding=embedding,
    )


def read_embedding(
    stored: Mapping[str, Any], path: Path, arrays: Mapping[str, npt.NDArray[np.float32]] | None = None
) -> Embedding:
    """Read the sentence vector's settings from the description in `path`; older ones have none.

    `arrays` are the weights of its layers.
    """
    described = stored.get("embedding", {})
    if not isinstance(described, dict):
        raise CorruptFileError(f"embedding in {path} should be an object; it is {described!r}")
    return Embedding.from_dict(described, arrays) if described or arrays else UNSAID


def read_description(path: Path) -> dict[str, Any]:
    """Read what `description` returned: with config and special_pieces, dicts, and algorithm, a string."""
    stored = read_json(path)
    version = stored.get("format_version")
    if version != _VERSION:
        raise UnsupportedModelError(f"{path} is of format version {version!r}; this berthub reads version {_VERSION}")
    config, roles = stored.get("config"), stored.get("special_pieces")
    if not isinstance(config, dict) or not isinstance(roles, dict):
        raise CorruptFileError(f"{path} should hold the objects config and special_pieces")
    if sorted(roles) != sorted(BERT_SPECIAL) or not all(isinstance(piece, str) for piece in roles.values()):
        raise CorruptFileError(f"special_pieces in {path} should name {', '.join(BERT_SPECIAL)}; it holds {roles}")
    return {"algorithm": _FIRST_ALGORITHM, **stored}


def write_native(checkpoint: Checkpoint, folder: Path) -> None:
    """Save the checkpoint in `folder`, which appears when it is whole; one that holds files already is refused."""
    with written_folder(folder, last=CONFIG) as unfinished:
        write_native_files(checkpoint, unfinished)


def write_native_files(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the files of the checkpoint into `folder`, which is to become one that counts by `CONFIG`."""
    write_vocabulary_files(checkpoint.vocabulary, folder)
    write_safetensors(folder / _WEIGHTS, all_weights(checkpoint), {"format": "berthub"})
    if checkpoint.quantization is not None:
        write_safetensors(folder / _QUANTIZATION, _quantization_arrays(checkpoint.quantization), {"format": "berthub"})
    (folder / CONFIG).write_text(description(checkpoint), encoding="utf-8")


def _quantization_arrays(quantization: Quantization) -> dict[str, npt.NDArray[np.float32]]:
    return {
        f"{name}/{field}": np.atleast_1d(np.asarray(getattr(layer, field), np.float32))
        for name, layer in quantization.items()
        for field in _LAYER
    }


def _read_quantization(path: Path) -> Quantization:
    layers: dict[str, dict[str, Any]] = {}
    for key, array in read_safetensors(path).items():
        name, _, field = key.rpartition("/")
        layers.setdefault(name, {})[field] = array
    for name, fields in layers.items():
        if sorted(fields) != sorted(_LAYER) or fields["scale"].shape != (1,):
            raise CorruptFileError(
                f"{path} should hold {', '.join(_LAYER)} of {name or 'each layer'}, and one scale; it holds "
                + ", ".join(f"{field} {array.shape}" for field, array in fields.items())
            )
    return {
        name: DenseQuantization(**{**fields, "scale": float(fields["scale"][0]), "exact": fields["exact"] != 0})
        for name, fields in layers.items()
    }


def all_weights(checkpoint: Checkpoint) -> dict[str, npt.NDArray[np.float32]]:
    """The weights in the architecture's order, then those of the head and of the sentence vectors' layers."""
    weights = {name: checkpoint.weights[name] for name in weight_shapes(checkpoint.config)}
    if checkpoint.head is not None:
        weights |= checkpoint.head.weights
    return weights | {f"{EMBEDDING_SCOPE}{name}": array for name, array in checkpoint.embedding.arrays().items()}


def description(checkpoint: Checkpoint, *, embedding_arrays: bool = False) -> str:
    """The model without its weights and pieces, as JSON.

    With `embedding_arrays` it has the weights of the sentence vectors' layers: for files that have no place for them.
    """
    described: dict[str, Any] = {
        "format_version": _VERSION,
        "config": checkpoint.config.to_dict(),
        "algorithm": checkpoint.vocabulary.algorithm,
        "special_pieces": special_pieces(checkpoint.vocabulary),
        "converted_from": checkpoint.origin.format,
    }
    if checkpoint.embedding != UNSAID:
        described["embedding"] = checkpoint.embedding.to_dict(arrays=embedding_arrays)
    if checkpoint.head is not None:
        described["head"] = checkpoint.head.described()
    return json.dumps(described, indent=2) + "\n"


def special_pieces(vocabulary: Vocabulary) -> dict[str, str]:
    """The special pieces by role: what `Vocabulary` takes beside the pieces."""
    return {role: getattr(vocabulary, role) for role in BERT_SPECIAL}


def _read_head(path: Path, stored: Any, weights: dict[str, Any], source: str) -> Head:
    """The head that `stored` describes; its weights are taken out of `weights`."""
    known = {*_HEAD_SETTINGS, *_OPTIONAL_HEAD_SETTINGS}
    if not isinstance(stored, dict) or not stored.keys() >= {*_HEAD_SETTINGS} or not stored.keys() <= known:
        raise CorruptFileError(
            f"head in {path} does not fit {source}: it should hold {', '.join(_HEAD_SETTINGS)}; it holds {stored!r}"
        )
    if not isinstance(stored["labels"], list) or not all(isinstance(label, str) for label in stored["labels"]):
        raise CorruptFileError(f"the labels of the head in {path} should be a list of strings")
    layers = stored.get("hidden", [])
    if not isinstance(layers, list) or not all(
        isinstance(layer, dict) and sorted(layer) == sorted(_HIDDEN_SETTINGS) for layer in layers
    ):
        raise CorruptFileError(
            f"the hidden layers of the head in {path} should be objects with {' and '.join(_HIDDEN_SETTINGS)}; they "
            f"are {layers!r}"
        )
    missing = [name for name in (HEAD_KERNEL, HEAD_BIAS) if name not in weights]
    hidden = []
    for number, layer in enumerate(layers):
        parts = ("kernel", "bias") if layer["eps"] is None else ("kernel", "bias", "gamma", "beta")
        names = {part: f"{_HEAD}hidden_{number}/{part}" for part in parts}
        missing += [name for name in names.values() if name not in weights]
        if not missing:
            hidden.append(HiddenLayer(**layer, **{part: weights.pop(name) for part, name in names.items()}))
    if missing:
        raise CheckpointError(f"{path} describes a head, and {source} beside it lacks {' and '.join(missing)}")
    kernel, bias = weights.pop(HEAD_KERNEL), weights.pop(HEAD_BIAS)
    return Head(
        **{**stored, "labels": tuple(stored["labels"]), "hidden": tuple(hidden)},
        kernel=kernel,
        bias=bias,
    )
