"""Rows of tokens for the batcher, made of what a request has: texts, ids of tokens, or arrays."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from berthub.config import EncoderConfig
from berthub.encoding.array_call import ArrayCall
from berthub.encoding.prepare import Prepared, rows_of
from berthub.networks.outputs import Output
from berthub.serving.failures import UnprocessableError
from berthub.serving.work import Rows
from berthub.tokenization.assemble import Side
from berthub.tokenization.tokenizer import Text, Tokenizer
from berthub.tokenization.tokens import Tokens
from berthub.vocabulary import Vocabulary

__all__ = ["Truncation", "array_rows", "blank_row", "characters", "prepared_ids", "prepared_texts"]

Truncation = Literal["refuse", "right", "left"]
"""What is done with a text that is too long: it is refused, or its end or its beginning is dropped."""

# Of a longer text that is refused the tokens are not counted.
_COUNTED_CHARACTERS = 1 << 16


def prepared_texts(texts: Sequence[Text], tokenizer: Tokenizer, *, truncation: Truncation, offsets: bool) -> Prepared:
    """The rows of texts; `UnprocessableError` for one that is too long, where `truncation` refuses it."""
    longest = tokenizer.max_length
    side: Side = "left" if truncation == "left" else "right"
    tokens = tokenizer.tokens(texts, max_length=longest, side=side, offsets=offsets)
    too_long = np.flatnonzero(tokens.truncated)
    if truncation == "refuse" and len(too_long):
        # Of megabytes not all is tokenized, only to be refused.
        row = int(too_long[0])
        count = f"more than {longest}"
        if characters([texts[row]]) <= _COUNTED_CHARACTERS:
            count = f"{tokenizer.tokens([texts[row]], max_length=None).lengths[0]:,}"
        raise UnprocessableError(
            f"text {row} has {count} tokens, and the model takes at most {longest}"
            + (f"; {len(too_long):,} of {len(texts):,} texts are too long" if len(too_long) > 1 else "")
            + ": shorten it, or ask for truncation"
        )
    return rows_of(texts, tokens, tokenizer, window=None)


def prepared_ids(rows: Sequence[Sequence[int]], tokenizer: Tokenizer, *, where: str) -> Prepared:
    """Rows of ids; special tokens are added where the first is not `[CLS]`. `where` is their place in the request."""
    vocabulary, longest = tokenizer.vocabulary, tokenizer.max_length
    classify, separate = (vocabulary.ids[piece] for piece in (vocabulary.classify, vocabulary.separate))
    known = len(vocabulary)
    flat: list[int] = []
    splits = [0]
    for index, row in enumerate(rows):
        ids = list(row)
        if ids and not (min(ids) >= 0 and max(ids) < known):
            wrong = next(each for each in ids if not 0 <= each < known)
            raise UnprocessableError(
                f"{wrong} is no id of a token of this model, whose vocabulary has {known:,}; ids of another "
                "model's tokens (tiktoken's, which openai's and LangChain's clients may send) mean nothing here: "
                "send texts (in LangChain check_embedding_ctx_length=False)",
                where=f"{where}[{index}]",
            )
        if not ids or ids[0] != classify:
            ids = [classify, *ids, separate]
        if len(ids) > longest:
            raise UnprocessableError(
                f"{where}[{index}] has {len(ids):,} tokens, and the model takes at most {longest}: shorten it",
                where=f"{where}[{index}]",
            )
        flat.extend(ids)
        splits.append(len(flat))
    tokens = Tokens(
        ids=np.array(flat, np.int32),
        type_ids=np.zeros(len(flat), np.int32),
        row_splits=np.array(splits, np.int64),
        truncated=np.zeros(len(rows), np.bool_),
    )
    return rows_of([""] * len(rows), tokens, tokenizer, window=None)


def array_rows(call: ArrayCall, outputs: Sequence[Output], config: EncoderConfig) -> Rows:
    """The rows of arrays: without their padding where nothing of it is asked for."""
    arrays = call.arrays
    count, width = arrays.ids.shape
    lengths = arrays.mask.sum(1)
    prefix = np.arange(width) < lengths[:, None]
    pooled = all(output.pooling for output in outputs)
    if pooled and not config.sees_padding and lengths.all() and (prefix == arrays.mask).all():
        splits = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        return Rows(ids=arrays.ids[prefix], type_ids=arrays.type_ids[prefix], splits=splits)
    return Rows(
        ids=arrays.ids.reshape(-1),
        type_ids=arrays.type_ids.reshape(-1),
        splits=np.arange(count + 1, dtype=np.int64) * width,
        mask=arrays.mask.reshape(-1),
        positions=arrays.positions,
    )


def blank_row(vocabulary: Vocabulary, length: int) -> Rows:
    """A row of so many tokens that mean nothing."""
    ids = np.full(length, vocabulary.ids[vocabulary.unknown], np.int32)
    ids[0], ids[-1] = vocabulary.ids[vocabulary.classify], vocabulary.ids[vocabulary.separate]
    return Rows(ids=ids, type_ids=np.zeros_like(ids), splits=np.array([0, length], np.int64))


def characters(texts: Sequence[Text]) -> int:
    """How many characters texts, or pairs of them, have."""
    return sum(len(text) if isinstance(text, str) else sum(map(len, text)) for text in texts)
