"""Tokenization as in ALBERT: normalization, then SentencePiece (Kudo and Richardson, 2018).

The paper: https://arxiv.org/abs/1808.06226.
"""

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sentencepiece import SentencePieceProcessor

from berthub.choices import Tokenization
from berthub.errors import CheckpointError
from berthub.tokenization.assemble import Segments, ranges
from berthub.tokenization.blanks import around_blanks
from berthub.tokenization.normalization import Aligned, Normalizer
from berthub.tokenization.pipeline import without_surrogates
from berthub.tokenization.threads import thread_count
from berthub.vocabulary import Vocabulary

__all__ = ["SentencePiece"]

Ints = npt.NDArray[np.int64]

_BLANK = "\u2581"
# For fewer texts the library's threads take longer to start than to work.
_FEW = 16

# An id, and where the piece begins and ends in the normalized text.
_Piece = tuple[int, int, int]


class SentencePiece:
    """Tokenizes as ALBERT's tokenization.py, or as TF Hub's preprocessing models; see `Normalizer`.

    Offsets leave blanks out: a piece that is a blank alone has an empty range.
    """

    def __init__(
        self, vocabulary: Vocabulary, *, lower_case: bool, strip_accents: bool, tokenization: Tokenization
    ) -> None:
        self._normalizer = Normalizer(tokenization, lower_case=lower_case, strip_accents=strip_accents)
        try:
            self._processor = SentencePieceProcessor(model_proto=vocabulary.model)
        except RuntimeError as error:
            raise CheckpointError(f"the SentencePiece model cannot be used: {error}") from error
        if len(vocabulary) != self._processor.vocab_size():
            raise CheckpointError(
                f"the vocabulary has {len(vocabulary):,} pieces, and its SentencePiece model "
                f"{self._processor.vocab_size():,}; they must be the same"
            )
        resplit = [tokenization == "google" and _is_number_with_comma(piece) for piece in vocabulary.pieces]
        # Without a comma of its own, one is part of an unknown piece.
        resplit[self._processor.unk_id()] = tokenization == "google" and "," not in vocabulary.ids
        self._resplit = np.array(resplit) if any(resplit) else None
        self._sizes = np.array([len(piece.replace(_BLANK, "")) for piece in vocabulary.pieces])
        # It may stand for more or fewer characters than its name has.
        self._sizes[self._processor.unk_id()] = 0

    def segments(self, texts: list[str], *, offsets: bool) -> Segments:
        """The bare pieces of texts."""
        if not texts:
            return Segments(
                np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros((0, 2), np.int32) if offsets else None
            )
        texts = [*map(without_surrogates, texts)]
        if offsets:
            return self._aligned_segments(texts)
        normalized = [*map(self._normalizer, texts)]
        rows = self._encode_all(normalized, int)
        segments = _segments(rows)
        again = self._rows_to_resplit(segments)
        if not len(again):
            return segments
        for index in again.tolist():
            rows[index] = [number for number, _, _ in self._pieces(normalized[index])]
        return _segments(rows)

    def _aligned_segments(self, texts: list[str]) -> Segments:
        aligned = [*map(self._normalizer.align, texts)]
        found = self._encode_all([text.text for text in aligned], "offset_mapping")
        rows = [row["offsets"] for row in found]
        segments = _segments([row["ids"] for row in found])
        again = self._rows_to_resplit(segments)
        if len(again):
            ids = [row["ids"] for row in found]
            for index in again.tolist():
                pieces = self._pieces(aligned[index].text)
                ids[index] = [number for number, _, _ in pieces]
                rows[index] = [(begin, end) for _, begin, end in pieces]
            segments = _segments(ids)
        flat = itertools.chain.from_iterable(itertools.chain.from_iterable(rows))
        places = np.fromiter(flat, np.int64, 2 * len(segments.ids)).reshape(-1, 2)
        self._widen(places, segments, aligned)
        return Segments(segments.ids, segments.lengths, _original_places(places, segments.lengths, texts, aligned))

    def _encode_all(self, texts: list[str], form: type[int] | Literal["offset_mapping"]) -> list[Any]:
        if len(texts) < _FEW:
            return [self._processor.encode(text, return_type=form) for text in texts]
        rows: list[Any] = self._processor.encode(texts, return_type=form, num_threads=thread_count())
        return rows

    def _rows_to_resplit(self, segments: Segments) -> Ints:
        """The rows with pieces that ALBERT's tokenization.py splits once more."""
        if self._resplit is None:
            return np.zeros(0, np.int64)
        places = np.flatnonzero(self._resplit[segments.ids])
        return np.unique(np.searchsorted(np.cumsum(segments.lengths), places, side="right"))

    def _pieces(self, text: str) -> list[_Piece]:
        """The pieces of a normalized text, after what `encode_pieces` of ALBERT's tokenization.py changes in them."""
        return list(itertools.chain.from_iterable(itertools.starmap(self._without_comma, self._encode(text))))

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

    def _widen(self, places: Ints, segments: Segments, aligned: Sequence[Aligned]) -> None:
        """Put in what the library leaves out: a character of which a piece holds only the first part of several."""
        short = np.flatnonzero(self._sizes[segments.ids] > places[:, 1] - places[:, 0])
        rows = np.searchsorted(np.cumsum(segments.lengths), short, side="right")
        for place, row in zip(short.tolist(), rows.tolist(), strict=True):
            begin, end = places[place].tolist()
            text = aligned[row].text
            if end < len(text):
                piece = self._processor.id_to_piece(int(segments.ids[place])).replace(_BLANK, "")
                places[place, 1] += piece not in self._processor.normalize(text[begin:end])

    def _id(self, piece: str) -> int:
        number: int = self._processor.piece_to_id(piece)
        return number


def _is_number_with_comma(piece: str) -> bool:
    return len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit()


def _segments(rows: Sequence[list[int]]) -> Segments:
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return Segments(np.fromiter(itertools.chain.from_iterable(rows), np.int32, int(lengths.sum())), lengths, None)


def _original_places(
    places: Ints, lengths: Ints, texts: Sequence[str], aligned: Sequence[Aligned]
) -> npt.NDArray[np.int32]:
    """Places in normalized texts as places in the original ones, without the blanks around them: int32 [t, 2].

    None ends before the one ahead of it: what else is made of the same character has all of it, too.
    """
    counts = np.fromiter(map(len, texts), np.int64, len(texts))
    sizes = np.fromiter((len(text.text) for text in aligned), np.int64, len(aligned))
    begins, heads = np.cumsum(counts) - counts, np.cumsum(sizes + 1) - sizes - 1
    # All texts as one; the changed ones with one place more, after the last character.
    starts, ends = np.empty((2, int(sizes.sum()) + len(texts)), np.int64)
    starts[heads + sizes] = begins + counts
    characters, shift = ranges(heads, sizes), np.repeat(begins, sizes)
    starts[characters] = np.concatenate([text.starts for text in aligned]) + shift
    ends[characters + 1] = np.concatenate([text.ends for text in aligned]) + shift

    row_begins = np.repeat(begins, lengths)
    begin, end = (places + np.repeat(heads, lengths)[:, None]).T
    start = starts[begin]
    stop = np.where(begin == end, start, ends[end])
    first, behind = around_blanks("".join(texts))
    start = np.minimum(first[start], stop)
    stop = np.maximum.accumulate(np.maximum(behind[stop], start))
    return np.stack([start - row_begins, stop - row_begins], 1).astype(np.int32)
