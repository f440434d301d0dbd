"""ALBERT's cut: text normalization, then SentencePiece (Kudo and Richardson, 2018, https://arxiv.org/abs/1808.06226)."""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from sentencepiece import SentencePieceProcessor

from berthub.config import Reference
from berthub.errors import CheckpointError
from berthub.tokenization.assemble import Segments
from berthub.tokenization.normalization import Aligned, Normalizer
from berthub.tokenization.pipeline import without_surrogates
from berthub.vocabulary import Vocabulary

__all__ = ["SentencePiece"]

_BLANK = "\u2581"

# An id, and where the piece begins and ends in the normalized text.
_Piece = tuple[int, int, int]


class SentencePiece:
    """Cuts texts as ALBERT's tokenization.py, or as TF Hub's preprocessing models; see `Normalizer`.

    Offsets leave blanks out: a piece that is a blank alone has an empty range.
    """

    def __init__(self, vocabulary: Vocabulary, *, lower_case: bool, strip_accents: bool, reference: Reference) -> None:
        self._normalizer = Normalizer(reference, lower_case=lower_case, strip_accents=strip_accents)
        try:
            self._processor = SentencePieceProcessor(model_proto=vocabulary.model)
        except RuntimeError as error:
            raise CheckpointError(f"the SentencePiece model cannot be used: {error}") from error
        if len(vocabulary) != self._processor.vocab_size():
            raise CheckpointError(
                f"the vocabulary has {len(vocabulary):,} pieces, and its SentencePiece model "
                f"{self._processor.vocab_size():,}; they must be the same"
            )
        recut = [reference == "google" and _is_number_with_comma(piece) for piece in vocabulary.pieces]
        # Without a comma of its own, one is part of an unknown piece.
        recut[self._processor.unk_id()] = reference == "google" and "," not in vocabulary.ids
        self._recut = np.array(recut) if any(recut) else None

    def segments(self, texts: list[str], *, offsets: bool) -> Segments:
        """The bare pieces of texts."""
        texts = [*map(without_surrogates, texts)]
        if offsets:
            return self._aligned_segments(texts)
        normalized = [*map(self._normalizer, texts)]
        # One by one: for lists the library starts threads, which takes longer than the work.
        rows = [*map(self._processor.encode, normalized)]
        if self._recut is not None:
            for index, row in enumerate(rows):
                if self._recut[row].any():
                    rows[index] = [number for number, _, _ in self._pieces(normalized[index])]
        return Segments(_flat(rows), np.fromiter(map(len, rows), np.int64, len(rows)), None)

    def _aligned_segments(self, texts: list[str]) -> Segments:
        rows = [
            _in_order(
                [
                    (number, *self._place(text, aligned, number, begin, end))
                    for number, begin, end in self._pieces(aligned.text)
                ]
            )
            for text, aligned in zip(texts, map(self._normalizer.align, texts), strict=True)
        ]
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        flat = _flat(itertools.chain.from_iterable(rows)).reshape(-1, 3)
        return Segments(flat[:, 0].copy(), lengths, flat[:, 1:].copy())

    def _pieces(self, text: str) -> list[_Piece]:
        """The pieces of a normalized text, after what `encode_pieces` of ALBERT's tokenization.py changes in them."""
        pieces = self._encode(text)
        if self._recut is None:
            return [piece for _, piece in pieces]
        return list(itertools.chain.from_iterable(self._without_comma(name, piece) for name, piece in pieces))

    def _without_comma(self, name: str, piece: _Piece) -> list[_Piece]:
        """The piece, or, of a number with a comma, the pieces of the number and the comma, as in the original."""
        if not _is_number_with_comma(name):
            return [piece]
        _, begin, end = piece
        stem = name[:-1].replace(_BLANK, "")
        parts = self._encode(stem)
        if name[0] != _BLANK and parts and parts[0][0][0] == _BLANK:
            first, (_, start, stop) = parts[0]
            parts[:1] = [] if first == _BLANK else [(first[1:], (self._id(first[1:]), start, stop))]
        shift = end - 1 - len(stem)
        if shift < begin:
            # The model's own normalization made one character of several.
            return [(number, begin, end) for _, (number, _, _) in parts] + [(self._id(","), begin, end)]
        return [
            *((number, shift + start, shift + stop) for _, (number, start, stop) in parts),
            (self._id(","), end - 1, end),
        ]

    def _encode(self, text: str) -> list[tuple[str, _Piece]]:
        found = self._processor.encode(text, return_type="offset_mapping")
        places = zip(found["pieces"], found["ids"], found["offsets"], strict=True)
        return [(name, (number, begin, end)) for name, number, (begin, end) in places]

    def _place(self, text: str, aligned: Aligned, number: int, begin: int, end: int) -> tuple[int, int]:
        piece: str = self._processor.id_to_piece(number).replace(_BLANK, "")
        if number != self._processor.unk_id() and len(piece) > end - begin and end < len(aligned.text):
            # The library leaves out a character of which the piece holds only the first part, such as half a ligature.
            end += piece not in self._processor.normalize(aligned.text[begin:end])
        return _place(text, aligned, begin, end)

    def _id(self, piece: str) -> int:
        number: int = self._processor.piece_to_id(piece)
        return number


def _is_number_with_comma(piece: str) -> bool:
    return len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit()


def _place(text: str, aligned: Aligned, begin: int, end: int) -> tuple[int, int]:
    """Characters of the normalized text as characters of the original, without the blanks around them."""
    if begin == end:
        start = stop = aligned.starts[begin] if begin < len(aligned.starts) else len(text)
    else:
        start, stop = aligned.starts[begin], aligned.ends[end - 1]
    while start < stop and text[start].isspace():
        start += 1
    while start < stop and text[stop - 1].isspace():
        stop -= 1
    return start, stop


def _in_order(pieces: list[_Piece]) -> list[_Piece]:
    """None ends before the one that it follows: what else is made of the same character has all of it, too."""
    ends = itertools.accumulate((end for _, _, end in pieces), max)
    return [(number, begin, end) for (number, begin, _), end in zip(pieces, ends, strict=True)]


def _flat(rows: Iterable[Iterable[int]]) -> Any:
    return np.fromiter(itertools.chain.from_iterable(rows), np.int32)
