"""Read the vocabulary and settings of TF Hub's preprocessing SavedModels; their graph is never run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from berthub.containers.files import asset, read_bytes, read_lines
from berthub.containers.protos import parse
from berthub.containers.strict_json import parse_json
from berthub.errors import CorruptFileError, ModelNotFoundError
from berthub.formats.table import find_model
from berthub.formats.tensorflow.saved_model import read_saved_model
from berthub.formats.tensorflow.text_graph import TextGraph
from berthub.formats.vocabularies import ALBERT_SPECIAL, sentencepiece_vocabulary
from berthub.vocabulary import Vocabulary

__all__ = ["PreprocessorFiles", "read_preprocessor"]

# The operation that holds a SentencePiece model, as an attribute.
_MODEL_HOLDER = "SentencepieceOp"
# How Keras calls the layer that adds the special tokens, and its settings -> our roles.
_PACKER = "BertPackInputs"
_SPECIAL = {"start_of_sequence_id": "classify", "end_of_segment_id": "separate", "padding_id": "pad"}
# Far beyond any published model; it keeps a corrupted file from asking for absurd amounts of work.
_LONGEST = 1 << 20


@dataclass(frozen=True, kw_only=True)
class PreprocessorFiles:
    """The content of a preprocessing model: `seq_length` is its default length, None where it stores none.

    `strip_accents` None means: as `lower_case`.
    """

    vocabulary: Vocabulary
    lower_case: bool
    strip_accents: bool | None = None
    seq_length: int | None


def read_preprocessor(folder: Path) -> PreprocessorFiles | None:
    """The preprocessing SavedModel in `folder`, or in the nearest folder below it; None where that is another model.

    Lower-casing shows as an operation of the graph, the default length and the special ids are in Keras's metadata. A
    SentencePiece model is in the graph itself. `UnsupportedModelError` for other tokenization than by WordPiece and
    SentencePiece; other errors of `ModelError`'s branch for damage.
    """
    format, place = find_model(folder)
    if format.read is not read_saved_model:
        return None
    path = place / "saved_model.pb"
    meta_graphs = parse("SavedModel", read_bytes(path), source=str(path)).meta_graphs
    graph = TextGraph.of([meta_graph.graph_def for meta_graph in meta_graphs], path)
    if graph is None:
        return None
    settings = next(_settings(place, meta_graphs), {})
    if graph.splits_wordpieces:
        pieces = tuple(read_lines(_vocabulary_file(place, meta_graphs)))
        vocabulary = Vocabulary.with_special(pieces, _special_pieces(settings, pieces, path))
    else:
        vocabulary = _sentencepiece(graph, settings, path)
    return PreprocessorFiles(
        vocabulary=vocabulary,
        lower_case=graph.lower_case,
        strip_accents=graph.strip_accents(),
        seq_length=_number(settings, "seq_length", _LONGEST + 1, path),
    )


def _sentencepiece(graph: TextGraph, settings: dict[str, Any], path: Path) -> Vocabulary:
    models = {graph.attributes(node).get("model", b"") for node in graph.nodes.get(_MODEL_HOLDER, [])}
    if len(models) != 1:
        raise CorruptFileError(f"the graph in {path} should hold one SentencePiece model; it holds {len(models)}")
    (model,) = models
    source = f"the SentencePiece model in {path}"
    vocabulary = sentencepiece_vocabulary(model, source=source)
    special = ALBERT_SPECIAL | _special_pieces(settings, vocabulary.pieces, path)
    return sentencepiece_vocabulary(model, source=source, special=special)


def _vocabulary_file(folder: Path, meta_graphs: Any) -> Path:
    names = sorted({asset.filename for meta_graph in meta_graphs for asset in meta_graph.asset_file_def})
    if len(names) != 1:
        raise ModelNotFoundError(
            f"the preprocessing model in {folder} should have one asset, its vocabulary; it has {names or 'none'}"
        )
    (name,) = names
    return asset(folder, name)


def _settings(folder: Path, meta_graphs: Any) -> Iterator[dict[str, Any]]:
    """The configuration of every packing layer, in a file of its own or inside `saved_model.pb`."""
    texts = [node.user_object.metadata for graph in meta_graphs for node in graph.object_graph_def.nodes]
    path = folder / "keras_metadata.pb"
    if path.is_file():
        texts += [node.metadata for node in parse("KerasMetadata", read_bytes(path), source=str(path)).nodes]
    for text in texts:
        if _PACKER not in text:
            continue
        # Keras's settings may be infinite, such as the largest value of a ReLU.
        match parse_json(text.encode(), source=f"Keras's metadata of the model in {folder}", nonfinite=True):
            case {"class_name": str() as name, "config": {"seq_length": _} as config} if name.endswith(_PACKER):
                yield config


def _special_pieces(settings: dict[str, Any], pieces: tuple[str, ...], path: Path) -> dict[str, str]:
    ids = {role: _number(settings, key, len(pieces), path) for key, role in _SPECIAL.items()}
    return {role: pieces[index] for role, index in ids.items() if index is not None}


def _number(settings: dict[str, Any], key: str, limit: int, path: Path) -> int | None:
    value = settings.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < limit):
        raise CorruptFileError(f"the model of {path} sets {key} to {value!r}, where 0 to {limit - 1} is possible")
    return value
