"""A model's vocabulary: its pieces in the order of their ids, and the five special ones by role."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from berthub.errors import CheckpointError

__all__ = ["Vocabulary"]


@dataclass(frozen=True)
class Vocabulary:
    """The pieces of a WordPiece vocabulary; a piece's id is its index.

    `unknown`, `classify`, `separate`, `pad` and `mask` are the pieces that play these roles; each of the first four
    must be among `pieces`, else `CheckpointError` (`mask` may be absent: only masked language modelling needs it).
    """

    pieces: tuple[str, ...]
    unknown: str = "[UNK]"
    classify: str = "[CLS]"
    separate: str = "[SEP]"
    pad: str = "[PAD]"
    mask: str = "[MASK]"

    def __post_init__(self) -> None:
        missing = [piece for piece in self.required if piece not in self.ids]
        if missing:
            raise CheckpointError(
                f"the vocabulary of {len(self.pieces):,} pieces lacks {', '.join(missing)}; "
                "a BERT vocabulary has one piece a line, the special ones among them"
            )

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def required(self) -> tuple[str, ...]:
        """The special pieces that no encoding can do without."""
        return (self.unknown, self.classify, self.separate, self.pad)

    @property
    def special(self) -> tuple[str, ...]:
        """All special pieces that are in the vocabulary."""
        return tuple(piece for piece in (*self.required, self.mask) if piece in self.ids)

    @functools.cached_property
    def ids(self) -> Mapping[str, int]:
        """Each piece's id. Where a piece stands twice the later line counts, as in Google's `load_vocab`."""
        return {piece: index for index, piece in enumerate(self.pieces)}

    @functools.cached_property
    def has_upper_case(self) -> bool:
        """Whether any piece holds an upper-case letter, bracketed ones such as `[CLS]` and `[unused1]` aside.

        Lower-casing text can never produce such a piece, so a vocabulary that has them was made for cased text.
        """
        special = {*self.special}
        return any(
            piece != piece.lower() and piece not in special and not (piece[0] == "[" and piece[-1] == "]")
            for piece in self.pieces
        )
