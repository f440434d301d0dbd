"""Read checkpoints of TensorFlow's Model Garden: object-based, keys are paths through the trainer's objects.

The encoder is found by its attention layers, whatever it is called there (`encoder/`, `model/`). Its parts are
counted through, `layer_with_weights-N`: word, position and type embeddings, their layer norm, a projection where the
embeddings are narrower, the transformer blocks, the pooler; or, in a BertEncoderV2, named by attributes. Attention
kernels have a dimension for the heads. Where a checkpoint was written together with the masked-language-model head,
the word embeddings are kept as the head's `embedding_table`.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from berthub.checkpoint import Checkpoint
from berthub.config import EncoderConfig
from berthub.containers.files import read_json
from berthub.containers.tensorbundle import TensorBundle
from berthub.errors import CheckpointError, ModelNotFoundError
from berthub.formats.albert import FIRST_BLOCK, PROJECTION, part_in_albert
from berthub.formats.head_axes import as_matrix, check_heads, first_heads
from berthub.formats.renaming import Rule, rename
from berthub.formats.settings import Settings
from berthub.formats.tensorflow.google_files import checkpoint_prefix, find_config, find_vocabulary, put_config
from berthub.formats.tensorflow.shapes import sizes_from_shapes
from berthub.networks.albert import AlbertConfig
from berthub.networks.bert import BertConfig
from berthub.networks.parts import MLM_HEAD
from berthub.vocabulary import Vocabulary

__all__ = ["is_model_garden", "read_model_garden"]

FORMAT = "Model Garden checkpoint"

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_FIRST_LAYER, _PROJECTION = "bert/encoder/layer_0/", "bert/embeddings_project"

# An attention layer shows which encoder is meant and which of its parts are blocks.
_BLOCK = re.compile(r"(.*/)?(layer_with_weights-|_transformer_layers/)(\d{1,6})/_attention_layer/_query_dense/_?kernel")
_COUNTED = re.compile(r"layer_with_weights-(\d{1,6})/(.*)")

# What `_position` makes of a key, without the encoder's name -> the canonical name. Exporters of 2019 put an
# underscore before `kernel` and `bias`; newer ones keep the attention's output layer inside the attention.
_RULES: list[Rule] = [
    (r"(?:before/0|_embedding_layer)/embeddings", "bert/embeddings/word_embeddings"),
    (r"(?:before/1|_position_embedding_layer)/_?(?:position_)?embeddings", "bert/embeddings/position_embeddings"),
    (r"(?:before/2|_type_embedding_layer)/embeddings", "bert/embeddings/token_type_embeddings"),
    (r"(?:before/\d+|_embedding_norm_layer)/(gamma|beta)", r"bert/embeddings/LayerNorm/\1"),
    (r"(?:before/\d+|_embedding_projection)/(kernel|bias)", r"bert/embeddings_project/\1"),
    (
        r"block/(\d+)/_attention_layer/_(query|key|value)_dense/_?(kernel|bias)",
        r"bert/encoder/layer_\1/attention/self/\2/\3",
    ),
    (
        r"block/(\d+)/_attention_(?:layer/_)?output_dense/_?(kernel|bias)",
        r"bert/encoder/layer_\1/attention/output/dense/\2",
    ),
    (r"block/(\d+)/_attention_layer_norm/(gamma|beta)", r"bert/encoder/layer_\1/attention/output/LayerNorm/\2"),
    (r"block/(\d+)/_(intermediate|output)_dense/_?(kernel|bias)", r"bert/encoder/layer_\1/\2/dense/\3"),
    (r"block/(\d+)/_output_layer_norm/(gamma|beta)", r"bert/encoder/layer_\1/output/LayerNorm/\2"),
    (r"(?:after/\d+|_pooler_layer)/(kernel|bias)", r"bert/pooler/dense/\1"),
    # Beside the encoder; `.S` is a slash inside of a name.
    (r"beside/(?:.*/)?masked_lm/embedding_table", "bert/embeddings/word_embeddings"),
    (r"beside/(?:.*/)?masked_lm/dense/(kernel|bias)", r"cls/predictions/transform/dense/\1"),
    (r"beside/(?:.*/)?masked_lm/layer_norm/(gamma|beta)", r"cls/predictions/transform/LayerNorm/\1"),
    (r"beside/(?:.*/)?masked_lm/(?:output_bias\.Sbias|bias)", "cls/predictions/output_bias"),
]


def is_model_garden(folder: Path) -> bool:
    """Whether the checkpoint in `folder` is an object-based one."""
    return _OBJECT_GRAPH in TensorBundle(checkpoint_prefix(folder))


def read_model_garden(
    folder: Path, given: Mapping[str, Any] | None = None, vocabulary: Vocabulary | None = None
) -> Checkpoint:
    """The BERT, ELECTRA or ALBERT in a folder with an object-based checkpoint and a vocabulary."""
    prefix = checkpoint_prefix(folder)
    bundle = TensorBundle(prefix)
    keys_by_name = {key.removesuffix(_VALUE): key for key in bundle.keys if key.endswith(_VALUE)}
    names, unused = _canonical(keys_by_name, prefix)
    if not names.keys() >= MLM_HEAD:
        unused += [names.pop(name) for name in [*names] if name.startswith("cls/")]
    arrays = {name: bundle.array(keys_by_name[foreign]) for name, foreign in names.items()}
    blocks = len({name.split("/")[2] for name in names if name.startswith("bert/encoder/")})
    weights = {name: as_matrix(name, array) for name, array in arrays.items()}

    settings = Settings(given)
    path = find_config(folder)
    # All ALBERTs keep one block, however many layers run it; without a configuration that could be either.
    layers = (given or {}).get("num_layers")
    kind: type[EncoderConfig] = BertConfig
    if path is not None and layers is None:
        layers = read_json(path).get("num_hidden_layers")
    if blocks == 1 and layers not in (None, 1):
        kind = AlbertConfig
        weights = {_in_albert(name): weight for name, weight in weights.items()}
    if path is not None:
        put_config(settings, path, kind)
    sizes = sizes_from_shapes(kind, {name: weight.shape for name, weight in weights.items()})
    if blocks == 1:
        sizes.pop("num_layers", None)
    if heads := first_heads(arrays):
        sizes["num_heads"] = heads
    settings.put("the names and shapes of the variables", **sizes)
    settings.put("the Model Garden's code", layer_norm_eps=1e-12)
    vocabulary = vocabulary or find_vocabulary(folder, kind)
    settings.put_case(vocabulary)
    config = settings.config(kind, what=str(path or folder))
    check_heads(config, arrays, settings, source=prefix)
    return Checkpoint(
        config=config,
        weights=weights,
        vocabulary=vocabulary,
        origin=settings.origin(FORMAT, folder, unused=unused),
    )


def _in_albert(name: str) -> str:
    """Translate the name of a weight of a one-layer BERT to its name in an ALBERT."""
    if name.startswith(_FIRST_LAYER):
        return FIRST_BLOCK + part_in_albert(name.removeprefix(_FIRST_LAYER))
    return name.replace(_PROJECTION, PROJECTION)


def _canonical(foreign: Iterable[str], prefix: Path) -> tuple[dict[str, str], list[str]]:
    """Canonical name -> name in the checkpoint, and the names of all that is not part of the model."""
    found = [match for name in foreign if (match := _BLOCK.fullmatch(name))]
    scopes = sorted({match[1] or "" for match in found})
    if not scopes:
        raise ModelNotFoundError(
            f"{prefix} holds no BERT: none of its objects has an _attention_layer/_query_dense; "
            f"it has {', '.join(sorted(foreign)[:8]) or 'none'}"
        )
    if len(scopes) > 1:
        raise CheckpointError(
            f"{prefix} holds more than one encoder, and which one is meant cannot be told: {', '.join(scopes)}"
        )
    blocks = {number: rank for rank, number in enumerate(sorted(int(match[3]) for match in found))}
    positions: dict[str, str] = {}
    for name in foreign:
        if (other := positions.setdefault(_position(name, scopes[0], blocks), name)) != name:
            raise CheckpointError(f"{prefix}: {other!r} and {name!r} stand for the same weight of the encoder")
    renamed, unknown = rename(positions, _RULES)
    return {name: positions[position] for name, position in renamed.items()}, [positions[name] for name in unknown]


def _position(name: str, scope: str, blocks: Mapping[int, int]) -> str:
    """The position of a variable: before/N/..., block/I/..., after/N/..., an attribute of the encoder, or beside/..."""
    if not name.startswith(scope):
        return f"beside/{name}"
    inside = name.removeprefix(scope)
    if match := _COUNTED.fullmatch(inside):
        number, rest = int(match[1]), match[2]
        if number in blocks:
            return f"block/{blocks[number]}/{rest}"
        return f"{'before' if number < min(blocks) else 'after'}/{number}/{rest}"
    if inside.startswith("_transformer_layers/"):
        return inside.replace("_transformer_layers", "block", 1)
    return inside if inside.startswith("_") else f"beside/{name}"
