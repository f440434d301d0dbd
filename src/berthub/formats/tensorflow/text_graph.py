"""Read how a graph normalizes and splits texts, from its TensorFlow Text operations; the graph is never run.

Preprocessing models are such graphs, and so are models that were saved together with their preprocessing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from berthub.errors import UnsupportedModelError
from berthub.formats.tensorflow.graph import parse_graph

__all__ = ["TextGraph"]

# The operations by which graphs tokenize, and those that some models have in their place.
_WORDPIECE = "WordpieceTokenizeWithOffsets"
_SENTENCEPIECE = ("SentencepieceTokenizeOp", "SentencepieceTokenizeWithOffsetsOp")
_OTHERS = ("Sentencepiece", "FastWordpiece", "FastSentencepiece", "FastBertNormalize")
_CASE_FOLDING, _NORMALIZATION, _REPLACEMENT = "CaseFoldUTF8", "NormalizeUTF8", "StaticRegexReplace"
# Accents are removed so: after the first, by the second. Attribute -> value.
_ACCENTS = {
    _NORMALIZATION: {"normalization_form": b"NFD"},
    _REPLACEMENT: {"pattern": rb"\p{Mn}", "rewrite": b""},
}
# One of these names is in the bytes of every graph that splits texts into pieces.
_MARKS = (b"ordpiece", b"entencepiece", _OTHERS[-1].encode())


@dataclass(frozen=True)
class TextGraph:
    """The operations of a graph, and of the functions in it, by what they do; `path` is the file for messages."""

    nodes: Mapping[str, list[Any]]
    path: Path

    @classmethod
    def of(cls, graph_defs: list[bytes], path: Path) -> "TextGraph | None":
        """The text operations of the graphs, which are parsed only if they split texts; None if they do not."""
        if not any(mark in graph_def for graph_def in graph_defs for mark in _MARKS):
            return None
        nodes: dict[str, list[Any]] = {}
        for graph_def in graph_defs:
            for node in _nodes(graph_def, path):
                nodes.setdefault(node.op, []).append(node)
        found = cls(nodes, path)
        if found.splits_wordpieces or found.splits_sentencepieces:
            return found
        foreign = sorted(name for name in nodes if name.startswith(_OTHERS))
        if foreign:
            raise UnsupportedModelError(
                f"{path} tokenizes by {', '.join(foreign)}, which is not read yet; preprocessing models of BERT and "
                f"ALBERT are, which tokenize by {_WORDPIECE} or {_SENTENCEPIECE[0]}"
            )
        return None

    @property
    def splits_wordpieces(self) -> bool:
        """Whether it splits words by WordPiece."""
        return _WORDPIECE in self.nodes

    @property
    def splits_sentencepieces(self) -> bool:
        """Whether it splits texts by SentencePiece."""
        return any(operation in self.nodes for operation in _SENTENCEPIECE)

    @property
    def lower_case(self) -> bool:
        """Whether it folds the case of texts."""
        return _CASE_FOLDING in self.nodes

    def strip_accents(self) -> bool | None:
        """Whether it removes accents; None with WordPiece: where it lower-cases.

        `UnsupportedModelError` for other changes of texts than are known.
        """
        if self.splits_wordpieces:
            if _NORMALIZATION in self.nodes and not self.lower_case:
                raise UnsupportedModelError(
                    f"{self.path} normalizes texts without lower-casing them, which is not supported"
                )
            return None
        found = {operation: self.nodes[operation] for operation in _ACCENTS if operation in self.nodes}
        for operation, operations in found.items():
            for attributes in map(self.attributes, operations):
                given = {name: attributes.get(name, b"") for name in _ACCENTS[operation]}
                if given != _ACCENTS[operation]:
                    raise UnsupportedModelError(
                        f"{self.path} changes texts by {operation} with {given}, where {_ACCENTS[operation]} is "
                        "supported"
                    )
        if len(found) == 1:
            raise UnsupportedModelError(
                f"{self.path} changes texts by {', '.join(found)} alone, which is not supported"
            )
        return bool(found)

    @staticmethod
    def attributes(node: Any) -> dict[str, bytes]:
        """The attributes of an operation that are bytes."""
        return {entry.key: entry.value.s for entry in node.attr}


def _nodes(graph_def: bytes, path: Path) -> Iterator[Any]:
    graph = parse_graph(graph_def, source=path)
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def
