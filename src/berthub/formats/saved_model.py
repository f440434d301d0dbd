"""TF Hub's TensorFlow 2 SavedModels, read as files: the graph in them is never run.

The variables are in a TensorBundle under running numbers; the object graph gives them their names. Sizes follow
from the shapes. The activation and the epsilon of the layer norms are in Keras's metadata, a file of its own or
inside `saved_model.pb`; where a model has none they are read off the graph's operations and constants. What berthub
itself exported says all of it in `assets.extra`.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from berthub.checkpoint import Checkpoint, Origin
from berthub.errors import CheckpointError, CorruptFileError, ModelNotFoundError, UnsupportedModelError
from berthub.formats.files import read_bytes, read_lines
from berthub.formats.graph import graph_settings
from berthub.formats.native import CONFIG, read_description
from berthub.formats.protos import parse
from berthub.formats.renaming import Rule, rename
from berthub.formats.settings import Settings
from berthub.formats.tensorbundle import TensorBundle
from berthub.networks.bert import BertConfig
from berthub.networks.network import config_from_dict
from berthub.vocabulary import Vocabulary

__all__ = ["DESCRIPTION", "read_saved_model"]

DESCRIPTION = f"assets.extra/{CONFIG}"
"""Where berthub's own exports keep what the variables do not tell; TensorFlow leaves `assets.extra` to exporters."""

FORMAT = "TensorFlow 2 SavedModel"

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_LOWER_CASE = f"do_lower_case{_VALUE}"
_LAYER = r"(?:.*/)?layer_(\d+)"
_SCOPE = r"bert/encoder/layer_\1"

# Any prefix may stand before a name: `bert_encoder_v2/`, `transformer/`, `transformer_encoder_1/` ...
_RULES: list[Rule] = [
    (r"(?:.*/)?word_embeddings/embeddings", "bert/embeddings/word_embeddings"),
    (r"(?:.*/)?position_embeddings?/embeddings", "bert/embeddings/position_embeddings"),
    (r"(?:.*/)?type_embeddings/embeddings", "bert/embeddings/token_type_embeddings"),
    (r"(?:.*/)?embeddings/layer_norm/(gamma|beta)", r"bert/embeddings/LayerNorm/\1"),
    (_LAYER + r"/self_attention/(query|key|value)/(kernel|bias)", _SCOPE + r"/attention/self/\2/\3"),
    # TF 2.2 keeps the attention's output layer beside the attention, later versions inside it.
    (_LAYER + r"/self_attention(?:/attention)?_output/(kernel|bias)", _SCOPE + r"/attention/output/dense/\2"),
    (_LAYER + r"/self_attention_layer_norm/(gamma|beta)", _SCOPE + r"/attention/output/LayerNorm/\2"),
    (_LAYER + r"/intermediate/(kernel|bias)", _SCOPE + r"/intermediate/dense/\2"),
    (_LAYER + r"/output/(kernel|bias)", _SCOPE + r"/output/dense/\2"),
    (_LAYER + r"/output_layer_norm/(gamma|beta)", _SCOPE + r"/output/LayerNorm/\2"),
    (r"(?:.*/)?pooler_transform/(kernel|bias)", r"bert/pooler/dense/\1"),
]

_BERT_CLASSES = {"BertEncoder", "BertEncoderV2", "TransformerEncoder"}
_OTHER_CLASSES = {
    "AlbertEncoder": "ALBERT",
    "AlbertTransformerEncoder": "ALBERT",
    "EncoderScaffold": "a custom encoder (talking heads and others)",
    "MobileBERTEncoder": "MobileBERT",
}
# Keras's name of an activation where it can mean one thing only; for any other the graph is asked.
_ACTIVATIONS = {"Text>gelu": "gelu_tanh", "keras_nlp>gelu": "gelu_tanh", "relu": "relu"}


def read_saved_model(folder: Path, given: Mapping[str, Any] | None = None) -> Checkpoint:
    """The BERT in a SavedModel folder of TF Hub (versions 2 to 4: list and dict interface)."""
    path = folder / "saved_model.pb"
    meta_graph = _meta_graph(path)
    bundle = TensorBundle(folder / "variables" / "variables")
    metadata = list(_metadata(folder, meta_graph))
    _refuse_other_architectures(metadata, path)

    keys_by_name = {name: key for name, key in _variables(bundle, meta_graph).items() if key != _LOWER_CASE}
    renamed, unknown = rename(keys_by_name, _RULES)
    if "bert/embeddings/word_embeddings" not in renamed:
        raise ModelNotFoundError(
            f"{path} holds no BERT encoder: no variable is called word_embeddings/embeddings; "
            f"its variables are: {', '.join(sorted(keys_by_name)[:8]) or 'none'} "
            "(preprocessing models have no weights: name the encoder they belong to)"
        )
    # The root's own variables are the encoder's; what hangs elsewhere (`mlm`) belongs to heads.
    foreign = [name for name in unknown if keys_by_name[name].startswith(("variables/", "trainable_variables/"))]
    if foreign:
        raise UnsupportedModelError(f"{path} is no plain BERT: it also has the variables {', '.join(sorted(foreign))}")

    arrays = {canonical: bundle.array(keys_by_name[name]) for canonical, name in renamed.items()}
    pieces = tuple(read_lines(_vocabulary_file(folder, meta_graph)))
    settings = Settings(given)
    _put_sizes(settings, arrays, metadata)
    special: dict[str, str] = {}
    if (folder / DESCRIPTION).exists():
        described = read_description(folder / DESCRIPTION)
        settings.put(DESCRIPTION, **dataclasses.asdict(config_from_dict(described["config"])))
        special = described["special_pieces"]
    vocabulary = Vocabulary(pieces, **special)
    _put_metadata(settings, metadata)
    if "activation" not in settings or "layer_norm_eps" not in settings:
        settings.put("the operations and constants of the graph", **graph_settings(meta_graph.graph_def, source=path))
    if _LOWER_CASE in bundle:
        settings.put("the variable do_lower_case", lower_case=bool(bundle.array(_LOWER_CASE)))
    settings.put_case(vocabulary)

    config = settings.config(BertConfig, what=str(path))
    return Checkpoint(
        config=config,
        weights={name: _as_matrix(name, array) for name, array in arrays.items()},
        vocabulary=vocabulary,
        origin=Origin(format=FORMAT, folder=folder, settings=settings.sources, unused=tuple(sorted(unknown))),
    )


def _meta_graph(path: Path) -> Any:
    saved_model = parse("SavedModel", read_bytes(path), source=str(path))
    for meta_graph in saved_model.meta_graphs:
        if "serve" in meta_graph.meta_info_def.tags:
            return meta_graph
    tags = [sorted(meta_graph.meta_info_def.tags) for meta_graph in saved_model.meta_graphs]
    if (path.parent / "tfhub_module.pb").exists():
        raise UnsupportedModelError(
            f"{path.parent} is a TF1 hub module, which is not read yet; "
            "most of these models were also published as TensorFlow 2 SavedModels (version 2 and later)"
        )
    raise ModelNotFoundError(f"{path} has no graph tagged 'serve'; its tags are {tags}")


def _variables(bundle: TensorBundle, meta_graph: Any) -> dict[str, str]:
    """Full name -> key in the bundle, of every variable that has a name."""
    named: dict[str, str] = {}
    if _OBJECT_GRAPH in bundle:
        graph = parse("TrackableObjectGraph", bundle.string(_OBJECT_GRAPH), source="the checkpoint's object graph")
        for node in graph.nodes:
            for attribute in node.attributes:
                if attribute.full_name and attribute.checkpoint_key in bundle:
                    named.setdefault(attribute.full_name, attribute.checkpoint_key)
    covered = set(named.values())
    nodes = meta_graph.object_graph_def.nodes
    for key in bundle.keys:
        if key.endswith(_VALUE) and key not in covered and (name := _name_by_path(nodes, key.removesuffix(_VALUE))):
            named.setdefault(name, key)
    return named


def _name_by_path(nodes: Any, path: str) -> str | None:
    """The variable's name at the end of a path such as `variables/12` through the saved object graph."""
    if not nodes:
        return None
    node = nodes[0]
    for step in path.split("/"):
        child = next((child.node_id for child in node.children if child.local_name == step), None)
        if child is None or not 0 <= child < len(nodes):
            return None
        node = nodes[child]
    return node.variable.name or None


def _metadata(folder: Path, meta_graph: Any) -> Iterator[dict[str, Any]]:
    """Keras's description of each layer: a dict with `class_name` and `config`."""
    texts = [node.user_object.metadata for node in meta_graph.object_graph_def.nodes]
    source = folder / "saved_model.pb"
    path = folder / "keras_metadata.pb"
    if path.exists():
        source = path
        texts += [node.metadata for node in parse("KerasMetadata", read_bytes(path), source=str(path)).nodes]
    for text in texts:
        if not text.startswith("{"):
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CorruptFileError(f"{source} is damaged: Keras's metadata in it is no valid JSON ({error})") from error
        if isinstance(value.get("class_name"), str) and isinstance(value.get("config"), dict):
            yield value


def _class_name(layer: Mapping[str, Any]) -> str:
    """Keras's class name without the package it was registered in: `Text>BertEncoder` -> `BertEncoder`."""
    name: str = layer["class_name"]
    return name.rpartition(">")[2]


def _refuse_other_architectures(metadata: list[dict[str, Any]], path: Path) -> None:
    for layer in metadata:
        if (name := _class_name(layer)) in _OTHER_CLASSES:
            raise UnsupportedModelError(f"{path} is {_OTHER_CLASSES[name]} ({name}), which is not read yet; BERT is")
        config = layer["config"]
        if name in _BERT_CLASSES:
            width = config.get("embedding_width")
            if width is not None and width != config.get("hidden_size"):
                raise UnsupportedModelError(
                    f"{path} has embeddings of width {width} in a model {config.get('hidden_size')} wide "
                    "(ELECTRA and others), which is not read yet"
                )
            for setting in ("norm_first", "output_range"):
                if config.get(setting):
                    raise UnsupportedModelError(f"{path} sets {setting} to {config[setting]!r}, which is not supported")


def _put_sizes(settings: Settings, arrays: Mapping[str, Any], metadata: list[dict[str, Any]]) -> None:
    sizes: dict[str, int] = {}
    tables = {
        "bert/embeddings/word_embeddings": ("vocab_size", "hidden_size"),
        "bert/embeddings/position_embeddings": ("max_positions", "hidden_size"),
        "bert/embeddings/token_type_embeddings": ("type_vocab_size", "hidden_size"),
        "bert/encoder/layer_0/attention/self/query/kernel": ("hidden_size", "num_heads"),
        "bert/encoder/layer_0/intermediate/dense/kernel": ("hidden_size", "intermediate_size"),
    }
    for name, dimensions in tables.items():
        if name in arrays:
            sizes = {**dict(zip(dimensions, arrays[name].shape, strict=False)), **sizes}
    if getattr(arrays.get("bert/encoder/layer_0/attention/self/query/kernel"), "ndim", 3) != 3:
        del sizes["num_heads"]
    sizes["num_layers"] = len({name.split("/")[2] for name in arrays if name.startswith("bert/encoder/")})
    settings.put(
        "the shapes of the variables",
        **sizes,
        pooler="bert/pooler/dense/kernel" in arrays,
    )
    declared = {
        "vocab_size": "vocab_size",
        "hidden_size": "hidden_size",
        "num_layers": "num_layers",
        "num_attention_heads": "num_heads",
        "type_vocab_size": "type_vocab_size",
    }
    for layer in metadata:
        if _class_name(layer) not in _BERT_CLASSES:
            continue
        for foreign, name in declared.items():
            value = layer["config"].get(foreign)
            if value is not None and name in sizes and value != sizes[name]:
                raise CheckpointError(
                    f"the model's metadata sets {foreign} to {value!r}, but its variables are shaped for {sizes[name]}"
                )
            if isinstance(value, int):
                settings.put("Keras's metadata", **{name: value})


def _put_metadata(settings: Settings, metadata: list[dict[str, Any]]) -> None:
    values: dict[str, Any] = {}
    epsilons = {
        epsilon
        for layer in metadata
        if _class_name(layer) == "LayerNormalization"
        and isinstance(epsilon := layer["config"].get("epsilon"), int | float)
    }
    if len(epsilons) == 1:
        (values["layer_norm_eps"],) = epsilons
    elif epsilons:
        raise UnsupportedModelError(f"the layer norms of this model have different epsilons: {sorted(epsilons)}")
    for layer in metadata:
        if _class_name(layer) not in _BERT_CLASSES:
            continue
        config = layer["config"]
        # Exporters before 2021 wrote the second name of each pair.
        activation = config.get("inner_activation", config.get("activation"))
        if isinstance(activation, str) and activation in _ACTIVATIONS:
            values["activation"] = _ACTIVATIONS[activation]
        for name, keys in {
            "hidden_dropout": ("output_dropout", "dropout_rate"),
            "attention_dropout": ("attention_dropout", "attention_dropout_rate"),
        }.items():
            rate = next((config[key] for key in keys if key in config), None)
            if isinstance(rate, int | float):
                values[name] = rate
        match config.get("initializer"):
            case {"config": {"stddev": int() | float() as deviation}}:
                values["initializer_range"] = deviation
    settings.put("Keras's metadata", **values)


def _vocabulary_file(folder: Path, meta_graph: Any) -> Path:
    """The asset that the model's `vocab_file` points to."""
    nodes, assets = meta_graph.object_graph_def.nodes, meta_graph.asset_file_def
    for child in nodes[0].children if nodes else ():
        if child.local_name != "vocab_file" or not 0 <= child.node_id < len(nodes):
            continue
        index = nodes[child.node_id].asset.asset_file_def_index
        if 0 <= index < len(assets):
            name = assets[index].filename
            path: Path = folder / "assets" / name
            # The name comes from the file: it must not lead out of the folder.
            if Path(name).name == name and path.is_file():
                return path
            raise ModelNotFoundError(f"the vocabulary {name!r} of the model is not in {folder / 'assets'}")
    path = folder / "assets" / "vocab.txt"
    if path.is_file():
        return path
    raise ModelNotFoundError(f"{folder} has no vocabulary: no asset is called vocab_file, and {path} is missing")


def _as_matrix(name: str, array: Any) -> Any:
    """Kernels and biases of attention heads as plain matrices: [H, A, D] -> [H, H], without a copy."""
    if "/attention/" not in name or array.ndim < 2:
        return array
    if name.endswith("/attention/output/dense/kernel"):
        return array.reshape(-1, array.shape[-1])
    if name.endswith("/bias"):
        return array.reshape(-1)
    return array.reshape(array.shape[0], -1)
