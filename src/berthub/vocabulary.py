"""A model's vocabulary: its pieces in the order of their ids, the five special ones by role, and how text is cut."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from berthub.cached import cached_property
from berthub.errors import CheckpointError

__all__ = ["ALGORITHMS", "CONTINUED", "Algorithm", "Vocabulary"]

Algorithm = Literal["byte_bpe", "sentencepiece", "wordpiece"]
"""How words are cut into pieces: BERT's WordPiece (Wu et al., 2016, https://arxiv.org/abs/1609.08144), SentencePiece
(Kudo and Richardson, 2018, https://arxiv.org/abs/1808.06226), or byte-pair encoding of UTF-8 bytes as in GPT-2 and
RoBERTa (Radford et al., 2019)."""

ALGORITHMS: tuple[str, ...] = get_args(Algorithm)

CONTINUED = "##"
"""What a WordPiece that continues a word begins with."""


@dataclass(frozen=True)
class Vocabulary:
    """The pieces of a vocabulary; a piece's id is its index.

    `unknown`, `classify`, `separate`, `pad` and `mask` are the pieces that play these roles; each of the first four
    must be among `pieces`, else `CheckpointError` (`mask` may be absent: only masked language modelling needs it).
    `model` is what `algorithm` needs beside the pieces: for sentencepiece the bytes of its model file, for byte_bpe the
    lines of `merges.txt`; nothing for wordpiece.
    """

    pieces: tuple[str, ...]
    unknown: str = "[UNK]"
    classify: str = "[CLS]"
    separate: str = "[SEP]"
    pad: str = "[PAD]"
    mask: str = "[MASK]"
    algorithm: Algorithm = "wordpiece"
    model: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS or bool(self.model) == (self.algorithm == "wordpiece"):
            raise CheckpointError(
                f"a vocabulary for {self.algorithm!r} with a model of {len(self.model)} bytes: the algorithm must be "
                f"one of {', '.join(ALGORITHMS)}, and all but wordpiece need a model"
            )
        missing = [piece for piece in self.required if piece not in self.ids]
        if missing:
            raise CheckpointError(
                f"the vocabulary of {len(self.pieces):,} pieces lacks {', '.join(missing)}; "
                "the special pieces must be among them, one of each"
            )

    @classmethod
    def with_special(
        cls,
        pieces: tuple[str, ...],
        special: Mapping[str, str],
        *,
        algorithm: Algorithm = "wordpiece",
        model: bytes = b"",
    ) -> Self:
        """The vocabulary whose special pieces stand in a mapping by role; roles that it leaves out have BERT's."""
        return cls(pieces, **special, algorithm=algorithm, model=model)

    def __getstate__(self) -> dict[str, Any]:
        # What is computed when it is needed would double a pickle.
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __repr__(self) -> str:
        return f"<Vocabulary of {len(self.pieces):,} pieces for {self.algorithm}>"

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

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Each piece's id. Where a piece stands twice the later line counts, as in Google's `load_vocab`."""
        return {piece: index for index, piece in enumerate(self.pieces)}

    @cached_property
    def has_upper_case(self) -> bool:
        """Whether any piece holds an upper-case letter, bracketed ones such as `[CLS]` and `[unused1]` aside.

        Lower-casing text can never produce such a piece, so a vocabulary that has them was made for cased text.
        """
        special = {*self.special}
        return any(
            piece != piece.lower() and piece not in special and not (piece[0] == "[" and piece[-1] == "]")
            for piece in self.pieces
        )
