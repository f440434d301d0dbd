"""The tokenization of Hugging Face folders: the vocabulary's files, `tokenizer.json`, `tokenizer_config.json`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from berthub.config import EncoderConfig
from berthub.errors import CorruptFileError, ModelNotFoundError, UnsupportedModelError
from berthub.formats.files import read_bytes, read_json, read_lines
from berthub.formats.settings import Settings
from berthub.formats.vocabularies import (
    ALBERT_SPECIAL,
    ROBERTA_SPECIAL,
    byte_bpe_vocabulary,
    sentencepiece_vocabulary,
    write_vocabulary_files,
)
from berthub.vocabulary import Vocabulary

__all__ = ["longest_text", "read_tokenization", "write_tokenization"]

_FAST, _SLOW = "tokenizer.json", "tokenizer_config.json"

_SPECIAL = {
    "unk_token": "unknown",
    "cls_token": "classify",
    "sep_token": "separate",
    "pad_token": "pad",
    "mask_token": "mask",
}

_WORDPIECE_KEYS = {
    "do_lower_case": "lower_case",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "split_chinese",
}
_NORMALIZER_KEYS = {
    "lowercase": "lower_case",
    "strip_accents": "strip_accents",
    "handle_chinese_chars": "split_chinese",
}

# Tokenizers that keep a vocab.txt and cut text into words in ways of their own.
_OTHER_TOKENIZERS = ("BertJapanese", "Bertweet", "Phobert", "Herbert", "XLMRoberta", "Camembert")

# transformers' tokenizers that run a vocabulary, whatever the encoder; DistilBERT's own gives no token types.
_CLASSES = {"wordpiece": "BertTokenizer", "sentencepiece": "AlbertTokenizer", "byte_bpe": "RobertaTokenizer"}
_WITHOUT_TYPES = {"distilbert": "DistilBertTokenizer"}


def read_tokenization(folder: Path, settings: Settings) -> Vocabulary:
    """The vocabulary; the tokenizer's settings are put into `settings`.

    `ModelNotFoundError` where there is none, `UnsupportedModelError` for a tokenizer that is none of WordPiece's,
    SentencePiece's and byte-pair encoding's.
    """
    fast_path = folder / _FAST
    fast = read_json(fast_path) if fast_path.is_file() else {}
    slow = _slow(folder)
    name = slow.get("tokenizer_class")
    if isinstance(name, str) and name.startswith(_OTHER_TOKENIZERS):
        raise UnsupportedModelError(f"{folder / _SLOW} names the tokenizer {name}, which cuts text in a way of its own")
    # An added token's entry is an object with its text under "content".
    named = {role: slow[key] for key, role in _SPECIAL.items() if slow.get(key)}
    named = {role: piece.get("content") if isinstance(piece, dict) else piece for role, piece in named.items()}
    special = {role: piece for role, piece in named.items() if isinstance(piece, str)}

    if (folder / "vocab.txt").is_file():
        return _wordpieces(tuple(read_lines(folder / "vocab.txt")), settings, fast=fast, slow=slow, special=special)
    if (folder / "spiece.model").is_file():
        return _sentencepieces(folder / "spiece.model", settings, fast=fast, slow=slow, special=special)
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        lines = read_lines(folder / "merges.txt")
        merges = [line for line in lines if line and not line.startswith("#version")]
        ids = _with_added(read_json(folder / "vocab.json"), fast, fast_path)
        return _byte_pairs(ids, merges, settings, source=folder / "vocab.json", fast=fast, slow=slow, special=special)
    if not fast:
        raise ModelNotFoundError(
            f"{folder} has no vocabulary: neither vocab.txt nor tokenizer.json, nor spiece.model, "
            "nor vocab.json with merges.txt"
        )
    model = fast.get("model")
    found = model if isinstance(model, dict) else {}
    pieces = found.get("vocab")
    match found.get("type", "WordPiece"):
        case "WordPiece" if isinstance(pieces, dict):
            by_id = _by_id(_with_added(pieces, fast, fast_path), fast_path)
            return _wordpieces(by_id, settings, fast=fast, slow=slow, special=special)
        case "BPE" if isinstance(pieces, dict) and _byte_level(fast):
            ids, merges = _with_added(pieces, fast, fast_path), _merges(found.get("merges"), fast_path)
            return _byte_pairs(ids, merges, settings, source=fast_path, fast=fast, slow=slow, special=special)
        case "Unigram":
            raise ModelNotFoundError(
                f"{folder} has its SentencePiece vocabulary in {_FAST} alone; the model file is needed: put the "
                "spiece.model of the original release beside it"
            )
        case kind:
            raise UnsupportedModelError(
                f"{fast_path} holds no WordPiece vocabulary and no byte-pair encoding of bytes, but {kind!r}"
            )


def longest_text(folder: Path, most: int) -> int:
    """How many tokens a text may have by the tokenizer's `model_max_length`, at the most `most`."""
    length = _slow(folder).get("model_max_length")
    # Where nothing limits it, transformers stores 1e30.
    return min(int(length), most) if isinstance(length, int | float) and 3 <= length < most else most


def write_tokenization(vocabulary: Vocabulary, config: EncoderConfig, folder: Path, *, max_length: int) -> None:
    """Write the vocabulary's files and `tokenizer_config.json`."""
    files = write_vocabulary_files(vocabulary, folder)
    if vocabulary.algorithm == "wordpiece" and files["vocab_file"].name != "vocab.txt":
        raise UnsupportedModelError(
            "the vocabulary has pieces with blanks around them, which the vocab.txt of a Hugging Face folder "
            "cannot hold; export the model in another format"
        )
    stored: dict[str, Any] = {
        "tokenizer_class": _CLASSES[vocabulary.algorithm],
        "model_max_length": max_length,
        **{key: getattr(vocabulary, role) for key, role in _SPECIAL.items()},
    }
    match vocabulary.algorithm:
        case "wordpiece":
            stored["tokenizer_class"] = _WITHOUT_TYPES.get(config.architecture, stored["tokenizer_class"])
            stored |= {key: getattr(config, name) for key, name in _WORDPIECE_KEYS.items()}
        case "sentencepiece":
            strips = config.lower_case if config.strip_accents is None else config.strip_accents
            stored |= {"do_lower_case": config.lower_case, "keep_accents": not strips}
            stored |= {"bos_token": vocabulary.classify, "eos_token": vocabulary.separate}
        case "byte_bpe":
            stored |= {"bos_token": vocabulary.classify, "eos_token": vocabulary.separate, "add_prefix_space": False}
    (folder / _SLOW).write_text(json.dumps(stored, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _slow(folder: Path) -> dict[str, Any]:
    """`tokenizer_config.json`, and below it `special_tokens_map.json`, as far as they are there."""
    found: dict[str, Any] = {}
    for name in ("special_tokens_map.json", _SLOW):
        if (folder / name).is_file():
            found |= read_json(folder / name)
    return found


def _wordpieces(
    pieces: tuple[str, ...],
    settings: Settings,
    *,
    fast: Mapping[str, Any],
    slow: Mapping[str, Any],
    special: Mapping[str, str],
) -> Vocabulary:
    normalizer = fast.get("normalizer")
    if isinstance(normalizer, dict) and normalizer.get("type") == "BertNormalizer":
        found = {name: normalizer[key] for key, name in _NORMALIZER_KEYS.items() if key in normalizer}
        settings.put(_FAST, **found)
    settings.put(_SLOW, **{name: slow[key] for key, name in _WORDPIECE_KEYS.items() if key in slow})
    vocabulary = Vocabulary.with_special(pieces, special)
    settings.put_case(vocabulary)
    return vocabulary


def _sentencepieces(
    path: Path,
    settings: Settings,
    *,
    fast: Mapping[str, Any],
    slow: Mapping[str, Any],
    special: Mapping[str, str],
) -> Vocabulary:
    normalizer = fast.get("normalizer")
    if isinstance(normalizer, dict) and isinstance(steps := normalizer.get("normalizers"), list):
        kinds = [step.get("type") for step in steps if isinstance(step, dict)]
        settings.put(_FAST, lower_case="Lowercase" in kinds, strip_accents="StripAccents" in kinds)
    if "do_lower_case" in slow:
        settings.put(_SLOW, lower_case=slow["do_lower_case"])
    if isinstance(slow.get("keep_accents"), bool):
        settings.put(_SLOW, strip_accents=not slow["keep_accents"])
    settings.put("transformers' AlbertTokenizer", lower_case=True, strip_accents=True)
    return sentencepiece_vocabulary(read_bytes(path), source=str(path), special={**ALBERT_SPECIAL, **special})


def _byte_pairs(
    ids: Mapping[str, Any],
    merges: list[str],
    settings: Settings,
    *,
    source: Path,
    fast: Mapping[str, Any],
    slow: Mapping[str, Any],
    special: Mapping[str, str],
) -> Vocabulary:
    if slow.get("add_prefix_space") or any(step.get("add_prefix_space") for step in _byte_level(fast)):
        raise UnsupportedModelError(
            f"the tokenizer in {source.parent} has add_prefix_space set, and puts a space before every text, which is "
            f"not supported. Remove the setting from {_SLOW} and {_FAST}, and put the space before the texts yourself"
        )
    settings.put("byte-pair encoding, which keeps every byte", lower_case=False, strip_accents=False)
    return byte_bpe_vocabulary(ids, merges, source=str(source), special={**ROBERTA_SPECIAL, **special})


def _with_added(ids: Mapping[str, Any], fast: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The vocabulary with the added tokens of `tokenizer.json`, which stand beside it there."""
    added = fast.get("added_tokens") or []
    if not isinstance(added, list) or not all(
        isinstance(token, dict) and isinstance(token.get("content"), str) for token in added
    ):
        raise CorruptFileError(f"added_tokens in {path} should be a list of objects with content and id")
    return {**ids, **{token["content"]: token.get("id") for token in added}}


def _by_id(ids: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    whole = all(isinstance(index, int) for index in ids.values())
    if not whole or sorted(ids.values()) != list(range(len(ids))):
        raise CorruptFileError(f"the ids of the vocabulary in {path} are not 0, 1, 2 ... without gaps")
    return tuple(sorted(ids, key=ids.__getitem__))


def _byte_level(fast: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The steps of `tokenizer.json` that turn text into bytes."""
    before = fast.get("pre_tokenizer")
    steps = before.get("pretokenizers", [before]) if isinstance(before, dict) else []
    if not isinstance(steps, list):
        return []
    return [step for step in steps if isinstance(step, dict) and step.get("type") == "ByteLevel"]


def _merges(merges: Any, path: Path) -> list[str]:
    """Each as `left right`; newer files hold pairs."""
    if isinstance(merges, list):
        lines = [" ".join(map(str, merge)) if isinstance(merge, list) else merge for merge in merges]
        if all(isinstance(line, str) for line in lines):
            return lines
    raise CorruptFileError(f"the merges in {path} should be a list of pairs")
