"""`TokenizedTexts`: what calling a tokenizer returns, with what each token stands for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, SupportsIndex

import numpy as np

from berthub.errors import InputError
from berthub.tokenization.tensors import check_framework, to_tensor

__all__ = ["AlignedRow", "CharSpan", "TokenSpan", "TokenizedTexts"]


class CharSpan(NamedTuple):
    """From which to which of the characters of a text."""

    start: int
    end: int


class TokenSpan(NamedTuple):
    """From which to which of the tokens of a row."""

    start: int
    end: int


@dataclass(frozen=True)
class AlignedRow:
    """The tokens of a row, padding included, and what each stands for.

    `sequence_ids` say in which text of a pair it is, and `word_ids` in which of its words: None for special tokens.
    """

    tokens: list[str]
    sequence_ids: list[int | None]
    word_ids: list[int | None]
    offsets: list[tuple[int, int]]

    def words_of(self, sequence: int) -> list[int | None]:
        """The words of the tokens, None for all that are not of this text."""
        pairs = zip(self.word_ids, self.sequence_ids, strict=True)
        return [word if own == sequence else None for word, own in pairs]


class TokenizedTexts(dict[str, Any]):
    """What calling a tokenizer returns: a dict whose keys can be read as attributes, too.

    The methods say what a token stands for, as those of transformers' `BatchEncoding`. They take the number of a row
    first, which may be left out where there is one: `token_to_chars(row, token)` or `token_to_chars(token)`.
    """

    _aligned: "list[AlignedRow] | Callable[[], list[AlignedRow]] | None" = None

    @classmethod
    def made(cls, values: Mapping[str, Any], aligned: Callable[[], list[AlignedRow]] | list[AlignedRow] | None) -> Self:
        """The values with what their tokens stand for, or with a function that computes it when it is asked for."""
        result = cls(values)
        result._aligned = aligned
        return result

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{name}; there are {', '.join(self)}") from None

    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str):
            raise InputError(
                f"the keys are names: {', '.join(self)}. Row {name!r} is in each of them, as in "
                f'result["input_ids"][{name!r}], and tokens, word_ids and sequence_ids take its number'
            )
        return super().__getitem__(name)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        # What the tokens stand for, and not the tokenizer which would compute it.
        return _restored, (type(self), dict(self), None if self._aligned is None else self._rows())

    def _rows(self) -> list[AlignedRow]:
        if callable(self._aligned):
            self._aligned = self._aligned()
        if self._aligned is None:
            raise InputError("what tokens stand for is known of a tokenizer's call, and not of what pad makes")
        return self._aligned

    def _row(self, index: int) -> AlignedRow:
        rows = self._rows()
        if not -len(rows) <= index < len(rows):
            raise InputError(f"there are {len(rows):,} rows, and none with the number {index}")
        return rows[index]

    def _at(self, first: int, second: int | None) -> tuple[AlignedRow, int]:
        """The row and the number in it of a method's first two arguments, of which the row may be left out."""
        if second is None:
            if (count := len(self._rows())) > 1:
                raise InputError(f"there are {count:,} rows: give the row's number first, then that of what is in it")
            return self._row(0), first
        return self._row(first), second

    @property
    def n_sequences(self) -> int | None:
        """1 for single texts, 2 for pairs; None where there is no row."""
        rows = self._rows()
        return None if not rows else 2 if any(1 in row.sequence_ids for row in rows) else 1

    @property
    def is_fast(self) -> bool:
        """Whether it is known what tokens stand for, as with transformers' fast tokenizers."""
        return self._aligned is not None

    def tokens(self, batch_index: int = 0) -> list[str]:
        """The pieces of a row, special tokens and padding included."""
        return [*self._row(batch_index).tokens]

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """For each token of a row the number of its word in its text; None for special tokens and padding.

        Words are those of the call where they were given, else those of BERT: punctuation marks are words.
        """
        return [*self._row(batch_index).word_ids]

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """For each token of a row 0 or 1, the text of a pair that it is in; None for special tokens and padding."""
        return [*self._row(batch_index).sequence_ids]

    def token_to_sequence(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """The text of a pair, 0 or 1, that a token is in; None for special tokens and padding."""
        row, token = self._at(batch_or_token_index, token_index)
        return row.sequence_ids[_checked(row, token)]

    def token_to_word(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """The number of a token's word; None for special tokens and padding."""
        row, token = self._at(batch_or_token_index, token_index)
        return row.word_ids[_checked(row, token)]

    def token_to_chars(self, batch_or_token_index: int, token_index: int | None = None) -> CharSpan | None:
        """The characters that a token stands for; None for special tokens and padding."""
        row, token = self._at(batch_or_token_index, token_index)
        return None if row.sequence_ids[_checked(row, token)] is None else CharSpan(*row.offsets[token])

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The number of the token that a character of a text is in; None for a blank, and where it was truncated."""
        row, place = self._at(batch_or_char_index, char_index)
        for token, (own, (start, end)) in enumerate(zip(row.sequence_ids, row.offsets, strict=True)):
            if own == sequence_index and start <= place < end:
                return token
        return None

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The number of the word that a character of a text is in; None for a blank, and where it was truncated."""
        row, _ = self._at(batch_or_char_index, char_index)
        token = self.char_to_token(batch_or_char_index, char_index, sequence_index)
        return None if token is None else row.word_ids[token]

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> TokenSpan | None:
        """From which to which token a word of a text is; None where it has none."""
        row, word = self._at(batch_or_word_index, word_index)
        found = [token for token, own in enumerate(row.words_of(sequence_index)) if own == word]
        return TokenSpan(found[0], found[-1] + 1) if found else None

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> CharSpan | None:
        """The characters of a word's tokens; None where it has none."""
        row, _ = self._at(batch_or_word_index, word_index)
        span = self.word_to_tokens(batch_or_word_index, word_index, sequence_index)
        return None if span is None else CharSpan(row.offsets[span.start][0], row.offsets[span.end - 1][1])

    def convert_to_tensors(self, tensor_type: str | None = None) -> Self:
        """Make tensors of the values, in place: "np", "pt", "tf" or "jax"; the rows must be equally long."""
        if tensor_type is not None:
            check_framework(tensor_type)
            for name, value in self.items():
                self[name] = tensor_of(name, value, tensor_type)
        return self

    def to(self, device: Any, **options: Any) -> Self:
        """These values, PyTorch's tensors on `device`."""
        if not any(hasattr(value, "to") for value in self.values()):
            raise InputError(f'to({device!r}) moves tensors of PyTorch, and here are none: pass return_tensors="pt"')
        for name, value in self.items():
            if hasattr(value, "to"):
                self[name] = value.to(device, **options)
        return self


def tensor_of(name: str, value: Any, framework: str) -> Any:
    """The rows under `name` as a tensor; `InputError` where they are of different lengths, or no numbers."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise InputError(f"the rows of {name} have different lengths and make no tensor: pad them") from None
    if array.dtype.kind in "biu":
        return to_tensor(array.astype(np.int32), framework)
    if array.dtype.kind != "f":
        raise InputError(f"{name} holds values of type {array.dtype}, which make no tensor of numbers: leave it out")
    return to_tensor(array.astype(np.float32), framework)


def _restored(cls: type[TokenizedTexts], values: dict[str, Any], aligned: list[AlignedRow] | None) -> TokenizedTexts:
    return cls.made(values, aligned)


def _checked(row: AlignedRow, token: int) -> int:
    if not -len(row.tokens) <= token < len(row.tokens):
        raise InputError(f"the row has {len(row.tokens):,} tokens, and none with the number {token}")
    return token
