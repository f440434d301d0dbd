"""Read and write the tokenizers of Hugging Face folders; ids equal those of transformers' AutoTokenizer (5.24).

Its classes for BERT and the like take the vocabulary from `tokenizer.json`, or else from `vocab.txt`, and all settings
from `tokenizer_config.json`; a setting that is not there has the class's default, whatever the normalizer in
`tokenizer.json` says. Only a folder that names the class `PreTrainedTokenizerFast` (`TokenizersBackend`) is read by
`tokenizer.json` as it is.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from berthub.config import EncoderConfig
from berthub.containers.files import read_bytes, read_json, read_lines
from berthub.errors import CorruptFileError, ModelNotFoundError, UnsupportedModelError
from berthub.formats.huggingface.added_tokens import LISTS, collect_added, token_of
from berthub.formats.huggingface.tokenizer_checks import FAST, SLOW, check_fast, check_frame, check_slow, steps
from berthub.formats.settings import Settings
from berthub.formats.vocabularies import (
    ALBERT_SPECIAL,
    BERT_SPECIAL,
    ROBERTA_SPECIAL,
    byte_bpe_vocabulary,
    sentencepiece_vocabulary,
    write_vocabulary_files,
)
from berthub.vocabulary import AddedToken, Algorithm, Vocabulary

__all__ = ["longest_text", "read_tokenization", "write_tokenization"]

_SPECIAL = {
    "unk_token": "unknown",
    "cls_token": "classify",
    "sep_token": "separate",
    "pad_token": "pad",
    "mask_token": "mask",
}
_DEFAULTS: Mapping[Algorithm, Mapping[str, str]] = {
    "wordpiece": BERT_SPECIAL,
    "sentencepiece": ALBERT_SPECIAL,
    "byte_bpe": ROBERTA_SPECIAL,
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

# transformers' tokenizers that run a vocabulary, whatever the encoder. The first is written.
_CLASSES: Mapping[Algorithm, tuple[str, ...]] = {
    "wordpiece": ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer"),
    "sentencepiece": ("AlbertTokenizer",),
    "byte_bpe": ("RobertaTokenizer",),
}
# Those that run tokenizer.json as it is.
_WHOLE = ("PreTrainedTokenizer", "TokenizersBackend")


@dataclass(frozen=True)
class _Files:
    """The content of the tokenizer's files, {} for a missing one; `name` is the tokenizer's class without `Fast`."""

    folder: Path
    fast: Mapping[str, Any]
    slow: Mapping[str, Any]
    legacy: Mapping[str, Any]
    name: str | None

    @property
    def whole(self) -> bool:
        """Whether transformers uses `tokenizer.json` as it is."""
        return self.name in _WHOLE and bool(self.fast)


def read_tokenization(folder: Path, settings: Settings, *, tokenizer_class: object = None) -> Vocabulary:
    """The vocabulary; the tokenizer's settings are put into `settings`.

    `tokenizer_class` is what `config.json` says. `ModelNotFoundError` where there is no vocabulary,
    `UnsupportedModelError` for a tokenizer that is none of WordPiece's, SentencePiece's and byte-pair encoding's, and
    for a setting that is not supported.
    """
    files = _read_files(folder, tokenizer_class)
    if (folder / "vocab.txt").is_file():
        return _wordpieces(files, _lines(files), settings)
    if (folder / "spiece.model").is_file():
        return _sentencepieces(files, folder / "spiece.model", settings)
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        ids, lines = read_json(folder / "vocab.json"), read_lines(folder / "merges.txt")
        merges = [line for line in lines if line and not line.startswith("#version")]
        return _byte_pairs(files, ids, merges, settings, source=folder / "vocab.json")
    if not files.fast:
        raise ModelNotFoundError(
            f"{folder} has no vocabulary: neither vocab.txt nor tokenizer.json, nor spiece.model, "
            "nor vocab.json with merges.txt"
        )
    path = folder / FAST
    model = files.fast.get("model")
    found = model if isinstance(model, dict) else {}
    pieces = found.get("vocab")
    match found.get("type", "WordPiece"):
        case "WordPiece" if isinstance(pieces, dict):
            return _wordpieces(files, _by_id(pieces, path), settings)
        case "BPE" if isinstance(pieces, dict) and _is_byte_level(files):
            return _byte_pairs(files, pieces, _merges(found.get("merges"), path), settings, source=path)
        case "Unigram":
            raise ModelNotFoundError(
                f"{folder} has its SentencePiece vocabulary in {FAST} alone; the model file is needed: put the "
                "spiece.model of the original release beside it"
            )
        case kind:
            raise UnsupportedModelError(
                f"{path} holds no WordPiece vocabulary and no byte-pair encoding of bytes, but {kind!r}"
            )


def longest_text(folder: Path, most: int) -> int:
    """How many tokens a text may have by the tokenizer's `model_max_length`, at the most `most`."""
    length = _slow(folder).get("model_max_length")
    # Where nothing limits it, transformers stores 1e30.
    return min(int(length), most) if isinstance(length, int | float) and 3 <= length < most else most


def write_tokenization(
    vocabulary: Vocabulary,
    config: EncoderConfig,
    folder: Path,
    *,
    max_length: int,
    wordpiece_class: str | None = None,
) -> None:
    """Write the vocabulary's files and `tokenizer_config.json`.

    `wordpiece_class` is the tokenizer's class for WordPiece, where it is not BERT's.
    """
    own = replace(vocabulary, pieces=vocabulary.pieces[: len(vocabulary) - vocabulary.appended], added=(), appended=0)
    files = write_vocabulary_files(own, folder)
    if vocabulary.algorithm == "wordpiece" and files["vocab_file"].name != "vocab.txt":
        raise UnsupportedModelError(
            "the vocabulary has pieces with blanks around them, which the vocab.txt of a Hugging Face folder "
            "cannot hold; export the model in another format"
        )
    stored: dict[str, Any] = {
        "tokenizer_class": _CLASSES[vocabulary.algorithm][0],
        "model_max_length": max_length,
        **{key: getattr(vocabulary, role) for key, role in _SPECIAL.items()},
    }
    if vocabulary.added:
        stored["added_tokens_decoder"] = {
            str(vocabulary.ids[token.content]): asdict(token)
            for token in sorted(vocabulary.added, key=lambda token: vocabulary.ids[token.content])
        }
    match vocabulary.algorithm:
        case "wordpiece":
            stored["tokenizer_class"] = wordpiece_class or stored["tokenizer_class"]
            stored |= {key: getattr(config, name) for key, name in _WORDPIECE_KEYS.items()}
        case "sentencepiece":
            strips = config.lower_case if config.strip_accents is None else config.strip_accents
            stored |= {"do_lower_case": config.lower_case, "keep_accents": not strips}
            stored |= {"bos_token": vocabulary.classify, "eos_token": vocabulary.separate}
        case "byte_bpe":
            stored |= {"bos_token": vocabulary.classify, "eos_token": vocabulary.separate, "add_prefix_space": False}
    (folder / SLOW).write_text(json.dumps(stored, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_files(folder: Path, tokenizer_class: object) -> _Files:
    fast, legacy = (_read_if_there(folder / name) for name in (FAST, "added_tokens.json"))
    slow = _slow(folder)
    name = slow.get("tokenizer_class") or tokenizer_class
    name = name.removesuffix("Fast") if isinstance(name, str) else None
    accepted = [*(name for names in _CLASSES.values() for name in names), *_WHOLE]
    if name is not None and name not in accepted:
        raise UnsupportedModelError(
            f"the tokenizer_class of {folder} is {name}, which splits text in a way of its own; what is supported: "
            f"{', '.join(accepted)}, and these with Fast"
        )
    return _Files(folder, fast, slow, legacy, name)


def _slow(folder: Path) -> dict[str, Any]:
    """`tokenizer_config.json`; `special_tokens_map.json` stands above it where it has no added_tokens_decoder."""
    slow = _read_if_there(folder / SLOW)
    extra, older = LISTS
    if older in slow and not slow.get(extra):
        slow[extra] = slow.pop(older)
    if "added_tokens_decoder" in slow:
        return slow
    above = _read_if_there(folder / "special_tokens_map.json")
    if isinstance(above.get(extra), list) and isinstance(slow.get(extra), list):
        above[extra] = slow[extra] + above[extra]
    return slow | above


def _read_if_there(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _lines(files: _Files) -> tuple[str, ...]:
    """The pieces in `vocab.txt`; `CorruptFileError` where `tokenizer.json` has others."""
    path = files.folder / "vocab.txt"
    pieces = tuple(read_lines(path))
    model = files.fast.get("model")
    ids = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(ids, dict) and (own := {piece: index for index, piece in enumerate(pieces)}) != ids:
        differ = sorted(
            (piece for piece in own.keys() | ids.keys() if own.get(piece) != ids.get(piece)),
            key=lambda piece: own.get(piece, len(own)),
        )
        raise CorruptFileError(
            f"{path} and {FAST} beside it hold different vocabularies: they differ in {len(differ):,} pieces, first in "
            f"{differ[0]!r}. transformers reads {FAST}; remove the file that is out of date"
        )
    return pieces


def _finished(files: _Files, vocabulary: Vocabulary, *, base: Mapping[str, int]) -> Vocabulary:
    """The vocabulary with the added tokens, after a look at all that the files set. `base` are the model's own ids."""
    path, algorithm = files.folder / FAST, vocabulary.algorithm
    if files.name is not None and files.name not in (*_CLASSES[algorithm], *_WHOLE):
        raise UnsupportedModelError(
            f"the tokenizer_class of {files.folder} is {files.name}, and its vocabulary is one for {algorithm}: "
            f"{', '.join(_CLASSES[algorithm])} run it"
        )
    check_slow(files.slow, algorithm, files.folder)
    if not files.fast and (keys := {"add_bos_token", "add_eos_token"} & files.slow.keys()):
        raise UnsupportedModelError(
            f"{files.folder / SLOW} sets {' and '.join(sorted(keys))}, with which transformers puts other special "
            "tokens around texts; remove the setting"
        )
    if files.fast:
        check_fast(files.fast, algorithm, path, whole=files.whole)
        check_frame(files.fast, vocabulary, path)
    roles = {role: getattr(vocabulary, role) for role in _SPECIAL.values()}
    # Its class for any tokenizer.json has no special tokens but those that are named.
    named: dict[str, AddedToken | str] = {} if files.whole else {key: roles[role] for key, role in _SPECIAL.items()}
    for key, value in files.slow.items():
        if key.endswith("_token") and isinstance(value, str | dict) and value:
            # A token of another name is a special one, too.
            named[key] = value if isinstance(value, str) else token_of({"special": True, **value}, source=key)
    defaults = frozenset(roles[role] for key, role in _SPECIAL.items() if not files.slow.get(key))
    found = collect_added(files.fast, files.slow, files.legacy, named=named, whole=files.whole)
    appended, added = found.place(base, defaults=defaults)
    return replace(
        vocabulary,
        pieces=vocabulary.pieces + tuple(appended),
        added=added,
        appended=len(appended),
    )


def _special_pieces(files: _Files, algorithm: Algorithm) -> dict[str, str]:
    # An added token's entry is an object with its text under "content".
    stored = {role: files.slow[key] for key, role in _SPECIAL.items() if files.slow.get(key)}
    named = {role: piece.get("content") if isinstance(piece, dict) else piece for role, piece in stored.items()}
    special = {**_DEFAULTS[algorithm], **{role: piece for role, piece in named.items() if isinstance(piece, str)}}
    model = files.fast.get("model")
    unknown = model.get("unk_token") if isinstance(model, dict) else None
    if algorithm == "wordpiece" and unknown is not None and unknown != special["unknown"]:
        raise UnsupportedModelError(
            f"{files.folder / FAST} sets model.unk_token to {unknown!r}, and the unk_token of {SLOW} is "
            f"{special['unknown']!r}; they must be the same"
        )
    return special


def _wordpieces(files: _Files, pieces: tuple[str, ...], settings: Settings) -> Vocabulary:
    vocabulary = Vocabulary.with_special(pieces, _special_pieces(files, "wordpiece"))
    vocabulary = _finished(files, vocabulary, base=vocabulary.ids)
    if files.whole:
        for step in steps(files.fast, "normalizer", files.folder / FAST):
            settings.put(FAST, **{name: step.get(key) for key, name in _NORMALIZER_KEYS.items()})
    else:
        settings.put(SLOW, **{name: files.slow[key] for key, name in _WORDPIECE_KEYS.items() if key in files.slow})
        if "lower_case" not in settings and vocabulary.looks_cased:
            settings.notes.append(
                f"no file says whether texts are lower-cased (do_lower_case in {SLOW}), and the vocabulary has "
                "capitals. They are lower-cased, as in transformers; if the model was trained on cased text, load it "
                'with settings={"lower_case": False}'
            )
        settings.put("transformers' BertTokenizer", lower_case=True, strip_accents=None, split_chinese=True)
    settings.put("the folder, which is of Hugging Face's kind", tokenization="transformers")
    return vocabulary


def _sentencepieces(files: _Files, path: Path, settings: Settings) -> Vocabulary:
    special = _special_pieces(files, "sentencepiece")
    vocabulary = sentencepiece_vocabulary(read_bytes(path), source=str(path), special=special)
    finished = _finished(files, vocabulary, base=vocabulary.ids)
    special_pieces = set(vocabulary.special)
    if foreign := [token.content for token in finished.added if token.content not in special_pieces]:
        raise UnsupportedModelError(
            f"{files.folder} has the added tokens {', '.join(foreign[:8])}, which are not supported beside a "
            "SentencePiece vocabulary"
        )
    slow = files.slow
    if files.whole:
        kinds = [step.get("type") for step in steps(files.fast, "normalizer", files.folder / FAST)]
        settings.put(FAST, lower_case="Lowercase" in kinds, strip_accents="StripAccents" in kinds)
    if "do_lower_case" in slow:
        settings.put(SLOW, lower_case=slow["do_lower_case"])
    if isinstance(slow.get("keep_accents"), bool):
        settings.put(SLOW, strip_accents=not slow["keep_accents"])
    settings.put("transformers' AlbertTokenizer", lower_case=True, strip_accents=True)
    return vocabulary


def _byte_pairs(
    files: _Files, ids: Mapping[str, Any], merges: list[str], settings: Settings, *, source: Path
) -> Vocabulary:
    special = _special_pieces(files, "byte_bpe")
    vocabulary = byte_bpe_vocabulary(ids, merges, source=str(source), special=special)
    settings.put("byte-pair encoding, which keeps every byte", lower_case=False, strip_accents=False)
    settings.put("the folder, which is of Hugging Face's kind", tokenization="transformers")
    return _finished(files, vocabulary, base=vocabulary.ids)


def _by_id(ids: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    whole = all(isinstance(index, int) for index in ids.values())
    if not whole or sorted(ids.values()) != list(range(len(ids))):
        raise CorruptFileError(f"the ids of the vocabulary in {path} are not 0, 1, 2 ... without gaps")
    return tuple(sorted(ids, key=ids.__getitem__))


def _is_byte_level(files: _Files) -> bool:
    """Whether `tokenizer.json` turns text into bytes."""
    found = steps(files.fast, "pre_tokenizer", files.folder / FAST)
    return any(step.get("type") == "ByteLevel" for step in found)


def _merges(merges: Any, path: Path) -> list[str]:
    """The merges, each as `left right`; newer files hold pairs."""
    if isinstance(merges, list):
        lines = [" ".join(map(str, merge)) if isinstance(merge, list) else merge for merge in merges]
        if all(isinstance(line, str) for line in lines):
            return lines
    raise CorruptFileError(f"the merges in {path} should be a list of pairs")
