"""The part of a tokenizer that is called: texts become ids, masks and offsets, as transformers' `BertTokenizer`."""

import abc
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from berthub.errors import InputError, TruncationWarning
from berthub.tokenization.absent import refuse_name
from berthub.tokenization.arguments import Text, chosen
from berthub.tokenization.assemble import Segments, Template
from berthub.tokenization.call import Call
from berthub.tokenization.call_options import PADDINGS, CallOptions, checked_multiple, checked_side
from berthub.tokenization.called import TokenizedTexts
from berthub.tokenization.decoding import Decoding
from berthub.tokenization.padding import padded_again
from berthub.tokenization.tensors import check_framework

__all__ = ["Calling"]


class Calling(Decoding):
    """The part of a tokenizer that is called as transformers' `BertTokenizer`."""

    _template: Template

    @abc.abstractmethod
    def segments(self, texts: list[str], *, offsets: bool = False) -> Segments:
        """The bare pieces of strings, without `[CLS]` and `[SEP]`, of any length."""

    @property
    @abc.abstractmethod
    def words_need_blanks(self) -> bool:
        """Whether blanks belong to pieces, so that a word in a sentence is to be tokenized with the one before it."""

    @abc.abstractmethod
    def _beginnings(self, texts: list[str], limit: int) -> list[str]:
        """The texts, each shortened to a beginning that has its first `limit` pieces."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            refuse_name(name)

    def __call__(
        self,
        text: str | Sequence[Text],
        text_pair: str | Sequence[str] | None = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        truncation_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        **others: Any,
    ) -> TokenizedTexts:
        """Tokenize as transformers' `BertTokenizer` did: `input_ids`, `token_type_ids` and `attention_mask`.

        `padding` is False, True (or "longest") or "max_length"; `truncation` True (or "longest_first"), "only_first" or
        "only_second" truncates to `max_length`, by default the model's. Left out, it is False, unless `max_length` is
        given and `padding` is not: then texts are truncated, and a `TruncationWarning` counts them.
        `return_overflowing_tokens` makes further rows of what is truncated, which begin with `stride` tokens of the row
        before; `overflow_to_sample_mapping` says which text a row belongs to. With `is_split_into_words` a text is a
        list of words, and offsets are those in its word. `return_tensors` is None for lists, or "np", "tf", "jax"
        (int32 [n, s]) or "pt" (int64 [n, s]). One text without `return_tensors` gives plain lists, without the outer
        one. The result also says what tokens stand for (`TokenizedTexts`).
        """
        options = CallOptions.of(
            {
                "add_special_tokens": add_special_tokens,
                "padding": padding,
                "truncation": truncation,
                "max_length": max_length,
                "stride": stride,
                "is_split_into_words": is_split_into_words,
                "pad_to_multiple_of": pad_to_multiple_of,
                "padding_side": padding_side,
                "truncation_side": truncation_side,
                "return_tensors": return_tensors,
                "return_token_type_ids": return_token_type_ids,
                "return_attention_mask": return_attention_mask,
                "return_overflowing_tokens": return_overflowing_tokens,
                "return_special_tokens_mask": return_special_tokens_mask,
                "return_offsets_mapping": return_offsets_mapping,
                "return_length": return_length,
                **others,
            },
            stacklevel=3,
        )
        return self._called(text, text_pair, options, stacklevel=3)

    def encode_plus(self, text: Any, text_pair: Any = None, **options: Any) -> TokenizedTexts:
        """What the call makes of one text, or of one pair; the options are the call's."""
        found = CallOptions.of(options, stacklevel=3)
        self._check_one(text, found, "encode_plus")
        return self._called(text, text_pair, found, stacklevel=3)

    def batch_encode_plus(self, batch_text_or_text_pairs: Sequence[Any], **options: Any) -> TokenizedTexts:
        """What the call makes of a list of texts, or of pairs; the options are the call's."""
        if isinstance(batch_text_or_text_pairs, str):
            raise InputError("batch_encode_plus takes a list of texts, and this is one: encode_plus takes it")
        return self._called(batch_text_or_text_pairs, None, CallOptions.of(options, stacklevel=3), stacklevel=3)

    def encode(self, text: Any, text_pair: Any = None, **options: Any) -> Any:
        """The ids of one text, or of one pair, with special tokens; the options are the call's."""
        found = CallOptions.of(options, stacklevel=3)
        self._check_one(text, found, "encode")
        return self._called(text, text_pair, found, stacklevel=3)["input_ids"]

    def tokenize(self, text: str, pair: str | None = None, add_special_tokens: bool = False) -> list[str]:
        """The pieces of one text, or of a pair, without `[CLS]` and `[SEP]` unless `add_special_tokens`."""
        if not isinstance(text, str) or not isinstance(pair, str | None):
            raise InputError(f"tokenize takes one text, and this is of type {type(text).__name__}: {text!r:.60}")
        options = CallOptions(add_special_tokens=add_special_tokens)
        ids: list[int] = self._called(text, pair, options, stacklevel=3)["input_ids"]
        return self.convert_ids_to_tokens(ids)

    def pad(
        self,
        encoded_inputs: Any,
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        **others: Any,
    ) -> TokenizedTexts:
        """Fill up what the call made, or a list of such, as a collator of PyTorch's `DataLoader` does.

        To the longest row, or with padding="max_length" to `max_length`, by default the model's. Values that are none
        of tokens, such as labels, stay as they are. `return_tensors` None gives what was given: lists, or tensors.
        """
        others.pop("verbose", None)
        if others:
            raise InputError(f"pad has no option {', '.join(others)}")
        if return_tensors is not None:
            check_framework(return_tensors)
        kind = chosen("padding", padding, PADDINGS)
        limit = self.max_length if max_length is None else max_length
        return padded_again(
            encoded_inputs,
            pad=self.pad_token_id,
            width=limit if kind == "max_length" else None,
            longest=kind == "longest",
            multiple=checked_multiple(pad_to_multiple_of),
            side=checked_side("padding_side", padding_side),
            mask=return_attention_mask is not False,
            return_tensors=return_tensors,
        )

    def _check_one(self, text: Any, options: CallOptions, method: str) -> None:
        if isinstance(text, str) or (options.is_split_into_words and all(isinstance(word, str) for word in text)):
            return
        raise InputError(
            f"{method} takes one text (str), or with is_split_into_words=True a list of words, not {text!r:.80}. For "
            "several texts call the tokenizer; for ids that are known, build_inputs_with_special_tokens makes the row"
        )

    def _called(self, text: Any, text_pair: Any, options: CallOptions, *, stacklevel: int) -> TokenizedTexts:
        """The result of a call. `stacklevel` is that of the public method's caller, seen from here."""
        call = Call.of(self, text, text_pair, options)
        if message := call.truncation:
            warnings.warn(message, TruncationWarning, stacklevel=stacklevel)
        return call.result()
