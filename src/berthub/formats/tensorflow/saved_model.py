"""Read TF Hub's TensorFlow 2 SavedModels as files: the graph in them is never run.

The variables are in a TensorBundle under running numbers; the object graph gives them their names, and these tell
the architecture. What berthub itself exported says all of its settings in `assets.extra`; other models have some in
Keras's metadata, a file of its own or inside `saved_model.pb`, and show the rest in shapes and in the graph.

The encoder may hang anywhere in the model: what `model.save` wrote of a fine-tuned Keras 2 model is read, too. If it
was saved with its preprocessing, texts are tokenized as that does.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from berthub.checkpoint import Checkpoint
from berthub.config import EncoderConfig
from berthub.containers.files import read_bytes
from berthub.containers.protos import parse
from berthub.containers.tensorbundle import TensorBundle
from berthub.errors import CorruptFileError, ModelNotFoundError, UnsupportedModelError
from berthub.formats.head_axes import as_matrix, check_heads
from berthub.formats.native import CONFIG, read_description, read_embedding
from berthub.formats.renaming import rename
from berthub.formats.settings import Settings
from berthub.formats.tensorflow.graph import Graph
from berthub.formats.tensorflow.keras_export import is_undescribed_layer, read_keras_export
from berthub.formats.tensorflow.saved_model_head import find_dense_head
from berthub.formats.tensorflow.saved_model_metadata import (
    KerasLayer,
    put_declared_sizes,
    put_metadata,
    read_metadata,
)
from berthub.formats.tensorflow.saved_model_names import architecture, is_of_encoder, numbered, rules
from berthub.formats.tensorflow.saved_model_objects import SavedObjects, Variable
from berthub.formats.tensorflow.saved_model_settings import put_from_graph, put_shapes, without_foreign_head
from berthub.formats.tensorflow.text_graph import TextGraph
from berthub.formats.vocabularies import (
    ALBERT_SPECIAL,
    read_vocabulary_files,
    sentencepiece_vocabulary,
    wordpiece_vocabulary,
)
from berthub.networks.network import config_from_dict, weight_shapes
from berthub.networks.parts import MLM_HEAD
from berthub.vocabulary import Vocabulary

__all__ = ["DESCRIPTION", "read_saved_model"]

DESCRIPTION = f"assets.extra/{CONFIG}"
"""Where berthub's own exports keep what the variables do not tell; TensorFlow leaves `assets.extra` to exporters."""

FORMAT = "TensorFlow 2 SavedModel"

_TABLE = "bert/embeddings/word_embeddings"
_MLM = "cls/predictions/"
# Objects of a model that do not belong to its encoder: the training, and Keras's own lists.
_BESIDE = ("optimizer", "keras_api")


def read_saved_model(
    folder: Path, given: Mapping[str, Any] | None = None, vocabulary: Vocabulary | None = None
) -> Checkpoint:
    """The encoder in a SavedModel folder of TF Hub (versions 1 to 4: list and dict interface), or in a model on it."""
    path = folder / "saved_model.pb"
    meta_graph = _meta_graph(path)
    bundle_prefix = folder / "variables" / "variables"
    bundle = TensorBundle(bundle_prefix)
    objects = SavedObjects(meta_graph, bundle, source=path)
    exported = read_keras_export(folder, meta_graph, objects, bundle, given, vocabulary)
    if exported is not None:
        return exported
    encoder = objects.encoder()
    described = read_description(folder / DESCRIPTION) if (folder / DESCRIPTION).exists() else {}
    description = config_from_dict(described["config"]) if described else None
    kind, variables = _weights(objects, encoder, description, path)
    arrays = {name: bundle.array(variable.key) for name, variable in variables.items()}

    layers = read_metadata(folder, objects)
    inside = objects.reachable(encoder)
    functions = objects.functions_of(objects.reachable(encoder, without=_BESIDE))
    settings = Settings(given)
    graph = functools.cache(lambda: Graph(meta_graph.graph_def, source=path, functions=functions))
    if description is not None:
        settings.put(DESCRIPTION, **dataclasses.asdict(description))
    else:
        shaped = put_shapes(settings, kind, arrays)
        own_layers = [layer for layer in layers if layer.node in inside]
        put_declared_sizes(settings, own_layers, shaped)
        put_metadata(settings, own_layers, kind, source=path)
        put_from_graph(settings, kind, graph, sizes=shaped, source=path)
    if description is None:
        _put_tokenization(settings, meta_graph, path)
    lower_case = objects.child(encoder, "do_lower_case")
    case = [] if lower_case is None else objects.variables([lower_case])
    for variable in case:
        settings.put("the variable do_lower_case", lower_case=bool(bundle.array(variable.key)))
    vocabulary = vocabulary or _vocabulary(folder, objects, encoder, described)
    settings.put_case(vocabulary)

    config = settings.config(kind, what=str(path))
    check_heads(config, arrays, settings, source=bundle_prefix)
    if description is None:
        config = without_foreign_head(config, settings, graph)
    weights = {name: as_matrix(name, array) for name, array in arrays.items() if config.mlm or _MLM not in name}
    dense = find_dense_head(layers, objects, encoder=encoder, encoder_functions=functions)
    head = None if dense is None else dense.read(bundle, config)
    used = [variables[name] for name in weights] + case
    if dense is not None and head is not None:
        used += dense.variables
    objects.check_apart(used)
    keys = {variable.key for variable in used}
    unused = {variable.name for variable in objects.all_variables if variable.key not in keys}
    unread = set[str]() if head is not None else _on_top(layers, objects, encoder) & unused
    embedding = read_embedding(described, folder / DESCRIPTION)
    described_by = {name: DESCRIPTION for name, value in embedding.to_dict().items() if value}
    return Checkpoint(
        config=config,
        weights=weights,
        vocabulary=vocabulary,
        origin=dataclasses.replace(
            settings.origin(FORMAT, folder, unused=unused, also=described_by), head=tuple(sorted(unread))
        ),
        head=head,
        embedding=embedding,
    )


def _on_top(layers: Sequence[KerasLayer], objects: SavedObjects, encoder: int) -> set[str]:
    """The names of the variables in the layers beside the encoder that Keras described."""
    # Models hold the encoder, and are no layers beside it.
    around = objects.above(encoder) | objects.reachable(encoder)
    nodes = [layer.node for layer in layers if layer.node not in around]
    found = objects.variables(objects.reachable(*nodes, without=_BESIDE) - around)
    # Those of metrics and counters have no layer in their names.
    return {variable.name for variable in found if "/" in variable.name}


def _put_tokenization(settings: Settings, meta_graph: Any, path: Path) -> None:
    """Set the tokenization settings from a model's operations on texts, if it was saved with its preprocessing."""
    if "tokenization" in settings:
        return
    text = TextGraph.of([meta_graph.graph_def], path)
    if text is not None:
        settings.put(
            "the operations on texts in the graph",
            tokenization="tf_text",
            lower_case=text.lower_case,
            strip_accents=text.strip_accents(),
        )


def _meta_graph(path: Path) -> Any:
    saved_model = parse("SavedModel", read_bytes(path), source=str(path))
    serving = [meta_graph for meta_graph in saved_model.meta_graphs if "serve" in meta_graph.meta_info_def.tags]
    if len(serving) == 1:
        return serving[0]
    if serving:
        raise CorruptFileError(
            f"{path} has {len(serving)} graphs tagged 'serve', and which one is meant cannot be told"
        )
    tags = [sorted(meta_graph.meta_info_def.tags) for meta_graph in saved_model.meta_graphs]
    raise ModelNotFoundError(f"{path} has no graph tagged 'serve'; its tags are {tags}")


def _weights(
    objects: SavedObjects, encoder: int, description: EncoderConfig | None, path: Path
) -> tuple[type[EncoderConfig], dict[str, Variable]]:
    """The kind of encoder, and the variables of its weights and its language-model head by canonical name.

    `UnsupportedModelError` if there is no encoder, or one with more weights than are known.
    """
    found = objects.variables(objects.reachable(encoder, without=_BESIDE))
    layered = numbered({variable.name for variable in found})
    kind = architecture(layered.values()) if description is None else type(description)
    renamed, unknown = rename([layered[variable.name] for variable in found], rules(kind))
    if description is not None:
        renamed |= {name: name for name in unknown if name in weight_shapes(description)}
    if _TABLE not in renamed and is_undescribed_layer(objects):
        raise UnsupportedModelError(
            f"{path} was exported from a model with a berthub.KerasLayer, without the layer's description and "
            "vocabulary: it had no vocabulary, Keras's backend was not TensorFlow, or an older berthub wrote it. Save "
            "the model as a .keras file, or the layer by itself (layer.save(folder)), and load that"
        )
    if _TABLE not in renamed:
        names = sorted({variable.name for variable in objects.all_variables})
        raise UnsupportedModelError(
            f"{path} holds no BERT encoder: no variable is called word_embeddings/embeddings; "
            f"its variables are: {', '.join(names[:8]) or 'none'} "
            "(preprocessing models have no weights: name the encoder, or use hub.Preprocessor)"
        )
    by_name = {layered[variable.name]: variable for variable in found}
    variables = {canonical: by_name[name] for canonical, name in renamed.items()}
    _refuse_others(objects, encoder, {variable.key for variable in variables.values()}, path)
    if not any(name.endswith("/query/kernel") for name in variables):
        raise UnsupportedModelError(f"{path} is no encoder of a known architecture: it has no attention layers")
    mlm = [name for name in variables if name.startswith(_MLM)]
    # Weights of another head, or of a part of one, are left aside.
    if not variables.keys() >= MLM_HEAD:
        variables = {name: variable for name, variable in variables.items() if name not in mlm}
    return kind, variables


def _refuse_others(objects: SavedObjects, encoder: int, known: set[str], path: Path) -> None:
    """`UnsupportedModelError` if the encoder has variables that are not known: they would change its numbers."""
    lists = [objects.child(encoder, name) for name in ("variables", "trainable_variables")]
    case = objects.child(encoder, "do_lower_case")
    own = objects.reachable(*lists) - {case}
    others = {variable.name for variable in objects.variables(own) if variable.key not in known}
    if not objects.has_vocabulary(encoder):
        # A model around an encoder, which cannot be told from it but by its names.
        others = {name for name in others if is_of_encoder(name)}
    if others:
        raise UnsupportedModelError(
            f"{path} is no encoder of a known architecture: it also has the variables {', '.join(sorted(others))}"
        )


def _vocabulary(folder: Path, objects: SavedObjects, encoder: int, described: Mapping[str, Any]) -> Vocabulary:
    """The vocabulary in the encoder's assets."""
    if described:
        return read_vocabulary_files(folder / "assets", described["algorithm"], described["special_pieces"])
    model, lines = (objects.asset(encoder, name) for name in ("sp_model_file", "vocab_file"))
    if model is not None:
        return sentencepiece_vocabulary(read_bytes(model), source=str(model), special=ALBERT_SPECIAL)
    path = lines or folder / "assets" / "vocab.txt"
    if not path.is_file():
        raise ModelNotFoundError(f"{folder} has no vocabulary: no asset is called vocab_file, and {path} is missing")
    return wordpiece_vocabulary(path)
