"""Predict the pieces for `[MASK]` with a masked-language model."""

from dataclasses import dataclass

import numpy as np
from tokenizers import decoders

from berthub.checkpoint import Checkpoint
from berthub.encoding.prediction import softmax
from berthub.engines.engine import Engine, PaddedBatch
from berthub.errors import InputError
from berthub.networks.outputs import Output
from berthub.tokenization.tokenizer import Tokenizer
from berthub.vocabulary import CONTINUED, Vocabulary

__all__ = ["Filling", "fill_mask"]


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
    wanted = Output(mlm=True).resolved(checkpoint.config)
    vocabulary = checkpoint.vocabulary
    if isinstance(top_k, bool) or not isinstance(top_k, int) or not 1 <= top_k <= len(vocabulary):
        raise InputError(f"top_k must be a whole number from 1 to {len(vocabulary)}, not {top_k!r}")
    if not isinstance(text, str) or text.count(vocabulary.mask) != 1:
        raise InputError(
            f"the text must be a string that holds {vocabulary.mask} once; it is {text!r}. For several masks in a text "
            "call the model with arrays and masked_lm_positions"
        )
    left, right = text.split(vocabulary.mask)
    ids, position = _ids(left, right, tokenizer)
    batch = PaddedBatch(
        ids=ids[None],
        mask=np.ones_like(ids)[None],
        type_ids=np.zeros_like(ids)[None],
        rows=np.zeros(1, np.int64),
        positions=np.array([[position]], np.int32),
    )
    (result,) = engine.run([batch], [wanted])
    # A padded table has rows without a piece, which are no answers.
    probabilities = softmax(result.outputs[0][0])[0][: len(vocabulary)]
    best = np.argsort(-probabilities, kind="stable")[:top_k].tolist()
    return [
        Filling(
            vocabulary.pieces[index],
            index,
            float(probabilities[index]),
            _filled(left, vocabulary.pieces[index], right, vocabulary),
        )
        for index in best
    ]


def _ids(left: str, right: str, tokenizer: Tokenizer) -> tuple[np.ndarray[tuple[int], np.dtype[np.int32]], int]:
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
        case "sentencepiece":
            return left.rstrip() + piece.replace("\u2581", " ") + right
        case "byte_bpe":
            return left.rstrip() + str(decoders.ByteLevel().decode([piece])) + right
