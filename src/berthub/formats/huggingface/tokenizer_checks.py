"""Check the tokenizer files of a Hugging Face folder: every key that changes ids must have a supported value.

`tokenizer.json` is a program of the tokenizers library in JSON. A step that is not in these tables is refused by name,
never skipped, since it would change ids.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from berthub.errors import CorruptFileError, UnsupportedModelError
from berthub.vocabulary import CONTINUED

__all__ = ["FAST", "SLOW", "check_fast", "check_slow", "refuse", "steps"]

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
    # Positional arguments of the class, and what would stand in the place of the vocabulary's files.
    "init_inputs": (None, []),
    "vocab": (None,),
    "merges": (None,),
    # A tokenizer.json for each release of transformers.
    "fast_tokenizer_files": (None, [], [FAST]),
    # SentencePiece's own: sampling changes ids from call to call.
    "sp_model_kwargs": (None, {}),
    "remove_space": (True, None),
    "vocab_type": ("spm", None),
}
_SLOW_VALUES_OF: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    # ALBERT's SentencePiece puts a space before every text; that is its model's setting, too.
    "sentencepiece": {"add_prefix_space": (True, None)},
    "unigram": {
        "add_prefix_space": (True, False, None),
        "do_lower_case": (True, False),
        "keep_accents": (True, False),
        "split_by_punct": (True, False),
    },
}
# Where tokenizer.json is taken as it is, it alone says whether there is a space.
_SLOW_VALUES_OF_WHOLE: Mapping[str, tuple[Any, ...]] = {"add_prefix_space": (True, False, None)}

# tokenizer.json: for each step its types, and their keys with the values supported. `_ANY`: read elsewhere, or without
# effect on ids. A step that is left out is none; one with None may have any keys.
_BERT_NORMALIZER = {
    "clean_text": (True,),
    "handle_chinese_chars": _ANY,
    "strip_accents": _ANY,
    "lowercase": _ANY,
}
_BYTE_LEVEL = {"add_prefix_space": (False,), "trim_offsets": _ANY, "use_regex": (True,)}
_PAIR = {"sep": _ANY, "cls": _ANY}
_ROBERTA = {**_PAIR, "trim_offsets": _ANY, "add_prefix_space": _ANY}
_TEMPLATE = {"single": _ANY, "pair": _ANY, "special_tokens": _ANY}
_FRAMES = {
    "BertProcessing": _PAIR,
    "ByteLevel": {"add_prefix_space": _ANY, "trim_offsets": _ANY, "use_regex": _ANY},
    "RobertaProcessing": _ROBERTA,
    "TemplateProcessing": _TEMPLATE,
}
_STEPS: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any] | None] | None]] = {
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
        "post_processor": {
            "BertProcessing": _PAIR,
            "RobertaProcessing": _ROBERTA,
            "TemplateProcessing": _TEMPLATE,
        },
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
            "RobertaProcessing": _ROBERTA,
            "TemplateProcessing": _TEMPLATE,
        },
    },
    # What transformers' classes for unigram models do not use must be of the usual kinds all the same.
    "unigram": {
        "model": {"Unigram": {"unk_id": _ANY, "vocab": _ANY, "byte_fallback": (False,)}},
        "normalizer": dict.fromkeys(
            ("Lowercase", "NFC", "NFKC", "NFKD", "Nmt", "Precompiled", "Replace", "Strip", "StripAccents")
        ),
        "pre_tokenizer": dict.fromkeys(("Metaspace", "Punctuation", "WhitespaceSplit")),
        "post_processor": _FRAMES,
    },
    # A tokenizer.json that is taken as it is, whose other steps formats/pipelines.py checks.
    "pipeline": {"model": None, "normalizer": None, "pre_tokenizer": None, "post_processor": _FRAMES},
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


def check_slow(slow: Mapping[str, Any], algorithm: str, folder: Path, *, whole: bool) -> None:
    """`UnsupportedModelError` for a setting of `tokenizer_config.json` that is not supported."""
    own = _SLOW_VALUES_OF_WHOLE if whole else _SLOW_VALUES_OF.get(algorithm, {})
    for key, values in {**_SLOW_VALUES, **own}.items():
        if key in slow and slow[key] not in values:
            refuse(folder / SLOW, key, slow[key], values)
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
            refuse(path, f"{side}.direction", settings["direction"], ("Right",))
    for part, types in table.items():
        if types is None:
            continue
        # Only byte pairs have no normalizer.
        needed = algorithm in ("wordpiece", "byte_bpe", "sentencepiece") and types and part != "model"
        if needed and fast.get(part) is None and (whole or part in fast):
            raise UnsupportedModelError(f"{path} has no {part}; what is supported: {', '.join(types)}")
        found = steps(fast, part, path)
        for step in found:
            kind = step.get("type", next(iter(types)) if part == "model" else None)
            if not isinstance(kind, str) or kind not in types:
                refuse(path, f"{part}.type", kind, tuple(types) or ("null",))
            allowed = types[kind]
            for key, value in step.items() if allowed is not None else ():
                values: tuple[Any, ...] | None = allowed.get(key, ()) if allowed and key != "type" else _ANY
                if values is not None and value not in values:
                    refuse(path, f"{part}.{key}", value, values)


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


def refuse(path: Path, setting: str, value: Any, accepted: tuple[Any, ...]) -> NoReturn:
    """Raise `UnsupportedModelError` for a setting of a file that has a value which is not among the accepted ones."""
    known = " or ".join(map(repr, accepted)) or "nothing: the key is not known"
    raise UnsupportedModelError(f"{path} sets {setting} to {value!r:.200}; what is supported: {known}")
