"""Read the models that Keras 3 saved as `.keras`, with a `berthub.KerasLayer` anywhere in them; nothing is run.

Such a file is a zip archive of `config.json`, `metadata.json`, `model.weights.h5` and `assets/`. The layer's settings
are in the configuration, its weights stand under their canonical names, and its vocabulary is an asset. No class that
the configuration names is looked up or made: a lambda or anybody's own layer is text here. Dense layers on the
encoder are the model's head.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy.typing as npt

from berthub.checkpoint import Checkpoint
from berthub.choices import Pooling
from berthub.config import EncoderConfig
from berthub.containers.files import read_bytes, read_json
from berthub.containers.hdf5 import read_hdf5
from berthub.embedding import UNSAID, Embedding
from berthub.errors import CheckpointError, CorruptFileError, ModelNotFoundError, UnsupportedModelError
from berthub.formats.dense_head import head_of_dense, hidden_of_dense
from berthub.formats.keras_trail import input_length, loss_name, text_settings, trail
from berthub.formats.settings import Settings
from berthub.formats.vocabularies import BERT_SPECIAL, read_vocabulary_files
from berthub.head import Head
from berthub.networks.interface import MLM_LOGITS
from berthub.networks.network import config_from_dict, weight_shapes
from berthub.vocabulary import Vocabulary

__all__ = ["is_keras_model", "read_keras_model"]

FORMAT = "Keras model"

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
# Its presets say so in their metadata, by its version.
_KERAS_HUB = re.compile(rb'"keras_(?:hub|nlp)_version"')
_LAYER = "berthub>KerasLayer"
_GROUPED = re.compile(r"(?P<layer>(?:.*/)?)groups/weight_group(?:_\d+)?/vars/(?P<name>[^/]+)")
_OPTIMIZER = "optimizer/"

Arrays = Mapping[str, npt.NDArray[Any]]


def is_keras_model(folder: Path) -> bool:
    """Whether the folder holds what a `.keras` file does, and no preset of KerasHub."""
    # Without a parser, which may refuse the file: that is for the reader to say.
    return _KERAS_HUB.search(read_bytes(folder / _METADATA)) is None


def read_keras_model(
    folder: Path, given: Mapping[str, Any] | None = None, vocabulary: Vocabulary | None = None
) -> Checkpoint:
    """The encoder in an unpacked `.keras` file, and its head."""
    path = folder / _CONFIG
    model = read_json(path)
    layer = _layer(model, path)
    settings = Settings(given)
    # Texts were made numbers in the model itself where it has a layer for that.
    described = {**_object(layer, "model", path), **text_settings(model)}
    settings.put(path.name, **{name: value for name, value in described.items() if name != "architecture"})
    config = config_from_dict({**described, **(given or {})})
    embedding = Embedding.from_dict(_object(layer, "embedding", path)) if "embedding" in layer else UNSAID

    arrays = read_hdf5(folder / _WEIGHTS, scalars=True)
    place, keys = _encoder(arrays, config, folder / _WEIGHTS)
    weights = {name: arrays[key] for name, key in keys.items()}
    head, used = _head(model, layer, config, arrays)
    unused = arrays.keys() - set(keys.values()) - used
    above = {name for name in unused if not name.startswith(_OPTIMIZER)} if head is None else set()
    sources = {name: path.name for name, value in embedding.to_dict().items() if value}
    origin = settings.origin(FORMAT, folder, unused=unused, also=sources)
    return Checkpoint(
        config=config,
        weights=weights,
        vocabulary=vocabulary or _vocabulary(folder / "assets" / place, layer, path),
        origin=dataclasses.replace(origin, head=tuple(sorted(above))),
        head=head,
        embedding=embedding,
    )


def _layer(model: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """The settings of the one encoder."""
    found = [layer for layer in _objects(model) if layer.get("registered_name") == _LAYER]
    described = [layer["config"] for layer in found if isinstance(layer.get("config"), dict)]
    if not described:
        raise UnsupportedModelError(
            f"{path} holds no berthub.KerasLayer: of the models that Keras saved those with one are read, and "
            "KerasHub's presets (save_to_preset)"
        )
    if any(layer != described[0] for layer in described):
        raise CheckpointError(
            f"{path} holds {len(described)} encoders, and which one is meant cannot be told: save the one that you "
            "want by itself (layer.save(folder)), and load that"
        )
    return cast("Mapping[str, Any]", described[0])


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """All objects in a JSON value; the strict parser bounds their depth."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _objects(item)


def _object(layer: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    value = layer.get(name)
    if not isinstance(value, dict):
        raise CorruptFileError(
            f"{path} is damaged: {name} of the berthub.KerasLayer should be an object; it is {value!r}"
        )
    return value


def _encoder(arrays: Arrays, config: EncoderConfig, path: Path) -> tuple[str, dict[str, str]]:
    """The place of the layer in the model, and the key of each of its weights."""
    canonical = {name.replace("/", "-"): name for name in weight_shapes(config)}
    places: dict[str, dict[str, str]] = {}
    for key in arrays:
        match = _GROUPED.fullmatch(key)
        if match is not None:
            name = canonical.get(match["name"], match["name"])
            if places.setdefault(match["layer"].removesuffix("/"), {}).setdefault(name, key) != key:
                raise CorruptFileError(f"{path} is damaged: it holds {match['name']!r} twice")
    if len(places) != 1:
        raise CheckpointError(
            f"{path} holds the weights of {len(places)} berthub.KerasLayers, and the configuration beside it has one"
        )
    return next(iter(places.items()))


def _head(
    model: Mapping[str, Any], layer: Mapping[str, Any], config: EncoderConfig, arrays: Arrays
) -> tuple[Head | None, set[str]]:
    """The head, and the keys of its weights."""
    found = trail(model)
    if found is None or found.source != layer.get("name"):
        return None, set()
    outputs = _outputs(layer.get("output_key"), config, positions=found.positions)
    output = outputs[found.index] if found.index < len(outputs) else None
    seen: dict[tuple[str | None, bool], Pooling | None] = {
        ("pooled_output", False): "pooled",
        ("sequence_output", True): "cls",
        ("sequence_output", False): None,
    }
    if (output, found.first) not in seen:
        return None, set()
    numbers = [number for number, _ in found.hidden] + [found.number]
    stored = [_dense_weights(arrays, number) for number in numbers]
    hidden = [
        hidden_of_dense(kernel, bias, activation)
        for (kernel, bias), (_, activation) in zip(stored[:-1], found.hidden, strict=True)
        if kernel is not None
    ]
    layers = tuple(layer for layer in hidden if layer is not None)
    kernel, bias = stored[-1]
    if kernel is None or len(layers) < len(found.hidden):
        return None, set()
    head = head_of_dense(
        kernel,
        bias,
        activation=found.activation,
        loss=loss_name(model),
        length=input_length(model),
        pooling=seen[output, found.first],
        config=config,
        hidden=layers,
    )
    keys = {key for number in numbers for key in _dense_keys(number) if key in arrays}
    return head, set() if head is None else keys


def _dense_weights(arrays: Arrays, number: int) -> tuple[npt.NDArray[Any] | None, npt.NDArray[Any] | None]:
    """The kernel and the bias of a dense layer, as far as they are there."""
    kernel, bias = _dense_keys(number)
    return arrays.get(kernel), arrays.get(bias)


def _dense_keys(number: int) -> tuple[str, str]:
    # The second layer of a class has the number 1.
    scope = f"layers/dense{f'_{number}' if number else ''}/vars/"
    return f"{scope}0", f"{scope}1"


def _outputs(key: Any, config: EncoderConfig, *, positions: bool) -> list[str]:
    """The name of each tensor that the layer returns, in Keras's order: a dict by its sorted keys."""
    if key is None:
        pooled = config.has_pooled_output
        key = [
            *(["default"] if pooled else []),
            "encoder_outputs",
            *([MLM_LOGITS] if positions and config.mlm else []),
            *(["pooled_output"] if pooled else []),
            "sequence_output",
        ]
    names: list[str] = []
    for name in key if isinstance(key, list) else [key]:
        match name:
            case "encoder_outputs":
                names += [*["encoder_outputs"] * (config.num_states - 1), "sequence_output"]
            case "default":
                names.append("pooled_output")
            case _:
                names.append(str(name))
    return names


def _vocabulary(folder: Path, layer: Mapping[str, Any], path: Path) -> Vocabulary:
    # Layers were saved before there was another algorithm.
    algorithm, special = layer.get("algorithm", "wordpiece"), _object(layer, "special_pieces", path)
    if sorted(special) != sorted(BERT_SPECIAL) or not all(isinstance(piece, str) for piece in special.values()):
        raise CorruptFileError(f"special_pieces in {path} should name {', '.join(BERT_SPECIAL)}; it holds {special}")
    if not folder.is_dir():
        raise ModelNotFoundError(f"{path.parent} has no vocabulary: its layer was made without one")
    return read_vocabulary_files(folder, algorithm, special)
