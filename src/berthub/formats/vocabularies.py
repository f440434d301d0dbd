"""Read and write vocabularies: lists of pieces, SentencePiece models, byte-pair merges, pipelines."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from berthub.containers.files import read_bytes, read_json, read_lines
from berthub.containers.protos import parse
from berthub.errors import CheckpointError, CorruptFileError
from berthub.formats.pipelines import Pipeline, tokenizer_json
from berthub.vocabulary import ALGORITHMS, PIPELINES, AddedToken, Algorithm, Frame, Vocabulary

__all__ = [
    "ALBERT_SPECIAL",
    "BERT_SPECIAL",
    "MPNET_SPECIAL",
    "ROBERTA_SPECIAL",
    "byte_bpe_vocabulary",
    "read_vocabulary_files",
    "sentencepiece_vocabulary",
    "vocabulary_at",
    "with_special_tokens",
    "wordpiece_vocabulary",
    "write_vocabulary_files",
]

BERT_SPECIAL = {role: str(getattr(Vocabulary, role)) for role in ("unknown", "classify", "separate", "pad", "mask")}
"""The special pieces of BERT's vocabularies, by role."""

ALBERT_SPECIAL = {"unknown": "<unk>", "classify": "[CLS]", "separate": "[SEP]", "pad": "<pad>", "mask": "[MASK]"}
"""The special pieces of ALBERT's SentencePiece models, by role."""

ROBERTA_SPECIAL = {"unknown": "<unk>", "classify": "<s>", "separate": "</s>", "pad": "<pad>", "mask": "<mask>"}
"""The special pieces of RoBERTa's vocabularies, by role."""

MPNET_SPECIAL = {**ROBERTA_SPECIAL, "unknown": "[UNK]"}
"""The special pieces of MPNet's vocabularies, by role."""

_LINES, _IDS, _MERGES, _MODEL = "vocab.txt", "vocab.json", "merges.txt", "spiece.model"
_PIPELINE = "tokenizer.json"
# Which pieces are added tokens, and what stands around texts; there only where some are, or the frame is not the usual.
_ADDED = "added_pieces.json"
_FLAGS = tuple(field.name for field in dataclasses.fields(AddedToken))
_FRAME = tuple(field.name for field in dataclasses.fields(Frame))
# Of separators, and of a type id.
_MOST = 8
# The first line of `merges.txt`, as GPT-2's first reader wants one to skip.
_MERGES_HEAD = b"#version: 0.2\n"


def vocabulary_at(path: Path) -> Vocabulary:
    """The vocabulary in a file: a SentencePiece model where its name ends in `.model`, else a `vocab.txt`."""
    if path.suffix == ".model":
        return sentencepiece_vocabulary(read_bytes(path), source=str(path))
    return wordpiece_vocabulary(path)


def with_special_tokens(vocabulary: Vocabulary) -> Vocabulary:
    """The vocabulary, whose special pieces are found in texts, as in Hugging Face's tokenizers; added tokens stay."""
    if vocabulary.added or vocabulary.algorithm == "sentencepiece":
        return vocabulary
    found = dict.fromkeys(piece for piece in vocabulary.special if piece in vocabulary.ids)
    added = tuple(AddedToken(content=piece, normalized=False, special=True) for piece in found)
    return dataclasses.replace(vocabulary, added=added)


def wordpiece_vocabulary(path: Path, **special: str) -> Vocabulary:
    """The vocabulary in a `vocab.txt`: one piece a line. `special` names the special pieces by role."""
    return Vocabulary.with_special(tuple(read_lines(path)), special)


def sentencepiece_vocabulary(model: bytes, *, source: str, special: Mapping[str, str] = ALBERT_SPECIAL) -> Vocabulary:
    """The vocabulary of a SentencePiece model, given as the bytes of its file; `CorruptFileError` names `source`."""
    pieces = _pieces_in(model, source)
    return Vocabulary.with_special(pieces, special, algorithm="sentencepiece", model=model)


def _pieces_in(model: bytes, source: str) -> tuple[str, ...]:
    pieces = tuple(piece.piece for piece in parse("ModelProto", model, source=source).pieces)
    if not pieces:
        raise CorruptFileError(f"{source} is no SentencePiece model: it holds no pieces")
    return pieces


def byte_bpe_vocabulary(
    ids: Mapping[str, int], merges: Sequence[str], *, source: str, special: Mapping[str, str] = ROBERTA_SPECIAL
) -> Vocabulary:
    """The vocabulary of byte-pair encoding: the ids of `vocab.json`, and the lines of `merges.txt` without its head."""
    pieces = _by_id(ids, source)
    return Vocabulary.with_special(pieces, special, algorithm="byte_bpe", model="\n".join(merges).encode())


def write_vocabulary_files(vocabulary: Vocabulary, folder: Path) -> dict[str, Path]:
    """Write the vocabulary into `folder`, from where `read_vocabulary_files` has it back; the files by what they hold.

    That is `vocab_file`, and beside it `merges_file` for byte_bpe, or `sp_model_file` alone for sentencepiece, or
    `tokenizer_file` alone for a pipeline; and `added_pieces_file` where there are added tokens, or a frame of its own.
    """
    files = _write_pieces(vocabulary, folder)
    if vocabulary.added or vocabulary.frame is not None:
        described: dict[str, Any] = {
            "added": [dataclasses.asdict(token) for token in vocabulary.added],
            "appended": list(vocabulary.pieces[len(vocabulary) - vocabulary.appended :]),
        }
        if vocabulary.frame is not None:
            described["frame"] = dataclasses.asdict(vocabulary.frame)
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
        case "bpe" | "unigram":
            text = json.dumps(tokenizer_json(vocabulary), ensure_ascii=False) + "\n"
            (folder / _PIPELINE).write_text(text, encoding="utf-8", newline="\n")
            return {"tokenizer_file": folder / _PIPELINE}


def read_vocabulary_files(folder: Path, algorithm: str, special: Mapping[str, str]) -> Vocabulary:
    """What `write_vocabulary_files` wrote; `special` names the special pieces by role."""
    pieces, model = _read_pieces(folder, algorithm)
    known = cast(Algorithm, algorithm)
    path = folder / _ADDED
    if not path.is_file():
        return Vocabulary.with_special(pieces, special, algorithm=known, model=model)
    stored = read_json(path)
    added, appended = stored.get("added"), stored.get("appended")
    whole = isinstance(added, list) and isinstance(appended, list) and all(isinstance(piece, str) for piece in appended)
    if not whole or not all(_is_added(token) for token in added or ()):
        raise CorruptFileError(f"{path} should hold a list of the added tokens, and one of the appended pieces")
    if algorithm in ("sentencepiece", *PIPELINES):
        # Its pieces are in the model, which does not know of others.
        pieces += tuple(appended or ())
    elif pieces[len(pieces) - len(appended or ()) :] != tuple(appended or ()):
        raise CorruptFileError(f"{path} does not fit the vocabulary: its appended pieces are not the last ones")
    return Vocabulary.with_special(
        pieces,
        special,
        algorithm=known,
        model=model,
        added=tuple(AddedToken(**token) for token in added or ()),
        appended=len(appended or ()),
        frame=_frame(stored.get("frame"), path),
    )


def _frame(stored: Any, path: Path) -> Frame | None:
    if stored is None:
        return None
    values = stored.values() if isinstance(stored, dict) and {*stored} == {*_FRAME} else [None]
    if not all(isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST for value in values):
        raise CorruptFileError(f"frame in {path} should be an object with {' and '.join(_FRAME)}, from 0 to {_MOST}")
    return Frame(**stored)


def _is_added(token: object) -> bool:
    return (
        isinstance(token, dict)
        and {*token} == {*_FLAGS}
        and all(isinstance(value, str if name == "content" else bool) for name, value in token.items())
    )


def _read_pieces(folder: Path, algorithm: str) -> tuple[tuple[str, ...], bytes]:
    """The pieces, and what the algorithm needs beside them."""
    match algorithm:
        case "sentencepiece":
            path = folder / _MODEL
            vocabulary_model = read_bytes(path)
            return _pieces_in(vocabulary_model, str(path)), vocabulary_model
        case "byte_bpe":
            merges = read_bytes(folder / _MERGES).removeprefix(_MERGES_HEAD).removesuffix(b"\n")
            return _by_id(read_json(folder / _IDS), str(folder / _IDS)), merges
        case "wordpiece":
            if (folder / _IDS).is_file() and not (folder / _LINES).is_file():
                return _by_id(read_json(folder / _IDS), str(folder / _IDS)), b""
            return tuple(read_lines(folder / _LINES)), b""
        case "bpe" | "unigram":
            path = folder / _PIPELINE
            pipeline, pieces = Pipeline.of_file(read_json(path), source=str(path))
            if pipeline.algorithm != algorithm:
                raise CorruptFileError(f"{path} should hold a model for {algorithm}, not for {pipeline.algorithm}")
            return pieces, pipeline.to_bytes()
        case _:
            raise CorruptFileError(
                f"the vocabulary in {folder} is said to be for the algorithm {algorithm!r}; "
                f"it must be one of {', '.join(ALGORITHMS)}"
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
