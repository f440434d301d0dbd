"""The first stage: tokenize texts, and choose the rows that the engine computes for them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from berthub.brief import Brief
from berthub.encoding.repeats import without_repeats
from berthub.encoding.windows import Window, Windows
from berthub.errors import InputError
from berthub.tokenization.tokenizer import Text, Tokenizer
from berthub.tokenization.tokens import Tokens

__all__ = ["Prepared", "prepare", "prompted", "rows_of", "tokenize"]


@dataclass(frozen=True, eq=False, repr=False)
class Prepared(Brief):
    """Tokenized texts, `n` of them, and what the engine computes for them: each different text once.

    `distinct` are the tokens of the texts that differ from all before them, and `which` int64 [n] says which of these
    every text is; None: all differ. Where texts are longer than the `window` asked for, `windows` are the rows in
    which the distinct texts are computed.
    """

    texts: Sequence[Text]
    tokens: Tokens
    distinct: Tokens
    which: npt.NDArray[np.int64] | None
    window: Window | None = None
    windows: Windows | None = None

    @property
    def truncated(self) -> npt.NDArray[np.bool_]:
        """Which texts were longer than `max_length` and were truncated: bool [n]."""
        return self.tokens.truncated


def prepare(
    texts: Sequence[Text], tokenizer: Tokenizer, *, truncation: bool = True, window: Window | None = None
) -> Prepared:
    """Tokenize texts. Those of more than the tokenizer's `max_length` tokens are truncated, and marked so.

    With `truncation=False` they raise `InputError`; with a `window` they stay whole, and are computed in windows.
    """
    return rows_of(texts, tokenize(texts, tokenizer, truncation=truncation, window=window), tokenizer, window=window)


def prompted(texts: Sequence[Text], prompt: str) -> Sequence[Text]:
    """The texts with a prompt before each; of a pair before its first text. What is no text stays what it is."""

    def with_prompt(text: Text) -> Text:
        if isinstance(text, str):
            return prompt + text
        pair = isinstance(text, tuple | list) and len(text) == 2 and isinstance(text[0], str)
        return (prompt + text[0], text[1]) if pair else text

    return [with_prompt(text) for text in texts] if prompt else texts


def tokenize(texts: Sequence[Text], tokenizer: Tokenizer, *, truncation: bool, window: Window | None) -> Tokens:
    """The tokens of the texts, of any length with a `window`; `InputError` for long ones with `truncation=False`."""
    if window is not None:
        return tokenizer.tokens(texts)
    longest = tokenizer.max_length
    tokens = tokenizer.tokens(texts, max_length=longest if truncation else None)
    too_long = np.flatnonzero(tokens.lengths > longest)
    if len(too_long):
        row = int(too_long[0])
        raise InputError(
            f"{len(too_long):,} of {len(texts):,} texts have more than {longest} tokens, the first is text "
            f"{row} with {tokens.lengths[row]:,}; shorten them, or pass truncation=True to truncate them"
        )
    return tokens


def rows_of(texts: Sequence[Text], tokens: Tokens, tokenizer: Tokenizer, *, window: Window | None) -> Prepared:
    """Choose what is computed for texts that are tokenized already."""
    distinct, which = without_repeats(tokens)
    windows = None
    if window is not None and (distinct.lengths > window.size).any():
        vocabulary = tokenizer.vocabulary
        windows = Windows.of(distinct, window, separate=vocabulary.ids[vocabulary.separate])
    return Prepared(texts=texts, tokens=tokens, distinct=distinct, which=which, window=window, windows=windows)
