"""Run texts through a pipeline of the tokenizers library; the result is `Segments`."""

import itertools
import os
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from berthub.tokenization.assemble import Segments

__all__ = ["run", "without_surrogates"]

_forked = False
# In characters.
_SHORT = 1000
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def run(pipeline: Tokenizer, texts: list[str], *, offsets: bool) -> Segments:
    """The pieces that `pipeline` splits texts into, without what a post-processor adds."""
    encode = _encoding(pipeline, texts, offsets=offsets)
    try:
        encodings = encode(texts, add_special_tokens=False)
    except (TypeError, UnicodeEncodeError):
        # Rare enough not to look for it in every text. One character for one: offsets stay right.
        encodings = encode([*map(without_surrogates, texts)], add_special_tokens=False)
    lengths = np.fromiter((len(encoding) for encoding in encodings), np.int64, len(encodings))
    total = int(lengths.sum())
    ids = _flat((encoding.ids for encoding in encodings), total)
    if not offsets:
        return Segments(ids, lengths, None)
    pairs = itertools.chain.from_iterable(encoding.offsets for encoding in encodings)
    return Segments(ids, lengths, _flat(pairs, 2 * total).reshape(total, 2))


def _encoding(pipeline: Tokenizer, texts: list[str], *, offsets: bool) -> Callable[..., list[Any]]:
    # In a forked process the library's threads are missing. It works without them there, unless this tells it not to.
    # One short text takes less time than it takes to let other threads run meanwhile, and to be let in again.
    short = len(texts) == 1 and len(texts[0]) <= _SHORT
    if short or (_forked and os.environ.get("TOKENIZERS_PARALLELISM")):
        return lambda texts, **options: [pipeline.encode(text, **options) for text in texts]
    encode: Callable[..., list[Any]] = pipeline.encode_batch if offsets else pipeline.encode_batch_fast
    return encode


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which no UTF-8 text can hold."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def _flat(rows: Iterable[Iterable[int]], total: int) -> Any:
    return np.fromiter(itertools.chain.from_iterable(rows), np.int32, total)


def _note_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
