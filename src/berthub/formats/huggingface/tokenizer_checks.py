"""Check the tokenizer files of a Hugging Face folder: every key that changes ids must have a supported value.

`tokenizer.json` is a program of the tokenizers library in JSON. A step that is not in these tables is refused by name,
never skipped, since it would change ids.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from berthub.errors import CorruptFileError, UnsupportedModelError
from berthub.vocabulary import CONTINUED, Vocabulary

__all__ = ["FAST", "SLOW", "check_fast", "check_frame", "check_slow", "steps"]

FAST, SLOW = "tokenizer.json", "tokenizer_config.json"
"""The tokenizers library's file, and transformers' own."""

_ANY = None
_RIGHT = ("right", "Right")

# tokenizer_config.json: keys of which some values alone are supported. Keys that are in no table here (names of files,
# chat templates, lengths of training ...) change no ids.
_SLOW_VALUES: Mapping[str, tuple[Any, ...]] = {
    "truncation_side": _RIGHT,
    "padding_side": _RIGHT,
    "split_special_tokens": (False, None),
    "never_split": (None, []),
    "do_basic_tokenize": (True,),
    "clean_text": (True,),
    "wordpieces_prefix": (CONTINUED,),
    "max_input_chars_per_word": (100,),
    "add_prefix_space": (False, None),
}
# ALBERT's SentencePiece puts a space before every text; that is its model's setting, too.
_SLOW_VALUES_OF = {"sentencepiece": {"add_prefix_space": (True, None)}}

# tokenizer.json: for each step its types, and their keys with the values supported. `_ANY`: read elsewhere, or without
# effect on ids. A step that is left out is none.
_BERT_NORMALIZER = {
    "clean_text": (True,),
    "handle_chinese_chars": _ANY,
    "strip_accents": _ANY,
    "lowercase": _ANY,
}
_BYTE_LEVEL = {"add_prefix_space": (False,), "trim_offsets": _ANY, "use_regex": (True,)}
_PAIR = {"sep": _ANY, "cls": _ANY}
_TEMPLATE = {"single": _ANY, "pair": _ANY, "special_tokens": _ANY}
_STEPS: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "wordpiece": {
        "model": {
            "WordPiece": {
                "unk_token": _ANY,
                "continuing_subword_prefix": (CONTINUED,),
                "max_input_chars_per_word": (100,),
                "vocab": _ANY,
            }
        },
        "normalizer": {"BertNormalizer": _BERT_NORMALIZER},
        "pre_tokenizer": {"BertPreTokenizer": {}},
        "post_processor": {"BertProcessing": _PAIR, "TemplateProcessing": _TEMPLATE},
    },
    "byte_bpe": {
        "model": {
            "BPE": {
                "dropout": (None, 0, 0.0),
                "unk_token": _ANY,
                "continuing_subword_prefix": (None, ""),
                "end_of_word_suffix": (None, ""),
                "fuse_unk": (False,),
                "byte_fallback": (False,),
                "ignore_merges": (False,),
                "vocab": _ANY,
                "merges": _ANY,
            }
        },
        "normalizer": {},
        "pre_tokenizer": {"ByteLevel": _BYTE_LEVEL},
        "post_processor": {
            "RobertaProcessing": {**_PAIR, "trim_offsets": _ANY, "add_prefix_space": _ANY},
            "TemplateProcessing": _TEMPLATE,
        },
    },
    "sentencepiece": {
        "model": {"Unigram": {"unk_id": _ANY, "vocab": _ANY, "byte_fallback": (False,)}},
        "normalizer": {
            "Replace": {"pattern": ({"String": "``"}, {"String": "''"}, {"Regex": " {2,}"}), "content": ('"', " ")},
            "NFKD": {},
            "StripAccents": {},
            "Lowercase": {},
            "Precompiled": {"precompiled_charsmap": _ANY},
        },
        "pre_tokenizer": {
            "WhitespaceSplit": {},
            "Metaspace": {
                "replacement": ("\u2581",),
                "prepend_scheme": ("always",),
                "add_prefix_space": (True,),
                "split": (True,),
                "str_rep": ("\u2581",),
            },
        },
        "post_processor": {"TemplateProcessing": _TEMPLATE},
    },
}
# What else stands in tokenizer.json: without effect on the ids of a text, or read elsewhere.
_BESIDE = frozenset({"version", "truncation", "padding", "added_tokens", "decoder"})
# A sequence of steps, and where its steps are.
_SEQUENCES = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "post_processor": "processors"}
# The sides from which texts are truncated and padded.
_SIDES = ("truncation", "padding")


def check_slow(slow: Mapping[str, Any], algorithm: str, folder: Path) -> None:
    """`UnsupportedModelError` for a setting of `tokenizer_config.json` that is not supported."""
    for key, values in {**_SLOW_VALUES, **_SLOW_VALUES_OF.get(algorithm, {})}.items():
        if key in slow and slow[key] not in values:
            _refuse(folder / SLOW, key, slow[key], values)
    code = slow.get("auto_map")
    if code and (not isinstance(code, dict) or "AutoTokenizer" in code):
        raise UnsupportedModelError(
            f"{folder / SLOW} names code of its own for the tokenizer (auto_map: {code!r}), which is not run"
        )


def check_fast(fast: Mapping[str, Any], algorithm: str, path: Path, *, whole: bool) -> None:
    """`UnsupportedModelError` for a step of `tokenizer.json` that is not supported.

    `whole` says that transformers takes the file as it is: then no step may be missing.
    """
    table = _STEPS[algorithm]
    if unknown := sorted(fast.keys() - table.keys() - _BESIDE):
        raise UnsupportedModelError(f"{path} has {', '.join(unknown)}, which is not known, and might change ids")
    for side in _SIDES:
        settings = fast.get(side)
        if isinstance(settings, dict) and settings.get("direction", "Right") not in _RIGHT:
            _refuse(path, f"{side}.direction", settings["direction"], ("Right",))
    for part, types in table.items():
        # Only byte pairs have no normalizer.
        if types and part != "model" and fast.get(part) is None and (whole or part in fast):
            raise UnsupportedModelError(f"{path} has no {part}; what is supported: {', '.join(types)}")
        found = steps(fast, part, path)
        for step in found:
            kind = step.get("type", next(iter(types)) if part == "model" else None)
            if kind not in types:
                _refuse(path, f"{part}.type", kind, tuple(types) or ("null",))
            allowed: Mapping[str, Any] = types[kind]
            for key, value in step.items():
                values: tuple[Any, ...] | None = allowed.get(key, ()) if key != "type" else _ANY
                if values is not None and value not in values:
                    _refuse(path, f"{part}.{key}", value, values)


def check_frame(fast: Mapping[str, Any], vocabulary: Vocabulary, path: Path) -> None:
    """`UnsupportedModelError` where the post-processor puts other special tokens around texts than the model has.

    These are `[CLS] a [SEP] b [SEP]` with types 0 and 1, or for byte pairs `<s> a </s> </s> b </s>` with types 0.
    """
    classify, separate = vocabulary.classify, vocabulary.separate
    ids = {piece: vocabulary.ids[piece] for piece in (classify, separate)}
    bytewise = vocabulary.algorithm == "byte_bpe"
    second = 0 if bytewise else 1
    between = [(separate, 0)] * (2 if bytewise else 1)
    single = [(classify, 0), ("A", 0), (separate, 0)]
    pair = [(classify, 0), ("A", 0), *between, ("B", second), (separate, second)]
    for step in steps(fast, "post_processor", path):
        if step.get("type") == "TemplateProcessing":
            found = {name: _template(step.get(name), path) for name in ("single", "pair")}
            if found != {"single": single, "pair": pair}:
                shown = {name: " ".join(f"{piece}:{kind}" for piece, kind in parts) for name, parts in found.items()}
                wanted = " ".join(f"{piece}:{kind}" for piece, kind in pair)
                _refuse(path, "post_processor", shown, (wanted,))
            stored = step.get("special_tokens")
            given = {key: value.get("ids") for key, value in stored.items()} if isinstance(stored, dict) else {}
            if any(given.get(piece) != [index] for piece, index in ids.items()):
                _refuse(path, "post_processor.special_tokens", given, (ids,))
        else:
            for key, piece in (("cls", classify), ("sep", separate)):
                if step.get(key) != [piece, ids[piece]]:
                    _refuse(path, f"post_processor.{key}", step.get(key), ([piece, ids[piece]],))


def steps(fast: Mapping[str, Any], part: str, path: Path) -> list[Mapping[str, Any]]:
    """The steps of one section of `tokenizer.json`, in order: one, those of a sequence, or none."""
    step = fast.get(part)
    if step is None:
        return []
    inner: Any = [step]
    if isinstance(step, dict) and step.get("type") == "Sequence":
        inner = step.get(_SEQUENCES.get(part, ""), None)
    if not isinstance(inner, list) or not all(isinstance(each, dict) for each in inner):
        raise CorruptFileError(f"{part} in {path} should be an object, or a sequence of objects")
    return inner


def _template(value: Any, path: Path) -> list[tuple[str, int]]:
    """The elements of a template with their type ids: `A` and `B` are the texts."""
    found = []
    for part in value if isinstance(value, list) else [None]:
        match part:
            case {"SpecialToken": {"id": str() as piece, "type_id": int() as kind}}:
                found.append((piece, kind))
            case {"Sequence": {"id": ("A" | "B") as name, "type_id": int() as kind}}:
                found.append((name, kind))
            case _:
                raise CorruptFileError(f"the template of the post_processor in {path} is not valid")
    return found


def _refuse(path: Path, setting: str, value: Any, accepted: tuple[Any, ...]) -> None:
    known = " or ".join(map(repr, accepted)) or "nothing: the key is not known"
    raise UnsupportedModelError(f"{path} sets {setting} to {value!r:.200}; what is supported: {known}")
