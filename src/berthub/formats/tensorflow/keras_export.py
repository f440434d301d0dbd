"""Read the SavedModels that Keras 3 exported of models with a `berthub.KerasLayer`: `Model.export`, `tf.saved_model`.

The layer leaves a description and its vocabulary there, as assets (`berthub.training.exported_parts`). Its variables
have their canonical names. Dense layers on it are the model's head.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.checkpoint import Checkpoint
from berthub.choices import Pooling
from berthub.config import EncoderConfig
from berthub.containers.tensorbundle import TensorBundle
from berthub.errors import CheckpointError, CorruptFileError, UnsupportedModelError
from berthub.formats.dense_head import head_of_dense, hidden_of_dense
from berthub.formats.native import read_description, read_embedding
from berthub.formats.settings import Settings
from berthub.formats.tensorflow.keras_export_head import ExportedHead, exported_head
from berthub.formats.tensorflow.keras_export_names import DESCRIPTION, LORA_SCALE
from berthub.formats.tensorflow.saved_model_objects import SavedObjects, Variable
from berthub.formats.vocabularies import read_vocabulary_files
from berthub.head import Head
from berthub.networks.network import config_from_dict, weight_shapes
from berthub.vocabulary import Vocabulary

__all__ = ["is_undescribed_layer", "read_keras_export"]

FORMAT = "SavedModel of Keras"

_WORDS = "-embeddings-word_embeddings"
_DOWN, _UP = "lora_down", "lora_up"
_BESIDE = ("optimizer/", "seed_generator")
_SEEN: Mapping[tuple[str, bool], Pooling | None] = {
    ("pooled_output", False): "pooled",
    ("sequence_output", True): "cls",
    ("sequence_output", False): None,
}


def read_keras_export(
    folder: Path,
    meta_graph: Any,
    objects: SavedObjects,
    bundle: TensorBundle,
    given: Mapping[str, Any] | None,
    vocabulary: Vocabulary | None,
) -> Checkpoint | None:
    """The encoder, and the head on it; None where no layer left its description."""
    source = folder / "saved_model.pb"
    owners = objects.owners(DESCRIPTION)
    if not owners:
        return None
    if len(owners) > 1:
        raise CheckpointError(
            f"{source} holds {len(owners)} encoders, and which one is meant cannot be told: save the one that you want "
            "by itself (layer.save(folder)), and load that"
        )
    assets = objects.assets(owners[0])
    path = assets.pop(DESCRIPTION)
    described = read_description(path)
    settings = Settings(given)
    settings.put(path.name, **{name: value for name, value in described["config"].items() if name != "architecture"})
    config = config_from_dict({**described["config"], **(given or {})})
    variables = _variables(config, objects, source)
    weights = _weights(variables, bundle, described.get(LORA_SCALE), path)
    found = exported_head(meta_graph.graph_def, objects, source=source)
    head = None if found is None else _head(found, bundle, config)
    keys = {variable.name for variable in variables.values()}
    if found is not None and head is not None:
        keys |= {each.name for layer in found.layers for each in (layer.kernel, layer.bias) if each is not None}
    unused = {each.name: each for each in objects.all_variables if each.name not in keys}
    above = {
        name for name, each in unused.items() if "/" in name and not any(part in each.key + name for part in _BESIDE)
    }
    embedding = read_embedding(described, path)
    sources = {name: path.name for name, value in embedding.to_dict().items() if value}
    origin = settings.origin(FORMAT, folder, unused=unused, also=sources)
    return Checkpoint(
        config=config,
        weights=weights,
        vocabulary=vocabulary or _vocabulary(assets, described, source),
        origin=dataclasses.replace(origin, head=tuple(sorted(above)) if head is None else ()),
        head=head,
        embedding=embedding,
    )


def is_undescribed_layer(objects: SavedObjects) -> bool:
    """Whether the model has the variables of a `berthub.KerasLayer`."""
    return any(variable.name.endswith(_WORDS) for variable in objects.all_variables)


def _variables(config: EncoderConfig, objects: SavedObjects, source: Path) -> dict[str, Variable]:
    """The variables of the layer by their canonical names, those of LoRA included."""
    canonical = {name.replace("/", "-"): name for name in weight_shapes(config)}
    for name in list(canonical.values()):
        if name.endswith("/kernel"):
            scope = name.removesuffix("kernel")
            canonical |= {f"{scope}{part}".replace("/", "-"): f"{scope}{part}" for part in (_DOWN, _UP)}
    found: dict[str, Variable] = {}
    for variable in objects.all_variables:
        weight = canonical.get(variable.name.rpartition("/")[2])
        # Keras stores a variable twice: among all, and among those that a function uses.
        if weight is not None and found.setdefault(weight, variable).name != variable.name:
            raise CheckpointError(
                f"{source} holds {found[weight].name!r} and {variable.name!r}: which encoder is meant cannot be told. "
                "Save the one that you want by itself (layer.save(folder)), and load that"
            )
    return found


def _weights(
    variables: Mapping[str, Variable], bundle: TensorBundle, scale: Any, path: Path
) -> dict[str, npt.NDArray[np.float32]]:
    """The weights by their canonical names, LoRA merged."""
    arrays = {name: bundle.array(variable.key) for name, variable in variables.items()}
    parts = {name: arrays.pop(name) for name in list(arrays) if name.endswith((_DOWN, _UP))}
    for name, down in parts.items():
        if not name.endswith(_DOWN):
            continue
        scope = name.removesuffix(_DOWN)
        up, kernel = parts.get(f"{scope}{_UP}"), arrays.get(f"{scope}kernel")
        if not isinstance(scale, float) or up is None or kernel is None:
            raise CorruptFileError(f"{path} is damaged: it does not say how the LoRA of {scope}kernel is merged")
        if down.shape[-1:] != up.shape[:1] or (*down.shape[:1], *up.shape[1:]) != kernel.shape:
            raise CorruptFileError(f"{path} is damaged: the LoRA of {scope}kernel does not have its shape")
        arrays[f"{scope}kernel"] = kernel + down @ up * np.float32(scale)
    return arrays


def _head(found: ExportedHead, bundle: TensorBundle, config: EncoderConfig) -> Head | None:
    """The head; None if its outputs fit no task of berthub. How the model was compiled is not stored."""
    if (found.output, found.first) not in _SEEN:
        return None
    stored = [
        (bundle.array(layer.kernel.key), None if layer.bias is None else bundle.array(layer.bias.key))
        for layer in found.layers
    ]
    hidden = [
        hidden_of_dense(kernel, bias, activation)
        for (kernel, bias), activation in zip(stored[:-1], found.hidden, strict=True)
    ]
    layers = tuple(layer for layer in hidden if layer is not None)
    kernel, bias = stored[-1]
    if len(layers) < len(hidden):
        return None
    activation = found.layers[-1].activation
    # One output without an activation is given as the model gives it: whether it was trained as a logit is not known.
    loss = "mse" if activation == "linear" and kernel.shape[-1:] == (1,) else ""
    return head_of_dense(
        kernel,
        bias,
        activation=activation,
        loss=loss,
        length=found.length,
        pooling=_SEEN[found.output, found.first],
        config=config,
        hidden=layers,
    )


def _vocabulary(assets: Mapping[str, Path], described: Mapping[str, Any], source: Path) -> Vocabulary:
    renamed = [f"{name} ({path.name})" for name, path in assets.items() if path.name != name]
    folders = {path.parent for path in assets.values()}
    if renamed or len(folders) != 1:
        raise UnsupportedModelError(
            f"the assets of {source} do not have the names of the vocabulary's files: {', '.join(renamed) or 'none'}. "
            "Another asset of the model has such a name. Give the vocabulary: vocabulary=PATH"
        )
    return read_vocabulary_files(folders.pop(), described["algorithm"], described["special_pieces"])
