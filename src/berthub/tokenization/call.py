"""One call of a tokenizer: its texts become rows, and these the values that it was asked for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from berthub.errors import InputError
from berthub.tokenization.assemble import Segments
from berthub.tokenization.call_options import CallOptions
from berthub.tokenization.called import AlignedRow, TokenizedTexts
from berthub.tokenization.padding import fills, padded, rounded_up, row_lists
from berthub.tokenization.rows import Given, Pieces, Rows, numbers_of_words, pieces_of
from berthub.tokenization.tensors import to_tensor
from berthub.tokenization.windows import Limits, Windows, windows

if TYPE_CHECKING:
    from berthub.tokenization.calling import Calling

__all__ = ["Call"]


@dataclass(frozen=True, eq=False, repr=False)
class Call:
    """A call of a tokenizer: the pieces of its texts, and which of them stand in which row.

    `limit` is the length to which it truncates and pads, and `width` the one to which rows are padded, or None.
    """

    tokenizer: "Calling"
    options: CallOptions
    given: Given
    pieces: tuple[Pieces, Pieces]
    windows: Windows
    rows: Rows
    width: int | None

    @classmethod
    def of(cls, tokenizer: "Calling", text: Any, text_pair: Any, options: CallOptions) -> Self:
        """The call with these texts and options; `InputError` for texts that are none, or do not fit the options."""
        given = Given.of(text, text_pair, split=options.is_split_into_words)
        limit = _limit(tokenizer, given, options)
        if options.strategy is not None and options.truncates_on == "right" and not options.return_overflowing_tokens:
            given = given.shortened(lambda texts: tokenizer._beginnings(texts, limit))
        pieces = _pieces(tokenizer, given, offsets=options.return_offsets_mapping)
        first, second = (each.segments.lengths for each in pieces)
        found = windows(first, second, given.has_second, _limits(tokenizer, limit, options))
        rows = _rows(tokenizer, given, pieces, found, options)
        return cls(tokenizer, options, given, pieces, found, rows, _width(rows, limit, options))

    @property
    def truncation(self) -> str | None:
        """What is to be said of truncated texts; None where nothing is lost, or was asked for."""
        count = int(self.windows.truncated.sum())
        if not count or not self.options.unsaid or self.options.return_overflowing_tokens:
            return None
        return (
            f"{count:,} of {len(self.given.first):,} texts had more than max_length={self.options.max_length} tokens "
            "and were truncated; truncation=True says that they should be, truncation=False keeps them whole"
        )

    def result(self) -> TokenizedTexts:
        """The values that were asked for."""
        options, tokens, framework = self.options, self.rows.tokens, self.options.return_tensors
        ragged: dict[str, npt.NDArray[Any]] = {"input_ids": tokens.ids}
        if options.return_token_type_ids is not False:
            ragged["token_type_ids"] = tokens.type_ids
        if options.return_attention_mask is not False:
            ragged["attention_mask"] = np.ones_like(tokens.ids)
        if options.return_special_tokens_mask:
            ragged["special_tokens_mask"] = self.rows.places.special.astype(np.int32)
        if options.return_offsets_mapping and tokens.offsets is not None:
            ragged["offset_mapping"] = tokens.offsets
        fill = fills(self.tokenizer.pad_token_id)
        values = {name: self._shaped(flat, fill[name]) for name, flat in ragged.items()}
        if framework is None and "offset_mapping" in values:
            values["offset_mapping"] = [[*map(tuple, row)] for row in values["offset_mapping"]]
        numbers: dict[str, npt.NDArray[np.int64]] = {}
        if options.return_length:
            numbers["length"] = tokens.lengths if self.width is None else np.full(len(tokens), self.width)
        if options.return_overflowing_tokens:
            numbers["overflow_to_sample_mapping"] = self.windows.samples
        for name, array in numbers.items():
            values[name] = array.tolist() if framework is None else to_tensor(array.astype(np.int32), framework)
        if self.given.single and framework is None and not options.return_overflowing_tokens:
            values = {name: value[0] if isinstance(value[0], list) else value for name, value in values.items()}
        return TokenizedTexts.made(values, self.aligned)

    def _shaped(self, flat: npt.NDArray[Any], fill: int) -> Any:
        """A value of all tokens as lists of rows, or as a tensor."""
        splits, framework = self.rows.tokens.row_splits, self.options.return_tensors
        if self.width is None:
            return row_lists(flat, splits)
        array = padded(flat, splits, width=self.width, value=fill, side=self.options.pads_on)
        return array.tolist() if framework is None else to_tensor(array, framework)

    def aligned(self) -> list[AlignedRow]:
        """What the tokens of each row stand for."""
        pieces, rows = self.pieces, self.rows
        if rows.tokens.offsets is None:
            pieces = _pieces(self.tokenizer, self.given, offsets=True)
            rows = _rows(self.tokenizer, self.given, pieces, self.windows, self.options)
        assert rows.tokens.offsets is not None, "the pieces were made with offsets"
        vocabulary = self.tokenizer.vocabulary
        sequences, words = np.full((2, len(rows.tokens.ids)), -1)
        texts = (self.given.first, self.given.second)
        for sequence, places in enumerate((rows.places.first, rows.places.second)):
            sequences[places] = sequence
            ranges = (self.windows.first, self.windows.second)[sequence]
            source = self.windows.source(pieces[sequence].segments.lengths, ranges)
            words[places] = numbers_of_words(pieces[sequence], texts[sequence], vocabulary)[source]
        flat = (rows.tokens.ids, sequences, words, rows.tokens.offsets)
        columns = [row_lists(values, rows.tokens.row_splits) for values in flat]
        return [self._aligned_row(*row) for row in zip(*columns, strict=True)]

    def _aligned_row(
        self, ids: list[int], sequences: list[int], words: list[int], offsets: list[list[int]]
    ) -> AlignedRow:
        missing = 0 if self.width is None else self.width - len(ids)
        left = self.options.pads_on == "left"

        def filled(row: list[Any], value: Any) -> list[Any]:
            return [value] * missing + row if left else row + [value] * missing

        pieces = self.tokenizer.vocabulary.pieces
        return AlignedRow(
            tokens=filled([pieces[index] for index in ids], self.tokenizer.pad_token),
            sequence_ids=filled([None if number < 0 else number for number in sequences], None),
            word_ids=filled([None if number < 0 else number for number in words], None),
            offsets=filled([(start, end) for start, end in offsets], (0, 0)),
        )


def _limit(tokenizer: "Calling", given: Given, options: CallOptions) -> int:
    """The length to which a call truncates and pads; `InputError` where it is none."""
    if options.max_length is None:
        limit = tokenizer.max_length
    else:
        pairs = bool(given.second) and options.strategy is not None
        least = tokenizer.num_special_tokens_to_add(pairs) if options.add_special_tokens else 1
        limit = tokenizer.checked_length(options.max_length, least=least)
    multiple = options.pad_to_multiple_of
    if multiple is not None and options.pad is not None and options.strategy is not None and limit % multiple:
        raise InputError(
            f"texts are truncated to {limit} tokens, which is no multiple of pad_to_multiple_of={multiple}: choose a "
            "max_length that is one"
        )
    return limit


def _limits(tokenizer: "Calling", limit: int, options: CallOptions) -> Limits | None:
    """How rows are truncated; None: not at all."""
    if options.strategy is None:
        return None
    single, pair = (tokenizer.num_special_tokens_to_add(pairs) for pairs in (False, True))
    return Limits(
        max_length=limit,
        special=single if options.add_special_tokens else 0,
        between=pair - single if options.add_special_tokens else 0,
        strategy=options.strategy,
        side=options.truncates_on,
        larger_half="longer" if tokenizer.tokenization == "transformers" else "first",
        stride=options.stride if options.return_overflowing_tokens else None,
    )


def _pieces(tokenizer: "Calling", given: Given, *, offsets: bool) -> tuple[Pieces, Pieces]:
    first = pieces_of(tokenizer, given.first, split=given.split, offsets=offsets)
    if given.second:
        return first, pieces_of(tokenizer, given.second, split=given.split, offsets=offsets)
    rows = len(given.first)
    places = np.zeros((0, 2), np.int32) if offsets else None
    return first, Pieces(Segments(np.zeros(0, np.int32), np.zeros(rows, np.int64), places), np.zeros(0, np.int64))


def _rows(
    tokenizer: "Calling", given: Given, pieces: tuple[Pieces, Pieces], found: Windows, options: CallOptions
) -> Rows:
    first, second = (each.segments for each in pieces)
    special = options.add_special_tokens
    return Rows.of(first, second, given.has_second, found, template=tokenizer._template, special=special)


def _width(rows: Rows, limit: int, options: CallOptions) -> int | None:
    """The length to which rows are padded; None: not at all."""
    lengths = rows.tokens.lengths
    longest = int(lengths.max(initial=0))
    if options.pad is not None:
        multiple = options.pad_to_multiple_of
        return rounded_up(longest, multiple) if options.pad == "longest" else max(rounded_up(limit, multiple), longest)
    if options.return_tensors is None:
        return None
    if (lengths != longest).any():
        raise InputError("texts of different lengths make no tensor: pass padding=True, or return_tensors=None")
    return longest
