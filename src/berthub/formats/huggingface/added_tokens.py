"""The added tokens of a Hugging Face folder, in the order in which transformers gives them to its library.

They may stand in four files: `tokenizer.json` (added_tokens), `tokenizer_config.json` (added_tokens_decoder, the
special tokens by role, and lists of more), and in older folders `special_tokens_map.json` and `added_tokens.json`,
which transformers (5.24, `PreTrainedTokenizerBase._from_pretrained`) reads where added_tokens_decoder is missing.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from berthub.errors import CorruptFileError, UnsupportedModelError
from berthub.vocabulary import AddedToken

__all__ = ["LISTS", "AddedTokens", "collect_added", "token_of"]

_KEYS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_CONFIG = "tokenizer_config.json"
_FLAGS = tuple(name.name for name in dataclasses.fields(AddedToken) if name.name != "content")
LISTS = ("extra_special_tokens", "additional_special_tokens")
"""The keys under which special tokens without a role are listed, the older name last."""


@dataclass
class AddedTokens:
    """Tokens by content, in the order in which they are added; the last of equal content gives the flags.

    `stated` are the ids that the files give them, each with the file.
    """

    tokens: dict[str, AddedToken] = field(default_factory=dict)
    stated: dict[str, tuple[int, str]] = field(default_factory=dict)

    def place(self, ids: Mapping[str, int], *, defaults: frozenset[str]) -> tuple[list[str], tuple[AddedToken, ...]]:
        """The pieces that the tokens append to a vocabulary, and the tokens.

        A token that is no piece gets the next id. `UnsupportedModelError` where the files state another one.
        `defaults` are the special tokens that no file names: the last of these are left out where they are no pieces.
        """
        tokens = dict(self.tokens)
        for content in reversed(self.tokens):
            if content in ids or content not in defaults or content in self.stated:
                break
            del tokens[content]
        appended = [content for content in tokens if content not in ids]
        placed = {**ids, **{content: len(ids) + index for index, content in enumerate(appended)}}
        for content, (index, source) in self.stated.items():
            # The library takes no empty ones.
            if content and placed[content] != index:
                raise UnsupportedModelError(
                    f"{source} gives the added token {content!r} the id {index}, and transformers gives it "
                    f"{placed[content]}: added tokens that are not in the vocabulary are counted from its end "
                    f"({len(ids):,}), in their order. Write the ids as they are, or the token into the vocabulary"
                )
        return appended, tuple(tokens.values())

    def add(self, token: AddedToken) -> None:
        """Append a token; one of equal content is replaced in its place."""
        if token.content:
            self.tokens[token.content] = token


def collect_added(
    fast: Mapping[str, Any],
    slow: Mapping[str, Any],
    legacy: Mapping[str, Any],
    *,
    named: Mapping[str, AddedToken | str],
    whole: bool,
) -> AddedTokens:
    """The added tokens of the files `tokenizer.json`, `tokenizer_config.json` and `added_tokens.json`.

    `named` are the special tokens by their keys, and `whole` says that `tokenizer.json` is taken as it is.
    """
    found = AddedTokens()
    if whole:
        for index, token in _listed(fast):
            found.add(token)
            found.stated[token.content] = index, "tokenizer.json"
    by_id: dict[int, tuple[AddedToken, str]] = {}
    if "added_tokens_decoder" in slow:
        source = "added_tokens_decoder in tokenizer_config.json"
        decoder = slow["added_tokens_decoder"]
        if not isinstance(decoder, dict) or not all(key.isdecimal() for key in decoder):
            raise CorruptFileError(f"{source} should be an object from ids to tokens")
        by_id = {int(key): (token_of(value, source=source), source) for key, value in decoder.items()}
    else:
        # Of special tokens only those that a file lists, or names by these keys.
        special = {_content(token) for key, token in named.items() if key in _KEYS and slow.get(key)}
        listed = {LISTS[0]: slow[LISTS[0]]} if isinstance(slow.get(LISTS[0]), list) else {}
        special |= {_content(token) for token in _more(listed)}
        for content, index in legacy.items():
            if not isinstance(index, int) or isinstance(index, bool):
                raise CorruptFileError(f"added_tokens.json gives {content!r} the id {index!r}, which is no id")
            token = AddedToken(content=content, normalized=content not in special, special=content in special)
            by_id[index] = token, "added_tokens.json"
        by_id |= {index: (token, "tokenizer.json") for index, token in _listed(fast)}
    for index, (token, source) in sorted(by_id.items()):
        found.add(token)
        found.stated[token.content] = index, source

    flags = {**found.tokens, **{token.content: token for token, _ in by_id.values()}}
    for special_token in (*named.values(), *_more(slow)):
        found.add(flags.get(_content(special_token)) or _special(special_token))
    return found


def token_of(value: Any, *, source: str) -> AddedToken:
    """The token that an object in a file describes; `CorruptFileError` names `source`."""
    if not isinstance(value, dict) or not isinstance(value.get("content"), str):
        raise CorruptFileError(f"{source} should hold objects with content, not {value!r:.80}")
    special = value.get("special", False)
    flags = {"normalized": not special, **{name: value[name] for name in _FLAGS if name in value}}
    if wrong := [name for name, flag in flags.items() if not isinstance(flag, bool)]:
        raise CorruptFileError(f"{source} sets {', '.join(wrong)} of {value['content']!r} to no truth value")
    return AddedToken(content=value["content"], **flags)


def _listed(fast: Mapping[str, Any]) -> Iterator[tuple[int, AddedToken]]:
    added = fast.get("added_tokens") or []
    if not isinstance(added, list):
        raise CorruptFileError("added_tokens in tokenizer.json should be a list of objects with content and id")
    for value in added:
        token = token_of(value, source="added_tokens in tokenizer.json")
        index = value.get("id")
        if not isinstance(index, int) or isinstance(index, bool):
            raise CorruptFileError(f"added_tokens in tokenizer.json gives {token.content!r} the id {index!r}")
        yield index, token


def _more(slow: Mapping[str, Any]) -> list[AddedToken | str]:
    """The additional special tokens, which have no role."""
    values: list[Any] = []
    for key in LISTS:
        found = slow.get(key) or []
        # By name, which changes nothing; then the other list counts, too.
        if not isinstance(found, dict | list):
            raise CorruptFileError(f"{key} in {_CONFIG} should be a list of tokens, not {found!r:.80}")
        values += found.values() if isinstance(found, dict) else found
        if isinstance(found, list) and found:
            break
    return [
        value if isinstance(value, str) else token_of(value, source=f"a list of special tokens in {_CONFIG}")
        for value in values
    ]


def _special(token: AddedToken | str) -> AddedToken:
    return token if isinstance(token, AddedToken) else AddedToken(content=token, normalized=False, special=True)


def _content(token: AddedToken | str) -> str:
    return token if isinstance(token, str) else token.content
