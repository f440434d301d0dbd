"""Read Keras's metadata about the layers of a SavedModel; its class names and keys changed over the years."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from berthub.config import EncoderConfig
from berthub.containers.files import read_bytes
from berthub.containers.protos import parse
from berthub.containers.strict_json import parse_json
from berthub.errors import CheckpointError, UnsupportedModelError
from berthub.formats.settings import Settings
from berthub.formats.tensorflow.architectures import ARCHITECTURES
from berthub.formats.tensorflow.saved_model_objects import SavedObjects

__all__ = ["SOURCE", "KerasLayer", "put_declared_sizes", "put_metadata", "read_metadata"]

SOURCE = "Keras's metadata"

_ENCODERS = {name for each in ARCHITECTURES.values() for name in each.saved_model.classes}
# Where some of them keep their settings one level down.
_INNER = ("config", "embedding_cfg", "hidden_cfg")

# Our setting -> the names that it has had.
_SIZES = {
    "vocab_size": ("vocab_size", "word_vocab_size"),
    "hidden_size": ("hidden_size",),
    "num_layers": ("num_layers", "num_blocks", "num_hidden_instances", "num_hidden_layers"),
    "num_heads": ("num_attention_heads",),
    "type_vocab_size": ("type_vocab_size",),
}
_RATES = {
    "hidden_dropout": ("output_dropout", "dropout_rate", "hidden_dropout_prob"),
    "attention_dropout": ("attention_dropout", "attention_dropout_rate", "attention_probs_dropout_prob"),
    "initializer_range": ("initializer_range",),
}
_ACTIVATIONS = ("inner_activation", "activation", "intermediate_act_fn")
# What Keras calls an activation where it can mean one thing only; for any other the graph is asked.
_ACTIVATION_NAMES = {"Text>gelu": "gelu_tanh", "keras_nlp>gelu": "gelu_tanh", "relu": "relu"}


@dataclasses.dataclass(frozen=True, slots=True)
class KerasLayer:
    """A layer's class, without the package it was registered in, its settings, and all of Keras's metadata.

    `node` is its number among the objects.
    """

    node: int
    kind: str
    config: Mapping[str, Any]
    noted: Mapping[str, Any]


def read_metadata(folder: Path, objects: SavedObjects) -> list[KerasLayer]:
    """The layers that Keras described, in `saved_model.pb` or in a file of its own."""
    texts = [(folder / "saved_model.pb", node, text) for node, text in objects.metadata()]
    path = folder / "keras_metadata.pb"
    if path.exists():
        noted = parse("KerasMetadata", read_bytes(path), source=str(path)).nodes
        texts += [(path, node.node_id, node.metadata) for node in noted]
    return [layer for source, node, text in texts for layer in _layer(source, node, text)]


def put_declared_sizes(settings: Settings, layers: Collection[KerasLayer], shaped: Mapping[str, int]) -> None:
    """Set the sizes that the metadata declares; `CheckpointError` if one contradicts those in `shaped`."""
    for config in _encoders(layers):
        for name, keys in _SIZES.items():
            for key in keys:
                value = config.get(key)
                if value is not None and name in shaped and value != shaped[name]:
                    raise CheckpointError(
                        f"the model's metadata sets {key} to {value!r}, but its variables are shaped for {shaped[name]}"
                    )
                if isinstance(value, int):
                    settings.put(SOURCE, **{name: value})


def put_metadata(
    settings: Settings, layers: Collection[KerasLayer], kind: type[EncoderConfig], *, source: Path
) -> None:
    """Set the activation, the epsilon, the dropout rates and so on, as far as the metadata has them."""
    epsilons = {
        epsilon
        for layer in layers
        if layer.kind == "LayerNormalization" and isinstance(epsilon := layer.config.get("epsilon"), int | float)
    }
    if len(epsilons) > 1:
        raise UnsupportedModelError(f"the layer norms of {source} have different epsilons: {sorted(epsilons)}")
    for epsilon in epsilons:
        settings.put(SOURCE, layer_norm_eps=epsilon)
    for config in _encoders(layers):
        for name in ("norm_first", "output_range", "layer_norm_before_pooling"):
            if config.get(name):
                raise UnsupportedModelError(f"{source} sets {name} to {config[name]!r}, which is not supported")
        activation = next((config[key] for key in _ACTIVATIONS if key in config), None)
        if isinstance(activation, str) and activation in _ACTIVATION_NAMES:
            settings.put(SOURCE, activation=_ACTIVATION_NAMES[activation])
        for name, keys in _RATES.items():
            rate = next((config[key] for key in keys if key in config), None)
            if isinstance(rate, int | float):
                settings.put(SOURCE, **{name: rate})
        for name, key in ARCHITECTURES[kind].saved_model.noted.items():
            if key in config:
                settings.put(SOURCE, **{name: config[key]})
        match config.get("initializer"):
            case {"config": {"stddev": int() | float() as deviation}}:
                settings.put(SOURCE, initializer_range=deviation)


def _encoders(layers: Collection[KerasLayer]) -> Iterator[Mapping[str, Any]]:
    """The settings of each encoder, with those that it keeps one level down."""
    for layer in layers:
        if layer.kind in _ENCODERS:
            inner = [value for key in _INNER if isinstance(value := layer.config.get(key), dict)]
            yield {key: value for settings in (*inner, layer.config) for key, value in settings.items()}


def _layer(source: Path, node: int, text: str) -> Iterator[KerasLayer]:
    if not text.startswith("{"):
        return
    # Keras's settings may be infinite, such as the largest value of a ReLU.
    noted = parse_json(text.encode(), source=f"Keras's metadata in {source}", nonfinite=True)
    match noted:
        case {"class_name": str() as name, "config": dict() as config}:
            yield KerasLayer(node, name.rpartition(">")[2], config, noted)
