"""Segments of token ids become padded model inputs, as in `bert_pack_inputs` of TF Hub's preprocessing models."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.errors import InputError
from berthub.networks.interface import INPUTS
from berthub.tokenization.assemble import Segments, Template, assemble
from berthub.tokenization.tokens import Tokens, pad_rows
from berthub.vocabulary import Vocabulary

__all__ = ["pack", "padded_inputs", "to_segments"]


def pack(first: Segments, second: Segments | None, *, seq_length: int, vocabulary: Vocabulary) -> Tokens:
    """`[CLS] a [SEP]` or, with `second`, `[CLS] a [SEP] b [SEP]` (`Template`), truncated to `seq_length` tokens.

    Two segments that do not fit are given places turn by turn until these are used up, the first segment first, as
    TensorFlow Text's `RoundRobinTrimmer` does. `InputError` for segments of different numbers of rows.
    """
    rows = len(first.lengths)
    if second is not None and len(second.lengths) != rows:
        raise InputError(f"the two segments must have as many rows; they have {rows:,} and {len(second.lengths):,}")
    nothing = Segments(np.zeros(0, np.int32), np.zeros(rows, np.int64), None)
    # To give turn by turn and to take from the longer one come to the same, for two segments.
    return assemble(
        first,
        nothing if second is None else second,
        np.full(rows, second is not None),
        template=Template.of(vocabulary),
        max_length=seq_length,
    )


def padded_inputs(tokens: Tokens, *, seq_length: int, vocabulary: Vocabulary) -> dict[str, npt.NDArray[np.int32]]:
    """TF Hub's inputs, int32 [n, seq_length] each: input_word_ids, input_mask and input_type_ids."""
    flat = (tokens.ids, np.ones_like(tokens.ids), tokens.type_ids)
    fills = (vocabulary.ids[vocabulary.pad], 0, 0)
    return {
        name: pad_rows(values, tokens.row_splits, width=seq_length, value=fill)
        for name, values, fill in zip(INPUTS, flat, fills, strict=True)
    }


def to_segments(rows: Any, *, vocabulary_size: int) -> Segments:
    """A ragged batch of ids [n, (pieces)], or [n, (words), (pieces)] whose words are joined, as `Segments`.

    `InputError` for anything but whole numbers that are ids of the vocabulary.
    """
    if not _is_row(rows):
        raise InputError(f"a segment is a list with a list of token ids for each text, not {rows!r}")
    flat = [_joined(row, index) for index, row in enumerate(rows)]
    lengths = np.fromiter(map(len, flat), np.int64, len(flat))
    ids = np.array(list(itertools.chain.from_iterable(flat)))
    if not len(ids):
        return Segments(np.zeros(0, np.int32), lengths, None)
    if ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= vocabulary_size:
        raise InputError(
            f"token ids are whole numbers from 0 to {vocabulary_size - 1:,}, the vocabulary's; "
            + (f"these go from {ids.min():,} to {ids.max():,}" if ids.dtype.kind in "iu" else f"these are {ids.dtype}")
        )
    return Segments(ids.astype(np.int32), lengths, None)


def _joined(row: Any, index: int) -> Sequence[Any]:
    if _is_row(row):
        words = [_is_row(entry) for entry in row]
        if not any(words):
            return row  # type: ignore[no-any-return]
        if all(words):
            return list(itertools.chain.from_iterable(row))
    raise InputError(f"row {index} of a segment is {row!r}, neither a list of token ids nor a list of lists of them")


def _is_row(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes) and getattr(value, "ndim", 1) > 0
