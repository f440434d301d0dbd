"""A model's vocabulary: its pieces in the order of their ids, the five special ones by role, and its algorithm."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from berthub.cached import cached_property
from berthub.errors import CheckpointError, InputError

__all__ = [
    "ALGORITHMS",
    "BERT_FRAME",
    "CONTINUED",
    "PIPELINES",
    "ROBERTA_FRAME",
    "AddedToken",
    "Algorithm",
    "Frame",
    "Vocabulary",
]

Algorithm = Literal["bpe", "byte_bpe", "sentencepiece", "unigram", "wordpiece"]
"""How words are split into pieces: BERT's WordPiece (Wu et al., 2016, https://arxiv.org/abs/1609.08144), SentencePiece
(Kudo and Richardson, 2018, https://arxiv.org/abs/1808.06226) as in ALBERT, or byte-pair encoding of UTF-8 bytes as in
GPT-2 and RoBERTa (Radford et al., 2019). `unigram` (XLM-RoBERTa, CamemBERT, DeBERTa-v2 ...) and `bpe` (ModernBERT ...)
are SentencePiece's unigram model and byte-pair encoding in a pipeline of Hugging Face's tokenizers library, whose
normalizer and pre-tokenizer the vocabulary brings."""

ALGORITHMS: tuple[str, ...] = get_args(Algorithm)

PIPELINES = ("bpe", "unigram")
"""The algorithms that run in a pipeline which the vocabulary describes."""

CONTINUED = "##"
"""What a WordPiece that continues a word begins with."""

# The share of pieces with capitals from which on a vocabulary is one of cased text.
_CASED = 0.1


@dataclass(frozen=True, kw_only=True)
class AddedToken:
    """A piece that is looked for in a text before it is split into words, as in Hugging Face's tokenizers library.

    `single_word`: only where no letter or digit stands beside it. `lstrip` and `rstrip`: blanks at its left or right
    belong to it. `normalized`: it is looked for in the text after lower-casing and the like. `special`: it is no part
    of the text, such as `[MASK]`.
    """

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = True
    special: bool = False


@dataclass(frozen=True)
class Frame:
    """The special pieces around texts, such as `[CLS] a [SEP] b [SEP]`.

    `between` is the number of separators between the two texts of a pair, and `second_type` the type id of the second
    text and of the separator after it.
    """

    between: int = 1
    second_type: int = 1


BERT_FRAME = Frame()
"""`[CLS] a [SEP] b [SEP]`, with types 0 and 1."""

ROBERTA_FRAME = Frame(between=2, second_type=0)
"""`<s> a </s></s> b </s>`, with types all 0."""


@dataclass(frozen=True)
class Vocabulary:
    """The pieces of a vocabulary; a piece's id is its index.

    `unknown`, `classify`, `separate`, `pad` and `mask` are the pieces that play these roles; each of the first four
    must be among `pieces`, else `CheckpointError` (`mask` may be absent: only masked language modelling needs it).
    `model` is what `algorithm` needs beside the pieces: for sentencepiece the bytes of its model file, for byte_bpe the
    lines of `merges.txt`, for unigram and bpe the pipeline as JSON (`formats/pipelines.py`); nothing for wordpiece.
    `added` are the added tokens of a Hugging Face folder, which only the
    tokenization `transformers` looks for; each is among `pieces`. The last `appended` pieces are not the algorithm's:
    they are in a text only as added tokens. `frame` None means RoBERTa's for byte_bpe, and BERT's for all others.
    """

    pieces: tuple[str, ...]
    unknown: str = "[UNK]"
    classify: str = "[CLS]"
    separate: str = "[SEP]"
    pad: str = "[PAD]"
    mask: str = "[MASK]"
    algorithm: Algorithm = "wordpiece"
    model: bytes = field(default=b"", repr=False)
    added: tuple[AddedToken, ...] = ()
    appended: int = 0
    frame: Frame | None = None

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
        if unknown := [token.content for token in self.added if token.content not in self.ids]:
            raise CheckpointError(f"the added tokens {', '.join(unknown)} are not in the vocabulary")
        if not 0 <= self.appended < len(self.pieces):
            raise CheckpointError(f"{self.appended} of the {len(self.pieces):,} pieces are said to be appended")

    @classmethod
    def with_special(
        cls,
        pieces: tuple[str, ...],
        special: Mapping[str, str],
        *,
        algorithm: Algorithm = "wordpiece",
        model: bytes = b"",
        added: tuple[AddedToken, ...] = (),
        appended: int = 0,
        frame: Frame | None = None,
    ) -> Self:
        """The vocabulary whose special pieces stand in a mapping by role; roles that it leaves out have BERT's."""
        return cls(pieces, **special, algorithm=algorithm, model=model, added=added, appended=appended, frame=frame)

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

    @property
    def framed(self) -> Frame:
        """What stands around texts."""
        return self.frame or (ROBERTA_FRAME if self.algorithm == "byte_bpe" else BERT_FRAME)

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Each piece's id. Where a piece stands twice the later line counts, as in Google's `load_vocab`."""
        return {piece: index for index, piece in enumerate(self.pieces)}

    @cached_property
    def own_ids(self) -> Mapping[str, int]:
        """Each piece's id, of the algorithm's own pieces: without the appended ones."""
        return {piece: index for index, piece in enumerate(self.pieces[: len(self.pieces) - self.appended])}

    def with_added(self, tokens: Iterable[str | AddedToken], *, special: bool = False) -> Self:
        """The vocabulary with more added tokens; those that are no pieces get the next ids, in their order.

        `special` is for tokens given as strings. `InputError` for tokens that are none, and for ALBERT's SentencePiece,
        which has no place for them.
        """
        if isinstance(tokens, str | AddedToken) or not isinstance(tokens, Iterable):
            raise InputError(f"tokens are a list of str or berthub.vocabulary.AddedToken, not {tokens!r:.80}")
        if self.algorithm == "sentencepiece":
            raise InputError("a vocabulary of ALBERT's SentencePiece takes no added tokens: its model file has none")
        # Where there are none, the special pieces are looked for in texts.
        usual = tuple(AddedToken(content=piece, normalized=False, special=True) for piece in self.special)
        found = {token.content: token for token in self.added or usual}
        for token in tokens:
            if isinstance(token, str):
                token = AddedToken(content=token, normalized=not special, special=special)
            if not isinstance(token, AddedToken) or not isinstance(token.content, str) or not token.content.strip():
                raise InputError(f"an added token is a str with more than blanks, or an AddedToken, not {token!r:.80}")
            found[token.content] = token
        appended = tuple(content for content in found if content not in self.ids)
        return dataclasses.replace(
            self, pieces=self.pieces + appended, added=tuple(found.values()), appended=self.appended + len(appended)
        )

    @cached_property
    def share_of_capitals(self) -> float:
        """The share, 0 to 1, of pieces with a capital among those whose letters have two cases.

        Special and bracketed pieces, such as `[CLS]` and `[unused1]`, do not count. Lower-casing text can never produce
        a piece with a capital. Vocabularies of lower-cased text have none, those of cased text some 30%.
        """
        special = {*self.special, *(token.content for token in self.added)}
        words = [piece for piece in self.pieces if piece not in special and not _is_bracketed(piece)]
        lettered = [piece for piece in words if piece.lower() != piece.upper()]
        return sum(piece != piece.lower() for piece in lettered) / max(1, len(lettered))

    @property
    def looks_cased(self) -> bool:
        """Whether the vocabulary was made for cased text: a few words that somebody added do not make it so."""
        return self.share_of_capitals >= _CASED


def _is_bracketed(piece: str) -> bool:
    return (piece[:1], piece[-1:]) in (("[", "]"), ("<", ">"))
