"""Pieces and ids, and text made of them again, as Hugging Face's tokenizers do."""

import abc
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

from tokenizers import decoders

from berthub.errors import InputError
from berthub.tokenization.special_tokens import SpecialTokens
from berthub.vocabulary import CONTINUED

__all__ = ["Decoding", "decoded"]

# As `clean_up_tokenization` of transformers.
_CLEANED = {
    " .": ".",
    " ?": "?",
    " !": "!",
    " ,": ",",
    " ' ": "'",
    " n't": "n't",
    " 'm": "'m",
    " 's": "'s",
    " 've": "'ve",
    " 're": "'re",
}


class Decoding(SpecialTokens):
    """The part of a tokenizer that turns ids into pieces and into text, and pieces into ids."""

    @abc.abstractmethod
    def joined(self, pieces: list[str]) -> str | None:
        """The text of pieces where the vocabulary's pipeline says how it is made; None where it is the algorithm's."""

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int: ...  # type: ignore[overload-overlap]
    @overload
    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]: ...
    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> int | list[int]:
        """The ids of pieces, or the id of one str; that of `[UNK]` for a piece that is not in the vocabulary."""
        ids = self.vocabulary.ids
        unknown = ids[self.vocabulary.unknown]
        if isinstance(tokens, str):
            return ids.get(tokens, unknown)
        return [ids.get(token, unknown) for token in tokens]

    @overload
    def convert_ids_to_tokens(self, ids: int, skip_special_tokens: bool = False) -> str: ...
    @overload
    def convert_ids_to_tokens(self, ids: Iterable[int], skip_special_tokens: bool = False) -> list[str]: ...
    def convert_ids_to_tokens(self, ids: int | Iterable[int], skip_special_tokens: bool = False) -> str | list[str]:
        """The pieces behind ids, or the piece of one; `InputError` where one is no id of the vocabulary.

        `skip_special_tokens` leaves special tokens out of a list.
        """
        if _is_number(ids):
            return self._pieces([operator.index(ids)])[0]  # type: ignore[arg-type]
        pieces = self._pieces(_listed(ids))
        if skip_special_tokens:
            special = {*self.all_special_tokens}
            pieces = [piece for piece in pieces if piece not in special]
        return pieces

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """The text of pieces."""
        if isinstance(tokens, str):
            raise InputError(f"tokens are a list of pieces, not one str: {tokens!r:.60}")
        text = self.joined([*tokens])
        if text is not None:
            return text
        match self.vocabulary.algorithm:
            case "wordpiece":
                decoder: decoders.Decoder = decoders.WordPiece(prefix=CONTINUED, cleanup=True)
            case "sentencepiece":
                decoder = decoders.Metaspace()
            case _:
                decoder = decoders.ByteLevel()
        return str(decoder.decode([*tokens]))

    def decode(
        self, token_ids: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None
    ) -> Any:
        """The text of a row of ids, or a list of the texts of rows: of lists, arrays or tensors.

        What tokenization has dropped, such as capitals and the number of blanks, does not come back. With word pieces
        blanks before marks are left out; `clean_up_tokenization_spaces` leaves those around apostrophes out, too.
        """
        if _is_number(token_ids):
            rows: list[Any] = [operator.index(token_ids)]
        else:
            rows = _listed(token_ids)
        if any(isinstance(row, list | tuple) or getattr(row, "ndim", 0) for row in rows):
            return self.batch_decode(rows, skip_special_tokens, clean_up_tokenization_spaces)
        text = self.convert_tokens_to_string(self.convert_ids_to_tokens(rows, skip_special_tokens))
        if clean_up_tokenization_spaces:
            for found, clean in _CLEANED.items():
                text = text.replace(found, clean)
        return text

    def batch_decode(
        self, sequences: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None
    ) -> list[str]:
        """The text of each row of ids, as `decode` makes it."""
        rows = _listed(sequences)
        if any(_is_number(row) for row in rows):
            raise InputError("batch_decode takes rows of ids, and these are ids: decode takes one row")
        return [self.decode(row, skip_special_tokens, clean_up_tokenization_spaces) for row in rows]

    def _pieces(self, ids: list[int]) -> list[str]:
        pieces = self.vocabulary.pieces
        if {*map(type, ids)} - {int}:
            if wrong := [index for index in ids if not _is_number(index)]:
                kind = type(wrong[0]).__name__
                raise InputError(f"ids are whole numbers, and one is of type {kind}: {wrong[0]!r:.60}")
            ids = [*map(operator.index, ids)]
        if ids and (min(ids) < 0 or max(ids) >= len(pieces)):
            raise InputError(
                f"ids are whole numbers from 0 to {len(pieces) - 1:,}, the vocabulary's; "
                f"these go from {min(ids):,} to {max(ids):,}"
            )
        return [pieces[index] for index in ids]


def decoded(ids: Sequence[int], tokenizer: Decoding, *, skip_special: bool) -> str:
    """The text of a row of ids, without the special tokens if `skip_special`; `InputError` for ids that are none."""
    return tokenizer.convert_tokens_to_string(tokenizer.convert_ids_to_tokens(ids, skip_special))


def _is_number(value: object) -> bool:
    # PyTorch makes a number of a list of one, too.
    return hasattr(value, "__index__") and not getattr(value, "ndim", 0)


def _listed(ids: Any) -> list[Any]:
    """Ids or rows of ids as a list, from arrays and tensors, too."""
    if isinstance(ids, str | bytes | Mapping) or not isinstance(ids, Iterable):
        kind = type(ids).__name__
        raise InputError(f'ids are a list of whole numbers, as in result["input_ids"], not of type {kind}: {ids!r:.60}')
    if hasattr(ids, "tolist"):
        return list(ids.tolist())
    return list(ids.numpy().tolist() if hasattr(ids, "numpy") else ids)
