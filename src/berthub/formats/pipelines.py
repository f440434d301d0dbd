"""Pipelines of Hugging Face's tokenizers library: normalizer, pre-tokenizer, model and decoder, as `tokenizer.json`
describes them.

Such a description is a program that a stranger may have written. Only steps in these tables are accepted, with
parameters that are known; a regular expression of another kind could take for ever. A step that is not in the tables
is refused by name, never skipped, since it would change ids.
"""

import base64
import binascii
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from berthub.containers.strict_json import parse_json
from berthub.errors import CorruptFileError, UnsupportedModelError
from berthub.formats.charsmap import check_charsmap
from berthub.vocabulary import Algorithm, Vocabulary

__all__ = ["Pipeline", "flat_steps", "tokenizer_json"]

BLANK = "\u2581"
_BOOL = (True, False)
# The longest text that is replaced, and what it is replaced by: nothing that makes texts longer.
_LONGEST_PATTERN = 16
_REPLACEMENTS = ("", " ", BLANK, '"')
_SPACES = (
    " {2,}",
    r"\s{2,}|[\n\r\t]",
    r"\A +| +\z",
)
# GPT-2's words, and those of the byte-pair encodings after it (cl100k as Llama 3 has it, Qwen 2, o200k).
_WORDS = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)
_BEHAVIORS = ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
# More steps than any tokenizer has, each of which goes over the whole text.
_MOST_STEPS = 16

_Accepted = tuple[Any, ...] | Callable[[Any], bool]


def _is_replaced(pattern: Any) -> bool:
    match pattern:
        case {"String": str() as text}:
            return len(pattern) == 1 and 0 < len(text) <= _LONGEST_PATTERN
        case {"Regex": str() as text}:
            return len(pattern) == 1 and text in _SPACES
    return False


def _splits(pattern: Any) -> bool:
    return pattern in [{"String": " "}, {"String": BLANK}, *({"Regex": words} for words in _WORDS)]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_NORMALIZERS: Mapping[str, Mapping[str, _Accepted]] = {
    "BertNormalizer": {
        "clean_text": _BOOL,
        "handle_chinese_chars": _BOOL,
        "strip_accents": (None, True, False),
        "lowercase": _BOOL,
    },
    "Lowercase": {},
    "NFC": {},
    "NFD": {},
    "NFKC": {},
    "NFKD": {},
    "Nmt": {},
    "Precompiled": {"precompiled_charsmap": _is_text},
    "Prepend": {"prepend": (BLANK,)},
    "Replace": {"pattern": _is_replaced, "content": _REPLACEMENTS},
    "Strip": {"strip_left": _BOOL, "strip_right": _BOOL},
    "StripAccents": {},
}
_METASPACE: Mapping[str, _Accepted] = {
    "replacement": (BLANK,),
    "prepend_scheme": ("always", "first", "never"),
    "add_prefix_space": _BOOL,
    "split": _BOOL,
    "str_rep": (BLANK,),
}
_BYTE_LEVEL: Mapping[str, _Accepted] = {"add_prefix_space": _BOOL, "trim_offsets": _BOOL, "use_regex": _BOOL}
_PRE_TOKENIZERS: Mapping[str, Mapping[str, _Accepted]] = {
    "BertPreTokenizer": {},
    "ByteLevel": _BYTE_LEVEL,
    "Digits": {"individual_digits": _BOOL},
    "Metaspace": _METASPACE,
    "Punctuation": {"behavior": _BEHAVIORS},
    "Split": {"pattern": _splits, "behavior": _BEHAVIORS, "invert": (False,)},
    "Whitespace": {},
    "WhitespaceSplit": {},
}
_DECODERS: Mapping[str, Mapping[str, _Accepted]] = {
    "ByteFallback": {},
    "ByteLevel": _BYTE_LEVEL,
    "Fuse": {},
    "Metaspace": _METASPACE,
    "Replace": {"pattern": _is_replaced, "content": _REPLACEMENTS},
    "Strip": {"content": (" ", BLANK), "start": (0, 1), "stop": (0, 1)},
}
_STEPS = {"normalizer": _NORMALIZERS, "pre_tokenizer": _PRE_TOKENIZERS, "decoder": _DECODERS}
# A sequence of steps, and where its steps are.
_SEQUENCES = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "decoder": "decoders"}

_MODELS: Mapping[str, Mapping[str, _Accepted]] = {
    "unigram": {"unk_id": lambda value: value is None or _is_index(value), "byte_fallback": _BOOL},
    "bpe": {
        "dropout": (None, 0),
        "unk_token": lambda value: value is None or isinstance(value, str),
        "continuing_subword_prefix": (None, ""),
        "end_of_word_suffix": (None, ""),
        "fuse_unk": _BOOL,
        "byte_fallback": _BOOL,
        "ignore_merges": _BOOL,
    },
}
_TYPES: Mapping[str, Algorithm] = {"Unigram": "unigram", "BPE": "bpe"}
# What stands in a model beside its settings: with the pieces, and here without.
_TABLES = {"unigram": ("vocab", "scores"), "bpe": ("merges", "merges")}


@dataclass(frozen=True)
class Pipeline:
    """A pipeline without its pieces; it is checked when it is made.

    `model` are the settings of the unigram model or of byte-pair encoding, with its `type`, as in `tokenizer.json`.
    `table` has the score of each piece for a unigram model, and the merges, pairs of pieces, for byte-pair encoding.
    The others are steps as in `tokenizer.json`, or None. `source` is named in errors.
    """

    model: Mapping[str, Any]
    table: Sequence[Any]
    normalizer: Mapping[str, Any] | None
    pre_tokenizer: Mapping[str, Any] | None
    decoder: Mapping[str, Any] | None
    source: str = "the pipeline"

    def __post_init__(self) -> None:
        if self.model.get("type") not in [*_TYPES]:
            _refuse(self.source, "model.type", self.model.get("type"), tuple(_TYPES))
        _check_values(self.source, "model", self.model, _MODELS[self.algorithm])
        well = _are_scores if self.algorithm == "unigram" else _are_merges
        if not isinstance(self.table, list) or not well(self.table):
            raise CorruptFileError(
                f"{self.source} should hold "
                + ("a finite score for each piece" if self.algorithm == "unigram" else "merges, which are two pieces")
            )
        for part, known in _STEPS.items():
            found = flat_steps(getattr(self, part), part, source=self.source)
            kinds = [_kind(step) for step in found]
            if len(found) > _MOST_STEPS or kinds.count("Precompiled") > 1:
                raise UnsupportedModelError(f"{self.source} has {len(found)} steps in its {part}: too many")
            for step, kind in zip(found, kinds, strict=True):
                if kind not in known:
                    _refuse(self.source, f"{part}.type", kind, tuple(known))
                _check_values(self.source, part, step, known[kind])
                if kind == "Precompiled":
                    check_charsmap(_decoded(step.get("precompiled_charsmap", ""), self.source), source=self.source)

    @property
    def algorithm(self) -> Algorithm:
        """The vocabulary's algorithm."""
        return _TYPES[self.model["type"]]

    def has(self, part: str, kind: str) -> bool:
        """Whether the normalizer, the pre-tokenizer or the decoder has a step of that type."""
        return any(step["type"] == kind for step in flat_steps(getattr(self, part), part, source=self.source))

    @property
    def lower_cases(self) -> bool:
        """Whether texts are made lower-case."""
        found = flat_steps(self.normalizer, "normalizer", source=self.source)
        return any(step["type"] == "Lowercase" or step.get("lowercase") for step in found)

    @property
    def strips_accents(self) -> bool:
        """Whether accents are dropped."""
        found = flat_steps(self.normalizer, "normalizer", source=self.source)
        lower = self.lower_cases
        return any(
            step["type"] == "StripAccents"
            or (
                step["type"] == "BertNormalizer"
                and (lower if step.get("strip_accents") is None else step["strip_accents"])
            )
            for step in found
        )

    def to_bytes(self) -> bytes:
        """The description as JSON: what a `Vocabulary` has as its model."""
        described = {name: value for name, value in asdict(self).items() if name != "source"}
        return json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, source: str) -> "Pipeline":
        """The pipeline that `to_bytes` described."""
        stored = parse_json(data, source=source)
        names = {"model", "table", *_STEPS}
        if not isinstance(stored, dict) or {*stored} != names or not isinstance(stored["model"], dict):
            raise CorruptFileError(f"{source} should be an object with {', '.join(sorted(names))}")
        return cls(**stored, source=source)

    @classmethod
    def of_file(cls, fast: Mapping[str, Any], *, source: str) -> tuple["Pipeline", tuple[str, ...]]:
        """The pipeline that a `tokenizer.json` describes, and the pieces of its model."""
        model = fast.get("model")
        if not isinstance(model, dict):
            raise CorruptFileError(f"{source} should have an object model")
        pieces, table = (_unigram if model.get("type") == "Unigram" else _bpe)(model, source)
        settings = {key: value for key, value in model.items() if key not in ("vocab", "merges")}
        parts = {part: fast.get(part) for part in _STEPS}
        return cls(model=settings, table=table, **parts, source=source), pieces

    def with_pieces(self, pieces: Sequence[str]) -> dict[str, Any]:
        """The model as `tokenizer.json` has it."""
        if self.algorithm == "unigram":
            return {**self.model, "vocab": [[piece, score] for piece, score in zip(pieces, self.table, strict=True)]}
        return {**self.model, "vocab": {piece: index for index, piece in enumerate(pieces)}, "merges": self.table}


def tokenizer_json(vocabulary: Vocabulary) -> dict[str, Any]:
    """The `tokenizer.json` of a vocabulary with a pipeline."""
    pipeline = Pipeline.from_bytes(vocabulary.model, source="the vocabulary's model")
    own = vocabulary.pieces[: len(vocabulary) - vocabulary.appended]
    special, frame = (vocabulary.classify, vocabulary.separate), vocabulary.framed
    classify, separate = ({"SpecialToken": {"id": piece, "type_id": 0}} for piece in special)
    first, second = ({"Sequence": {"id": name, "type_id": kind}} for name, kind in (("A", 0), ("B", frame.second_type)))
    last = {"SpecialToken": {"id": vocabulary.separate, "type_id": frame.second_type}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": vocabulary.ids[token.content], **asdict(token)}
            for token in sorted(vocabulary.added, key=lambda token: vocabulary.ids[token.content])
        ],
        "normalizer": pipeline.normalizer,
        "pre_tokenizer": pipeline.pre_tokenizer,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [classify, first, separate],
            "pair": [classify, first, *[separate] * frame.between, second, last],
            "special_tokens": {
                piece: {"id": piece, "ids": [vocabulary.ids[piece]], "tokens": [piece]} for piece in special
            },
        },
        "decoder": pipeline.decoder,
        "model": pipeline.with_pieces(own),
    }


def flat_steps(step: Any, part: str, *, source: str) -> list[Mapping[str, Any]]:
    """The steps of one part of `tokenizer.json`, in order: none, one, or those of a sequence, also of nested ones."""
    return [*_flat(step, part, source)] if step is not None else []


def _flat(step: Any, part: str, source: str) -> Iterator[Mapping[str, Any]]:
    if not isinstance(step, dict):
        raise CorruptFileError(f"{part} in {source} should be an object, or a sequence of objects")
    if step.get("type") != "Sequence":
        yield step
        return
    inner = step.get(_SEQUENCES[part])
    if not isinstance(inner, list):
        raise CorruptFileError(f"{part} in {source} should be an object, or a sequence of objects")
    for each in inner:
        yield from _flat(each, part, source)


def _kind(step: Mapping[str, Any]) -> str:
    kind = step.get("type")
    return kind if isinstance(kind, str) else repr(kind)


def _check_values(source: str, part: str, step: Mapping[str, Any], accepted: Mapping[str, _Accepted]) -> None:
    for key, value in step.items():
        if key == "type":
            continue
        values = accepted.get(key, ())
        if not (values(value) if callable(values) else _is_among(value, values)):
            _refuse(source, f"{part}.{key}", value, () if callable(values) else values)


def _is_among(value: Any, values: tuple[Any, ...]) -> bool:
    # 1 is no truth value here.
    return any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in values)


def _refuse(source: str, setting: str, value: Any, accepted: tuple[Any, ...]) -> None:
    known = f"what is supported: {' or '.join(map(repr, accepted))}" if accepted else "that is not supported"
    raise UnsupportedModelError(f"{source} sets {setting} to {value!r:.200}; {known}")


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_scores(table: list[Any]) -> bool:
    return all(isinstance(score, int | float) and math.isfinite(score) for score in table)


def _are_merges(table: list[Any]) -> bool:
    return all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(piece, str) for piece in pair) for pair in table
    )


def _decoded(text: str, source: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise CorruptFileError(f"{source} holds a precompiled_charsmap that is no base64: {error}") from error


def _unigram(model: Mapping[str, Any], source: str) -> tuple[tuple[str, ...], list[float]]:
    entries = model.get("vocab")
    whole = isinstance(entries, list) and all(
        isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str) for entry in entries
    )
    if not whole or not entries:
        raise CorruptFileError(f"the vocab in {source} should be a list of pieces with their scores")
    return tuple(piece for piece, _ in entries), [score for _, score in entries]


def _bpe(model: Mapping[str, Any], source: str) -> tuple[tuple[str, ...], list[list[str]]]:
    ids, merges = model.get("vocab"), model.get("merges")
    if not isinstance(ids, dict) or not isinstance(merges, list):
        raise CorruptFileError(f"the model in {source} should hold the objects vocab and merges")
    indices = [*ids.values()]
    if not all(_is_index(index) for index in indices) or sorted(indices) != [*range(len(indices))]:
        raise CorruptFileError(f"the ids of the vocabulary in {source} are not 0, 1, 2 ... without gaps")
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
    return tuple(sorted(ids, key=ids.__getitem__)), pairs
