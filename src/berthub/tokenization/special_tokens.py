"""The part of a tokenizer that knows its vocabulary and its special tokens, by transformers' names."""

import abc
from collections.abc import Sequence

from berthub.choices import Tokenization
from berthub.errors import InputError
from berthub.vocabulary import Vocabulary

__all__ = ["SpecialTokens"]

_ROLES = {
    "unk_token": "unknown",
    "sep_token": "separate",
    "pad_token": "pad",
    "cls_token": "classify",
    "mask_token": "mask",
}


class SpecialTokens(abc.ABC):
    """The vocabulary and the special tokens of a tokenizer, read as from transformers' `BertTokenizer`."""

    vocabulary: Vocabulary
    lower_case: bool
    tokenization: Tokenization
    max_length: int

    model_input_names: Sequence[str] = ("input_ids", "token_type_ids", "attention_mask")
    """What a call returns if nothing else is asked for."""
    is_fast = True
    """Whether it is known what tokens stand for, as with transformers' fast tokenizers."""
    padding_side = "right"
    """Where rows are padded, if a call does not say it."""
    truncation_side = "right"
    """Where texts are truncated, if a call does not say it."""
    pad_token_type_id = 0
    """The type id of padding."""

    def __len__(self) -> int:
        """The number of pieces, added tokens included."""
        return len(self.vocabulary)

    def __bool__(self) -> bool:
        return True

    @abc.abstractmethod
    def checked_length(self, max_length: int, *, least: int = 2) -> int:
        """`max_length`, or `InputError` where it is less than `least` or the model has fewer positions."""

    @property
    def vocab_size(self) -> int:
        """The number of pieces that are the model's own, without added tokens that are no pieces of it."""
        return len(self.vocabulary) - self.vocabulary.appended

    @property
    def vocab(self) -> dict[str, int]:
        """Each piece's id."""
        return self.get_vocab()

    def get_vocab(self) -> dict[str, int]:
        """Each piece's id, added tokens included."""
        return dict(self.vocabulary.ids)

    def get_added_vocab(self) -> dict[str, int]:
        """The ids of the added tokens, which alone the tokenization `transformers` looks for in texts."""
        ids = self.vocabulary.ids
        found = [token.content for token in self.vocabulary.added] or self.vocabulary.special
        return {piece: ids[piece] for piece in sorted(found, key=ids.__getitem__)}

    @property
    def model_max_length(self) -> int:
        """The most tokens of a row that a model takes: another name of `max_length`."""
        return self.max_length

    @model_max_length.setter
    def model_max_length(self, value: int) -> None:
        self.max_length = self.checked_length(value)

    @property
    def max_len_single_sentence(self) -> int:
        """The most pieces that a text may have."""
        return self.max_length - self.num_special_tokens_to_add()

    @property
    def max_len_sentences_pair(self) -> int:
        """The most pieces that the two texts of a pair may have together."""
        return self.max_length - self.num_special_tokens_to_add(pair=True)

    @property
    def cls_token(self) -> str:
        """The token that a row begins with."""
        return self.vocabulary.classify

    @property
    def cls_token_id(self) -> int:
        """The id of the token that a row begins with."""
        return self._id_of(self.cls_token)

    @property
    def sep_token(self) -> str:
        """The token at the end of each text."""
        return self.vocabulary.separate

    @property
    def sep_token_id(self) -> int:
        """The id of the token at the end of each text."""
        return self._id_of(self.sep_token)

    @property
    def pad_token(self) -> str:
        """The token that rows are filled up with."""
        return self.vocabulary.pad

    @property
    def pad_token_id(self) -> int:
        """The id of the token that rows are filled up with."""
        return self._id_of(self.pad_token)

    @property
    def unk_token(self) -> str:
        """The token that stands for what is not in the vocabulary."""
        return self.vocabulary.unknown

    @property
    def unk_token_id(self) -> int:
        """The id of the token that stands for what is not in the vocabulary."""
        return self._id_of(self.unk_token)

    @property
    def mask_token(self) -> str | None:
        """The token that masked language models fill; None where the vocabulary has none."""
        return self.vocabulary.mask if self.vocabulary.mask in self.vocabulary.ids else None

    @property
    def mask_token_id(self) -> int | None:
        """The id of the token that masked language models fill; None where the vocabulary has none."""
        return None if self.mask_token is None else self._id_of(self.mask_token)

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The special tokens by the names of their attributes."""
        pieces = {name: getattr(self.vocabulary, role) for name, role in _ROLES.items()}
        return {name: piece for name, piece in pieces.items() if piece in self.vocabulary.ids}

    @property
    def all_special_tokens(self) -> list[str]:
        """The special tokens, each once, and the added tokens that are special."""
        added = [token.content for token in self.vocabulary.added if token.special]
        return list(dict.fromkeys([*self.special_tokens_map.values(), *added]))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`."""
        return [self._id_of(piece) for piece in self.all_special_tokens]

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """The number of special tokens in the row of one text, or of a pair."""
        return 2 + self.vocabulary.framed.between * pair

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """The row of a text's ids, or of a pair's: `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`."""
        classify, separate = self.cls_token_id, self.sep_token_id
        row = [classify, *token_ids_0, separate]
        if token_ids_1 is None:
            return row
        return [*row, *[separate] * (self.vocabulary.framed.between - 1), *token_ids_1, separate]

    def create_token_type_ids_from_sequences(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """The type ids of what `build_inputs_with_special_tokens` makes."""
        frame = self.vocabulary.framed
        if token_ids_1 is None:
            return [0] * (len(token_ids_0) + 2)
        return [0] * (len(token_ids_0) + 1 + frame.between) + [frame.second_type] * (len(token_ids_1) + 1)

    def get_special_tokens_mask(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None, already_has_special_tokens: bool = False
    ) -> list[int]:
        """1 for each special token, else 0, in the row that `build_inputs_with_special_tokens` would make.

        With `already_has_special_tokens` the ids are a row already, and those of special tokens in a text count, too.
        """
        if already_has_special_tokens:
            if token_ids_1 is not None:
                raise InputError("ids that have their special tokens already are one row: pass no token_ids_1")
            special = {*self.all_special_ids}
            return [int(int(index) in special) for index in token_ids_0]
        mask = [1, *[0] * len(token_ids_0), 1]
        if token_ids_1 is None:
            return mask
        return [*mask, *[1] * (self.vocabulary.framed.between - 1), *[0] * len(token_ids_1), 1]

    def _id_of(self, piece: str) -> int:
        return self.vocabulary.ids[piece]
