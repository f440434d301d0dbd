"""Predict the pieces for `[MASK]` with a masked-language model."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from tokenizers import decoders

from berthub.checkpoint import Checkpoint
from berthub.encoding.prediction import softmax
from berthub.engines.engine import Engine, Floats, PaddedBatch
from berthub.errors import InputError
from berthub.networks.outputs import Output
from berthub.tokenization.tokenizer import Tokenizer
from berthub.vocabulary import CONTINUED, Vocabulary

__all__ = ["Filling", "Masked", "fill_mask"]

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Filling:
    """A piece in the place of the mask: the piece, its id, its probability, and the text with it."""

    piece: str
    id: int
    probability: float
    text: str


def fill_mask(text: str, *, top_k: int, checkpoint: Checkpoint, tokenizer: Tokenizer, engine: Engine) -> list[Filling]:
    """The `top_k` likeliest pieces for the one mask in `text`, the likeliest first.

    `InputError` for a text with no mask, or with several, for one that is too long, and for a model without the head.
    """
    masked = Masked.of(text, top_k=top_k, checkpoint=checkpoint, tokenizer=tokenizer)
    batch = PaddedBatch(
        ids=masked.ids[None],
        mask=np.ones_like(masked.ids)[None],
        type_ids=np.zeros_like(masked.ids)[None],
        rows=np.zeros(1, np.int64),
        positions=np.array([[masked.position]], np.int32),
    )
    (result,) = engine.run([batch], [masked.wanted])
    return masked.finish(result.outputs[0][0])


@dataclass(frozen=True, eq=False, repr=False)
class Masked:
    """A text with one mask, before and after it is computed: `ids` int32 [s] with the mask at `position`."""

    ids: Ints
    position: int
    wanted: Output
    left: str
    right: str
    top_k: int
    vocabulary: Vocabulary

    @classmethod
    def of(cls, text: str, *, top_k: int, checkpoint: Checkpoint, tokenizer: Tokenizer) -> Self:
        """Tokenize the text; the errors are those of `fill_mask`."""
        wanted = Output(mlm=True).resolved(checkpoint.config)
        vocabulary = checkpoint.vocabulary
        if isinstance(top_k, bool) or not isinstance(top_k, int) or not 1 <= top_k <= len(vocabulary):
            raise InputError(f"top_k must be a whole number from 1 to {len(vocabulary)}, not {top_k!r}")
        if not isinstance(text, str) or text.count(vocabulary.mask) != 1:
            raise InputError(
                f"the text must be a string that holds {vocabulary.mask} once; it is {text!r}. For several masks in a "
                "text call the model with arrays and masked_lm_positions"
            )
        left, right = text.split(vocabulary.mask)
        ids, position = _ids(left, right, tokenizer)
        return cls(ids, position, wanted, left, right, top_k, vocabulary)

    def finish(self, logits: Floats) -> list[Filling]:
        """The likeliest pieces, by the logits at the mask: float32 [1, vocabulary]."""
        vocabulary = self.vocabulary
        # A padded table has rows without a piece, which are no answers.
        probabilities = softmax(logits)[0][: len(vocabulary)]
        best = np.argsort(-probabilities, kind="stable")[: self.top_k].tolist()
        return [
            Filling(
                vocabulary.pieces[index],
                index,
                float(probabilities[index]),
                _filled(self.left, vocabulary.pieces[index], self.right, vocabulary),
            )
            for index in best
        ]


def _ids(left: str, right: str, tokenizer: Tokenizer) -> tuple[Ints, int]:
    """The ids of the text, `[CLS]` and `[SEP]` included, and where the mask stands."""
    vocabulary = tokenizer.vocabulary
    # A blank before the mask belongs to the piece that is looked for.
    pieces = tokenizer.segments([left.rstrip(), right])
    before, after = np.split(pieces.ids, [int(pieces.lengths[0])])
    classify, separate, mask = (
        np.array([vocabulary.ids[piece]], np.int32)
        for piece in (vocabulary.classify, vocabulary.separate, vocabulary.mask)
    )
    ids = np.concatenate([classify, before, mask, after, separate])
    if len(ids) > tokenizer.max_length:
        raise InputError(f"the text has {len(ids):,} tokens; at most {tokenizer.max_length} are taken: shorten it")
    return ids, 1 + len(before)


def _filled(left: str, piece: str, right: str, vocabulary: Vocabulary) -> str:
    match vocabulary.algorithm:
        case "wordpiece":
            # A piece that continues a word is written to it.
            continues = piece.startswith(CONTINUED)
            return left.rstrip() + piece.removeprefix(CONTINUED) + right if continues else left + piece + right
        case "sentencepiece" | "unigram":
            return left.rstrip() + piece.replace("\u2581", " ") + right
        case "bpe" | "byte_bpe":
            return left.rstrip() + str(decoders.ByteLevel().decode([piece])) + right
