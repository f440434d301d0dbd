"""Follow a Keras 3 model's configuration back from its output: through dense layers, to what the first one sees."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from berthub.formats.dense_head import ACTIVATIONS, HIDDEN
from berthub.head import HiddenActivation

__all__ = ["Trail", "input_length", "loss_name", "text_settings", "trail"]

# What does nothing when a text is encoded.
_PASSING = ("Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D")
_DENSE, _FIRST = "Dense", "GetItem"
_PREPROCESSING = "berthub>PreprocessingLayer"
_TEXT_SETTINGS = ("lower_case", "split_chinese", "strip_accents", "tokenization")
_MOST_LAYERS = 10_000


@dataclass(frozen=True, kw_only=True)
class Trail:
    """The dense layers between a model's output and the output `index` of the layer called `source`.

    `number` counts the layers of the last one's class before it. `hidden` has the numbers and activations of those
    below it, the lowest first. `first` says that they see the first token alone, and `positions` that the source was
    called with `masked_lm_positions`.
    """

    number: int
    activation: str
    hidden: tuple[tuple[int, HiddenActivation], ...]
    source: str
    index: int
    first: bool
    positions: bool


def trail(model: Mapping[str, Any]) -> Trail | None:
    """The trail in a serialized Functional or Sequential model; None where there is anything else on it."""
    config = model.get("config")
    if not isinstance(config, dict):
        return None
    stored = config.get("layers")
    if not isinstance(stored, list) or len(stored) > _MOST_LAYERS or not _is_kerass(model):
        return None
    layers = [layer for layer in stored if isinstance(layer, dict) and isinstance(_name(layer), str)]
    if len({_name(layer) for layer in layers}) != len(stored):
        return None
    match model.get("class_name"):
        case "Functional":
            return _follow(layers, *_one_tensor(config.get("output_layers")))
        case "Sequential" if layers:
            return _follow(_linked(layers), _name(layers[-1]), 0)
    return None


def input_length(model: Mapping[str, Any]) -> int | None:
    """The length of the texts, where the model's inputs have a fixed one, or its preprocessing layers."""
    shapes = [inner.get("batch_shape") for inner in _settings(model, "class_name", "InputLayer")]
    lengths = {shape[1] for shape in shapes if isinstance(shape, list) and len(shape) == 2 and _is_length(shape[1])}
    for described in _preprocessors(model):
        if _is_length(described.get("seq_length")):
            lengths.add(described["seq_length"])
    return lengths.pop() if len(lengths) == 1 else None


def text_settings(model: Mapping[str, Any]) -> dict[str, Any]:
    """How the model's own preprocessing layers treat texts, by the names of a configuration; empty without any."""
    found = [described.get("settings") for described in _preprocessors(model)]
    settings = found[0] if found and all(each == found[0] for each in found) else None
    return {name: settings[name] for name in _TEXT_SETTINGS if name in settings} if isinstance(settings, dict) else {}


def _preprocessors(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [inner.get("preprocessor") for inner in _settings(model, "registered_name", _PREPROCESSING)]
    return [described for described in found if isinstance(described, dict)]


def _settings(model: Mapping[str, Any], key: str, value: str) -> list[dict[str, Any]]:
    """The settings of the model's layers with that `value`."""
    config = model.get("config")
    layers = config.get("layers") if isinstance(config, dict) else None
    return [
        inner
        for layer in (layers if isinstance(layers, list) else ())
        if isinstance(layer, dict) and layer.get(key) == value
        if isinstance(inner := layer.get("config"), dict)
    ]


def loss_name(model: Mapping[str, Any]) -> str:
    """The name of the loss that the model was compiled with, in lower case, without underscores; "" without one."""
    match model.get("compile_config"):
        case {"loss": str() as name} | {"loss": {"class_name": str() as name}}:
            return name.rpartition(">")[2].replace("_", "").lower()
    return ""


def _follow(layers: Sequence[dict[str, Any]], name: str | None, index: int) -> Trail | None:
    steps = {_name(layer): layer for layer in layers}
    # From the output down: the dense layers with what is computed of their outputs.
    dense: list[tuple[Any, str]] = []
    activations: list[Any] = []
    first = False
    # Each step uses up one layer, so that a damaged circle ends, too.
    while name in steps:
        step = steps.pop(name)
        kind, config = step.get("class_name"), step.get("config")
        if not _is_kerass(step) or not isinstance(config, dict):
            break
        if kind in ("Activation", _DENSE) and not first:
            activations.append(config.get("activation"))
            if kind == _DENSE:
                dense.append((_name(step), _effective(activations)))
                activations = []
        elif kind == _FIRST and dense and not activations and not first and _takes_first(step):
            first = True
        elif kind not in _PASSING:
            break
        name, index = _only_input(step)
    source = next((layer for layer in layers if _name(layer) == name), None)
    if not dense or activations or source is None or name is None:
        return None
    (last, activation), *below = dense
    if activation not in ACTIVATIONS or any(each not in HIDDEN for _, each in below):
        return None
    calls = source.get("inbound_nodes")
    if calls is not None and (not isinstance(calls, list) or len(calls) != 1):
        return None
    same = [_name(layer) for layer in layers if layer.get("class_name") == _DENSE]
    return Trail(
        number=same.index(last),
        activation=activation,
        hidden=tuple((same.index(each), HIDDEN[computed]) for each, computed in reversed(below)),
        source=name,
        index=index,
        first=first,
        positions=any(key == "masked_lm_positions" for key in _keys(calls)),
    )


def _effective(activations: Sequence[Any]) -> str:
    """The one activation that does something; "" where several do, or where it is no name."""
    effective = [activation for activation in activations if activation != "linear"] or ["linear"]
    return effective[0] if len(effective) == 1 and isinstance(effective[0], str) else ""


def _linked(layers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The layers of a Sequential model with what connects those of a Functional one."""
    before = [None, *(_name(layer) for layer in layers)]
    return [
        {**layer, "inbound_nodes": [{"args": [{"config": {"keras_history": [name, 0, 0]}}]}]}
        for layer, name in zip(layers, before, strict=False)
    ]


def _name(layer: Mapping[str, Any]) -> Any:
    """The layer's name; in a Sequential model it stands in the settings alone."""
    config = layer.get("config")
    return layer.get("name") or (config.get("name") if isinstance(config, dict) else None)


def _is_kerass(step: Mapping[str, Any]) -> bool:
    """Whether the class is one of Keras's own, and not somebody's of the same name."""
    module = step.get("module")
    own = isinstance(module, str) and (module == "keras" or module.startswith("keras."))
    return own and step.get("registered_name") in (None, step.get("class_name"))


def _takes_first(step: Mapping[str, Any]) -> bool:
    """Whether it is `[:, 0]` or `[:, 0, :]`."""
    match step.get("inbound_nodes"):
        case [{"args": [_, [whole, 0, *rest]]}]:
            return len(rest) < 2 and all(_is_whole(each) for each in (whole, *rest))
    return False


def _is_whole(value: Any) -> bool:
    match value:
        case {"class_name": "__slice__", "config": {"start": None, "stop": None, "step": None}}:
            return True
    return False


def _only_input(step: Mapping[str, Any]) -> tuple[str | None, int]:
    match step.get("inbound_nodes"):
        case [{"args": [{"config": {"keras_history": history}}, *_]}]:
            return _one_tensor(history)
    return None, 0


def _one_tensor(value: Any) -> tuple[str | None, int]:
    """The layer and the number of its output in `["dense", 0, 2]`, in as many lists, or an object of one entry."""
    while isinstance(value, list | dict) and len(value) == 1:
        (value,) = value.values() if isinstance(value, dict) else value
    match value:
        case [str() as name, 0, int() as index] if index >= 0:
            return name, index
    return None, 0


def _keys(value: Any) -> Iterator[Any]:
    """All keys of the objects in a JSON value."""
    if isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _keys(item)


def _is_length(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 3
