"""TF Hub's preprocessing SavedModels, read as files: their vocabulary and settings; the graph is never run."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from berthub.errors import CorruptFileError, ModelNotFoundError, UnsupportedModelError
from berthub.formats.files import read_bytes, read_lines
from berthub.formats.layouts import find_model
from berthub.formats.protos import parse
from berthub.formats.saved_model import read_saved_model
from berthub.vocabulary import Vocabulary

__all__ = ["PreprocessorFiles", "read_preprocessor"]

# The operation by which a graph tokenizes, and those that some models have in its place.
_WORDPIECE = "WordpieceTokenizeWithOffsets"
_OTHER_TOKENIZERS = ("Sentencepiece", "FastWordpiece", "FastBertNormalize")
# How Keras calls the layer that adds the special tokens, and its settings -> our roles.
_PACKER = "BertPackInputs"
_SPECIAL = {"start_of_sequence_id": "classify", "end_of_segment_id": "separate", "padding_id": "pad"}
# Far beyond any published model; it keeps a corrupted file from asking for absurd amounts of work.
_LONGEST = 1 << 20


@dataclass(frozen=True, kw_only=True)
class PreprocessorFiles:
    """What a preprocessing model holds: `seq_length` is its default length, None where it stores none."""

    vocabulary: Vocabulary
    lower_case: bool
    seq_length: int | None


def read_preprocessor(folder: Path) -> PreprocessorFiles | None:
    """The preprocessing SavedModel in `folder`, or in the nearest folder below it; None where that is another model.

    Lower-casing shows as an operation of the graph, the default length and the special ids are in Keras's metadata.
    `UnsupportedModelError` for tokenization that is not WordPiece; other errors of `ModelError`'s branch for damage.
    """
    layout, place = find_model(folder)
    if layout.read is not read_saved_model:
        return None
    path = place / "saved_model.pb"
    meta_graphs = parse("SavedModel", read_bytes(path), source=str(path)).meta_graphs
    operations = {operation for meta_graph in meta_graphs for operation in _operations(meta_graph, path)}
    if _WORDPIECE not in operations:
        foreign = sorted(name for name in operations if name.startswith(_OTHER_TOKENIZERS))
        if foreign:
            raise UnsupportedModelError(
                f"{path} tokenizes by {', '.join(foreign)}, which is not read yet; preprocessing models of BERT are, "
                f"which tokenize by {_WORDPIECE}"
            )
        return None
    lower_case = "CaseFoldUTF8" in operations
    if "NormalizeUTF8" in operations and not lower_case:
        raise UnsupportedModelError(f"{path} normalizes texts without lower-casing them, which is not supported")
    pieces = tuple(read_lines(_vocabulary_file(place, meta_graphs)))
    settings = next(_settings(place, meta_graphs), {})
    return PreprocessorFiles(
        vocabulary=Vocabulary(pieces, **_special_pieces(settings, pieces, path)),
        lower_case=lower_case,
        seq_length=_number(settings, "seq_length", _LONGEST + 1, path),
    )


def _operations(meta_graph: Any, path: Path) -> Iterator[str]:
    graph = parse("GraphDef", meta_graph.graph_def, source=f"the graph in {path}")
    yield from (node.op for node in graph.node)
    yield from (node.op for function in graph.library.function for node in function.node_def)


def _vocabulary_file(folder: Path, meta_graphs: Any) -> Path:
    names = sorted({asset.filename for meta_graph in meta_graphs for asset in meta_graph.asset_file_def})
    if len(names) != 1:
        raise ModelNotFoundError(
            f"the preprocessing model in {folder} should have one asset, its vocabulary; it has {names or 'none'}"
        )
    (name,) = names
    path: Path = folder / "assets" / name
    # The name comes from the file: it must not lead out of the folder.
    if Path(name).name != name or not path.is_file():
        raise ModelNotFoundError(f"the vocabulary {name!r} of the preprocessing model is not in {folder / 'assets'}")
    return path


def _settings(folder: Path, meta_graphs: Any) -> Iterator[dict[str, Any]]:
    """The configuration of every packing layer, in a file of its own or inside `saved_model.pb`."""
    texts = [node.user_object.metadata for graph in meta_graphs for node in graph.object_graph_def.nodes]
    path = folder / "keras_metadata.pb"
    if path.is_file():
        texts += [node.metadata for node in parse("KerasMetadata", read_bytes(path), source=str(path)).nodes]
    for text in texts:
        if _PACKER not in text:
            continue
        try:
            layer = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CorruptFileError(f"Keras's metadata of the model in {folder} is no valid JSON: {error}") from error
        match layer:
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
