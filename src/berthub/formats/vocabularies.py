"""Vocabularies as the packagings hold them: lists of pieces, SentencePiece models, byte-pair merges."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from berthub.errors import CorruptFileError
from berthub.formats.files import read_lines
from berthub.formats.protos import parse
from berthub.vocabulary import Vocabulary

__all__ = [
    "ALBERT_SPECIAL",
    "ROBERTA_SPECIAL",
    "byte_bpe_vocabulary",
    "sentencepiece_vocabulary",
    "wordpiece_vocabulary",
]

ALBERT_SPECIAL = {"unknown": "<unk>", "classify": "[CLS]", "separate": "[SEP]", "pad": "<pad>", "mask": "[MASK]"}
"""The special pieces of ALBERT's SentencePiece models, by role."""

ROBERTA_SPECIAL = {"unknown": "<unk>", "classify": "<s>", "separate": "</s>", "pad": "<pad>", "mask": "<mask>"}
"""The special pieces of RoBERTa's vocabularies, by role."""


def wordpiece_vocabulary(path: Path, **special: str) -> Vocabulary:
    """The vocabulary in a `vocab.txt`: one piece a line. `special` names the special pieces by role."""
    return Vocabulary(tuple(read_lines(path)), **special)  # type: ignore[arg-type]


def sentencepiece_vocabulary(model: bytes, *, source: str, special: Mapping[str, str] = ALBERT_SPECIAL) -> Vocabulary:
    """The vocabulary of a SentencePiece model, given as the bytes of its file; `CorruptFileError` names `source`."""
    pieces = tuple(piece.piece for piece in parse("ModelProto", model, source=source).pieces)
    if not pieces:
        raise CorruptFileError(f"{source} is no SentencePiece model: it holds no pieces")
    return Vocabulary(pieces, **special, algorithm="sentencepiece", model=model)  # type: ignore[arg-type]


def byte_bpe_vocabulary(
    ids: Mapping[str, int], merges: Sequence[str], *, source: str, special: Mapping[str, str] = ROBERTA_SPECIAL
) -> Vocabulary:
    """The vocabulary of byte-pair encoding: the ids of `vocab.json`, and the lines of `merges.txt` without its head."""
    if not all(isinstance(index, int) for index in ids.values()) or sorted(ids.values()) != list(range(len(ids))):
        raise CorruptFileError(f"the ids of the vocabulary in {source} are not 0, 1, 2 ... without gaps")
    pieces = tuple(sorted(ids, key=ids.__getitem__))
    return Vocabulary(pieces, **special, algorithm="byte_bpe", model="\n".join(merges).encode())  # type: ignore[arg-type]
