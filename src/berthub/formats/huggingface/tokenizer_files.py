"""The files of a Hugging Face folder's tokenizer, and which of transformers' classes reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from berthub.containers.files import read_json
from berthub.errors import CorruptFileError, UnsupportedModelError
from berthub.formats.huggingface.added_tokens import LISTS, collect_added, token_of
from berthub.formats.huggingface.tokenizer_checks import FAST, SLOW
from berthub.vocabulary import AddedToken, Algorithm

__all__ = ["CLASSES", "SPECIAL", "TokenizerFiles", "read_slow", "read_tokenizer_files"]

SPECIAL = {
    "unk_token": "unknown",
    "sep_token": "separate",
    "pad_token": "pad",
    "cls_token": "classify",
    "mask_token": "mask",
}
"""The keys of the special pieces, and their roles."""

_SPECIFIC = "model_specific_special_tokens"
_KEYS = ("bos_token", "eos_token", *SPECIAL)

CLASSES: Mapping[Algorithm, tuple[str, ...]] = {
    "wordpiece": ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer", "MPNetTokenizer"),
    "sentencepiece": ("AlbertTokenizer",),
    "byte_bpe": ("RobertaTokenizer",),
    "unigram": ("AlbertTokenizer", "CamembertTokenizer", "DebertaV2Tokenizer", "XLMRobertaTokenizer"),
    "bpe": (),
}
"""transformers' tokenizers that run a vocabulary, whatever the encoder. The first is written."""

# Those that run tokenizer.json as it is.
_WHOLE = ("PreTrainedTokenizer", "TokenizersBackend")
# The class of a folder that names none, by model_type; the others' follows from the vocabulary's file.
_CLASS_OF = {
    "camembert": "CamembertTokenizer",
    "deberta-v2": "DebertaV2Tokenizer",
    "eurobert": "TokenizersBackend",
    "gte": "XLMRobertaTokenizer",
    "modernbert": "TokenizersBackend",
    "mpnet": "MPNetTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
}
# Of these transformers distrusts the class that a folder names.
_DISTRUSTED = ("modernbert",)


@dataclass(frozen=True)
class TokenizerFiles:
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

    def has_types(self, *, otherwise: bool) -> bool:
        """Whether the tokenizer gives type ids, by `model_input_names`; `otherwise` is what its class does."""
        names = self.slow.get("model_input_names")
        return "token_type_ids" in names if isinstance(names, list) and names else otherwise

    def check_class(self, algorithm: Algorithm) -> None:
        """`UnsupportedModelError` where the class is one for another algorithm."""
        if self.name is not None and self.name not in (*CLASSES[algorithm], *_WHOLE):
            raise UnsupportedModelError(
                f"the tokenizer_class of {self.folder} is {self.name}, and its vocabulary is one for {algorithm}: "
                f"{', '.join(CLASSES[algorithm])} run it"
            )

    def named(self) -> dict[str, str]:
        """The special pieces that the files name, by role."""
        # An added token's entry is an object with its text under "content".
        found = {role: _content(self.slow.get(key)) for key, role in SPECIAL.items()}
        return {role: piece for role, piece in found.items() if piece}

    def text_of(self, key: str) -> str | None:
        """The piece under a key of `tokenizer_config.json`."""
        return _content(self.slow.get(key)) or None

    def added(
        self,
        special: Mapping[str, str],
        base: Mapping[str, int],
        *,
        keep_defaults: bool = False,
        mask_strips: bool = False,
        beyond: tuple[AddedToken, ...] = (),
    ) -> tuple[tuple[str, ...], tuple[AddedToken, ...]]:
        """The appended pieces and the added tokens.

        `special` are the special pieces by key, and `base` the model's own ids. `keep_defaults`: special pieces that no
        file names are added, too, if they are no pieces. `mask_strips`: blanks before a mask belong to it.
        `beyond` are special tokens that count where no file lists any.
        """
        named: dict[str, AddedToken | str] = dict(special)
        for key, value in self.slow.items():
            if key.endswith("_token") and isinstance(value, str | dict) and value:
                # A token of another name is a special one, too.
                named[key] = _token(key, value)
        if not any(key not in _KEYS for key in named) and not isinstance(self.slow.get(LISTS[0]), dict):
            # What transformers saves of tokens of other names; where a file has these themselves, they count.
            stored = self.slow.get(_SPECIFIC) or {}
            if not isinstance(stored, dict):
                raise CorruptFileError(f"{_SPECIFIC} in {SLOW} should be an object, not {stored!r:.80}")
            named |= {key: _token(f"{_SPECIFIC}.{key}", value) for key, value in stored.items()}
        for key in ("bos_token", "eos_token", "mask_token"):
            if key in self.slow and self.slow[key] is None:
                # Said not to be there; without the others there is no frame.
                named.pop(key, None)
        mask = named.get("mask_token")
        if mask_strips and isinstance(mask, str):
            named["mask_token"] = AddedToken(content=mask, lstrip=True, normalized=False, special=True)
        named = {key: named[key] for key in (*_KEYS, *named) if key in named}
        defaults = frozenset(special[key] for key in special if not keep_defaults and not self.slow.get(key))
        found = collect_added(self.fast, self.slow, self.legacy, named=named, whole=self.whole)
        if not any(key in self.slow for key in LISTS):
            for token in beyond:
                if token.content not in found.tokens:
                    found.add(token)
        appended, added = found.place(base, defaults=defaults)
        return tuple(appended), added


def read_tokenizer_files(folder: Path, tokenizer_class: object, model_type: object) -> TokenizerFiles:
    """The files; `UnsupportedModelError` for a class that is not known.

    `tokenizer_class` and `model_type` are what `config.json` says.
    """
    fast, legacy = (_read_if_there(folder / name) for name in (FAST, "added_tokens.json"))
    slow = read_slow(folder)
    name = slow.get("tokenizer_class") or tokenizer_class
    name = name.removesuffix("Fast") if isinstance(name, str) else None
    known = model_type if isinstance(model_type, str) else ""
    if name is None or known in _DISTRUSTED:
        name = _CLASS_OF.get(known)
    accepted = [*dict.fromkeys(name for names in CLASSES.values() for name in names), *_WHOLE]
    if name is not None and name not in accepted:
        raise UnsupportedModelError(
            f"the tokenizer_class of {folder} is {name}, which splits text in a way of its own; what is supported: "
            f"{', '.join(accepted)}, and these with Fast"
        )
    return TokenizerFiles(folder, fast, slow, legacy, name)


def _token(key: str, value: Any) -> AddedToken | str:
    """The special token under a key of `tokenizer_config.json`."""
    return value if isinstance(value, str) else token_of({"special": True, **value}, source=f"{key} in {SLOW}")


def _content(value: object) -> str | None:
    found = value.get("content") if isinstance(value, dict) else value
    return found if isinstance(found, str) else None


def read_slow(folder: Path) -> dict[str, Any]:
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
