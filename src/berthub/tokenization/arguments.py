"""Check the arguments of a tokenizer: texts, pairs of them, pieces and options."""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from berthub.errors import InputError

__all__ = ["Text", "check_texts", "checked_pieces", "chosen", "listed_texts", "with_pairs"]

Text = str | tuple[str, str] | list[str]
"""A text, or a pair of texts."""


def checked_pieces(vocabulary: Any) -> tuple[str, ...]:
    """The pieces of a vocabulary that is given as a list of them; `InputError` for anything else."""
    if not isinstance(vocabulary, bytes | Mapping | Set) and isinstance(vocabulary, Iterable):
        pieces = tuple(vocabulary)
        if all(isinstance(piece, str) for piece in pieces):
            return pieces
    raise InputError(
        "a vocabulary is a Vocabulary, the path of a vocab.txt or of a SentencePiece .model, or a list of pieces (str) "
        f"in the order of their ids; this is {_shown(vocabulary)}"
    )


def listed_texts(texts: Any) -> Sequence[Text]:
    """The texts as a sequence; one string counts as a list of one. `InputError` for what only looks like texts."""
    if isinstance(texts, str):
        return [texts]
    # Iterating over a data frame gives the names of its columns.
    if isinstance(texts, bytes | Mapping) or not isinstance(texts, Iterable) or getattr(texts, "ndim", 1) != 1:
        raise InputError(f"texts are a list of str or of pairs of them, not {_shown(texts)}")
    return texts if isinstance(texts, Sequence) else list(texts)


def check_texts(texts: Sequence[Text]) -> None:
    """`InputError`, which names the first one at fault, where not all are strings or pairs of strings."""
    for index, text in enumerate(texts):
        if not isinstance(text, str) and not (
            isinstance(text, tuple | list) and len(text) == 2 and all(isinstance(part, str) for part in text)
        ):
            raise InputError(
                f"text {index} is {_shown(text)}; "
                "a text is a str, or a pair of them such as ('a question', 'an answer')"
            )


def with_pairs(text: str | Sequence[Text], text_pair: str | Sequence[str] | None) -> Sequence[Text]:
    """The texts, each with its partner in `text_pair` where there is one; `InputError` where they do not fit."""
    if isinstance(text, str):
        if text_pair is None:
            return [text]
        if isinstance(text_pair, str):
            return [(text, text_pair)]
        raise InputError(f"text is one string, so text_pair must be one, too; it is {_shown(text_pair)}")
    texts = listed_texts(text)
    if text_pair is None:
        return texts
    if isinstance(text_pair, str) or len(text_pair) != len(texts):
        raise InputError(f"text_pair must have a string for each of the {len(texts)} texts; it is {_shown(text_pair)}")
    if not all(isinstance(first, str) for first in texts):
        raise InputError("texts that are pairs already take no text_pair")
    return list(zip(texts, text_pair, strict=True))  # type: ignore[arg-type]


def chosen(name: str, value: object, choices: Mapping[Any, Any]) -> Any:
    """What the `value` of the option `name` stands for among the `choices`; `InputError` for another one."""
    if isinstance(value, bool | str) and value in choices:
        return choices[value]
    raise InputError(f"{name}={value!r} is not known; use one of {', '.join(map(repr, choices))}")


def _shown(value: object) -> str:
    shown = repr(value)
    return f"of type {type(value).__name__}: {shown if len(shown) <= 60 else shown[:57] + '...'}"
