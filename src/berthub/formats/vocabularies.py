"""Read and write vocabularies: lists of pieces, SentencePiece models, byte-pair merges."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from berthub.containers.files import read_bytes, read_json, read_lines
from berthub.containers.protos import parse
from berthub.errors import CheckpointError, CorruptFileError
from berthub.vocabulary import AddedToken, Vocabulary

__all__ = [
    "ALBERT_SPECIAL",
    "BERT_SPECIAL",
    "ROBERTA_SPECIAL",
    "byte_bpe_vocabulary",
    "read_vocabulary_files",
    "sentencepiece_vocabulary",
    "vocabulary_at",
    "wordpiece_vocabulary",
    "write_vocabulary_files",
]

BERT_SPECIAL = {role: str(getattr(Vocabulary, role)) for role in ("unknown", "classify", "separate", "pad", "mask")}
"""The special pieces of BERT's vocabularies, by role."""

ALBERT_SPECIAL = {"unknown": "<unk>", "classify": "[CLS]", "separate": "[SEP]", "pad": "<pad>", "mask": "[MASK]"}
"""The special pieces of ALBERT's SentencePiece models, by role."""

ROBERTA_SPECIAL = {"unknown": "<unk>", "classify": "<s>", "separate": "</s>", "pad": "<pad>", "mask": "<mask>"}
"""The special pieces of RoBERTa's vocabularies, by role."""

_LINES, _IDS, _MERGES, _MODEL = "vocab.txt", "vocab.json", "merges.txt", "spiece.model"
# Which pieces are added tokens; there only where some are.
_ADDED = "added_pieces.json"
_FLAGS = tuple(field.name for field in dataclasses.fields(AddedToken))
# The first line of `merges.txt`, as GPT-2's first reader wants one to skip.
_MERGES_HEAD = b"#version: 0.2\n"


def vocabulary_at(path: Path) -> Vocabulary:
    """The vocabulary in a file: a SentencePiece model where its name ends in `.model`, else a `vocab.txt`."""
    if path.suffix == ".model":
        return sentencepiece_vocabulary(read_bytes(path), source=str(path))
    return wordpiece_vocabulary(path)


def wordpiece_vocabulary(path: Path, **special: str) -> Vocabulary:
    """The vocabulary in a `vocab.txt`: one piece a line. `special` names the special pieces by role."""
    return Vocabulary.with_special(tuple(read_lines(path)), special)


def sentencepiece_vocabulary(model: bytes, *, source: str, special: Mapping[str, str] = ALBERT_SPECIAL) -> Vocabulary:
    """The vocabulary of a SentencePiece model, given as the bytes of its file; `CorruptFileError` names `source`."""
    pieces = tuple(piece.piece for piece in parse("ModelProto", model, source=source).pieces)
    if not pieces:
        raise CorruptFileError(f"{source} is no SentencePiece model: it holds no pieces")
    return Vocabulary.with_special(pieces, special, algorithm="sentencepiece", model=model)


def byte_bpe_vocabulary(
    ids: Mapping[str, int], merges: Sequence[str], *, source: str, special: Mapping[str, str] = ROBERTA_SPECIAL
) -> Vocabulary:
    """The vocabulary of byte-pair encoding: the ids of `vocab.json`, and the lines of `merges.txt` without its head."""
    pieces = _by_id(ids, source)
    return Vocabulary.with_special(pieces, special, algorithm="byte_bpe", model="\n".join(merges).encode())


def write_vocabulary_files(vocabulary: Vocabulary, folder: Path) -> dict[str, Path]:
    """Write the vocabulary into `folder`, from where `read_vocabulary_files` has it back; the files by what they hold.

    That is `vocab_file`, and beside it `merges_file` for byte_bpe, or `sp_model_file` alone for sentencepiece; and
    `added_pieces_file` where there are added tokens.
    """
    files = _write_pieces(vocabulary, folder)
    if vocabulary.added:
        described = {
            "added": [dataclasses.asdict(token) for token in vocabulary.added],
            "appended": list(vocabulary.pieces[len(vocabulary) - vocabulary.appended :]),
        }
        text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
        (folder / _ADDED).write_text(text, encoding="utf-8", newline="\n")
        files["added_pieces_file"] = folder / _ADDED
    return files


def _write_pieces(vocabulary: Vocabulary, folder: Path) -> dict[str, Path]:
    match vocabulary.algorithm:
        case "sentencepiece":
            # The pieces are in the model.
            (folder / _MODEL).write_bytes(vocabulary.model)
            return {"sp_model_file": folder / _MODEL}
        case "byte_bpe":
            (folder / _MERGES).write_bytes(_MERGES_HEAD + vocabulary.model + b"\n")
            return {"vocab_file": _write_ids(vocabulary, folder), "merges_file": folder / _MERGES}
        case "wordpiece":
            return {"vocab_file": _write_lines(vocabulary, folder)}


def read_vocabulary_files(folder: Path, algorithm: str, special: Mapping[str, str]) -> Vocabulary:
    """What `write_vocabulary_files` wrote; `special` names the special pieces by role."""
    vocabulary = _read_pieces(folder, algorithm, special)
    path = folder / _ADDED
    if not path.is_file():
        return vocabulary
    stored = read_json(path)
    added, appended = stored.get("added"), stored.get("appended")
    whole = isinstance(added, list) and isinstance(appended, list) and all(isinstance(piece, str) for piece in appended)
    if not whole or not all(_is_added(token) for token in added or ()):
        raise CorruptFileError(f"{path} should hold a list of the added tokens, and one of the appended pieces")
    pieces = vocabulary.pieces
    if algorithm == "sentencepiece":
        # Its pieces are in the model, which does not know of others.
        pieces += tuple(appended or ())
    elif pieces[len(pieces) - len(appended or ()) :] != tuple(appended or ()):
        raise CorruptFileError(f"{path} does not fit the vocabulary: its appended pieces are not the last ones")
    tokens = tuple(AddedToken(**token) for token in added or ())
    return dataclasses.replace(vocabulary, pieces=pieces, added=tokens, appended=len(appended or ()))


def _is_added(token: object) -> bool:
    return (
        isinstance(token, dict)
        and {*token} == {*_FLAGS}
        and all(isinstance(value, str if name == "content" else bool) for name, value in token.items())
    )


def _read_pieces(folder: Path, algorithm: str, special: Mapping[str, str]) -> Vocabulary:
    match algorithm:
        case "sentencepiece":
            path = folder / _MODEL
            return sentencepiece_vocabulary(read_bytes(path), source=str(path), special=special)
        case "byte_bpe":
            merges = read_bytes(folder / _MERGES).removeprefix(_MERGES_HEAD).removesuffix(b"\n")
            pieces = _by_id(read_json(folder / _IDS), str(folder / _IDS))
            return Vocabulary.with_special(pieces, special, algorithm="byte_bpe", model=merges)
        case "wordpiece":
            by_id = (folder / _IDS).is_file() and not (folder / _LINES).is_file()
            pieces = (
                _by_id(read_json(folder / _IDS), str(folder / _IDS)) if by_id else tuple(read_lines(folder / _LINES))
            )
            return Vocabulary.with_special(pieces, special)
        case _:
            raise CorruptFileError(
                f"the vocabulary in {folder} is said to be for the algorithm {algorithm!r}; "
                "it must be byte_bpe, sentencepiece or wordpiece"
            )


def _write_lines(vocabulary: Vocabulary, folder: Path) -> Path:
    if any(piece != piece.strip() or "\n" in piece for piece in vocabulary.pieces):
        # Lines cannot hold them: whoever reads lines drops the blanks around them.
        return _write_ids(vocabulary, folder)
    path = folder / _LINES
    path.write_text("".join(f"{piece}\n" for piece in vocabulary.pieces), encoding="utf-8", newline="\n")
    return path


def _write_ids(vocabulary: Vocabulary, folder: Path) -> Path:
    if len(vocabulary.ids) != len(vocabulary):
        raise CheckpointError(
            f"the vocabulary has {len(vocabulary):,} pieces, of which only {len(vocabulary.ids):,} are different, and "
            f"some cannot stand in {_LINES}: it cannot be saved"
        )
    path = folder / _IDS
    path.write_text(json.dumps(vocabulary.ids), encoding="utf-8", newline="\n")
    return path


def _by_id(ids: Mapping[str, int], source: str) -> tuple[str, ...]:
    whole = all(isinstance(index, int) and not isinstance(index, bool) for index in ids.values())
    if not whole or sorted(ids.values()) != list(range(len(ids))):
        raise CorruptFileError(f"the ids of the vocabulary in {source} are not 0, 1, 2 ... without gaps")
    return tuple(sorted(ids, key=ids.__getitem__))
