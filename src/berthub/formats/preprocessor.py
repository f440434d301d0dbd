"""TF Hub's preprocessing SavedModels, read as files: their vocabulary and settings; the graph is never run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from berthub.errors import CorruptFileError, ModelNotFoundError, UnsupportedModelError
from berthub.formats.files import asset, read_bytes, read_lines
from berthub.formats.layouts import find_model
from berthub.formats.protos import parse
from berthub.formats.strict_json import parse_json
from berthub.formats.tensorflow.graph import parse_graph
from berthub.formats.tensorflow.saved_model import read_saved_model
from berthub.formats.vocabularies import ALBERT_SPECIAL, sentencepiece_vocabulary
from berthub.vocabulary import Vocabulary

__all__ = ["PreprocessorFiles", "read_preprocessor"]

# The operations by which graphs tokenize, and those that some models have in their place.
_WORDPIECE = "WordpieceTokenizeWithOffsets"
_SENTENCEPIECE = ("SentencepieceTokenizeOp", "SentencepieceTokenizeWithOffsetsOp")
_OTHER_TOKENIZERS = ("Sentencepiece", "FastWordpiece", "FastSentencepiece", "FastBertNormalize")
# The operation that holds a SentencePiece model, as an attribute.
_MODEL_HOLDER = "SentencepieceOp"
_CASE_FOLDING, _NORMALIZATION, _REPLACEMENT = "CaseFoldUTF8", "NormalizeUTF8", "StaticRegexReplace"
# Accents are removed so: after the first, by the second. Attribute -> value.
_ACCENTS = {
    _NORMALIZATION: {"normalization_form": b"NFD"},
    _REPLACEMENT: {"pattern": rb"\p{Mn}", "rewrite": b""},
}
# How Keras calls the layer that adds the special tokens, and its settings -> our roles.
_PACKER = "BertPackInputs"
_SPECIAL = {"start_of_sequence_id": "classify", "end_of_segment_id": "separate", "padding_id": "pad"}
# Far beyond any published model; it keeps a corrupted file from asking for absurd amounts of work.
_LONGEST = 1 << 20


@dataclass(frozen=True, kw_only=True)
class PreprocessorFiles:
    """What a preprocessing model holds: `seq_length` is its default length, None where it stores none.

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
    layout, place = find_model(folder)
    if layout.read is not read_saved_model:
        return None
    path = place / "saved_model.pb"
    meta_graphs = parse("SavedModel", read_bytes(path), source=str(path)).meta_graphs
    nodes: dict[str, list[Any]] = {}
    for meta_graph in meta_graphs:
        for node in _nodes(meta_graph, path):
            nodes.setdefault(node.op, []).append(node)
    settings = next(_settings(place, meta_graphs), {})
    seq_length = _number(settings, "seq_length", _LONGEST + 1, path)
    lower_case = _CASE_FOLDING in nodes
    if _WORDPIECE in nodes:
        if _NORMALIZATION in nodes and not lower_case:
            raise UnsupportedModelError(f"{path} normalizes texts without lower-casing them, which is not supported")
        pieces = tuple(read_lines(_vocabulary_file(place, meta_graphs)))
        vocabulary = Vocabulary.with_special(pieces, _special_pieces(settings, pieces, path))
        return PreprocessorFiles(vocabulary=vocabulary, lower_case=lower_case, seq_length=seq_length)
    if any(operation in nodes for operation in _SENTENCEPIECE):
        return PreprocessorFiles(
            vocabulary=_sentencepiece(nodes, settings, path),
            lower_case=lower_case,
            strip_accents=_strips_accents(nodes, path),
            seq_length=seq_length,
        )
    foreign = sorted(name for name in nodes if name.startswith(_OTHER_TOKENIZERS))
    if foreign:
        raise UnsupportedModelError(
            f"{path} tokenizes by {', '.join(foreign)}, which is not read yet; preprocessing models of BERT and ALBERT "
            f"are, which tokenize by {_WORDPIECE} or {_SENTENCEPIECE[0]}"
        )
    return None


def _nodes(meta_graph: Any, path: Path) -> Iterator[Any]:
    graph = parse_graph(meta_graph.graph_def, source=path)
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def _sentencepiece(nodes: Mapping[str, list[Any]], settings: dict[str, Any], path: Path) -> Vocabulary:
    models = {_attributes(node).get("model", b"") for node in nodes.get(_MODEL_HOLDER, [])}
    if len(models) != 1:
        raise CorruptFileError(f"the graph in {path} should hold one SentencePiece model; it holds {len(models)}")
    (model,) = models
    source = f"the SentencePiece model in {path}"
    vocabulary = sentencepiece_vocabulary(model, source=source)
    special = ALBERT_SPECIAL | _special_pieces(settings, vocabulary.pieces, path)
    return sentencepiece_vocabulary(model, source=source, special=special)


def _strips_accents(nodes: Mapping[str, list[Any]], path: Path) -> bool:
    found = {operation: nodes[operation] for operation in _ACCENTS if operation in nodes}
    for operation, operations in found.items():
        for attributes in map(_attributes, operations):
            given = {name: attributes.get(name, b"") for name in _ACCENTS[operation]}
            if given != _ACCENTS[operation]:
                raise UnsupportedModelError(
                    f"{path} changes texts by {operation} with {given}, where {_ACCENTS[operation]} is supported"
                )
    if len(found) == 1:
        raise UnsupportedModelError(f"{path} changes texts by {', '.join(found)} alone, which is not supported")
    return bool(found)


def _attributes(node: Any) -> dict[str, bytes]:
    return {entry.key: entry.value.s for entry in node.attr}


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
