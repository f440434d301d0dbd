"""Calibrate a model on a sample of text, so that it can compute in 8-bit integers."""

import dataclasses
import importlib.resources
import logging
from collections.abc import Iterable

import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.engines.batching import Padding, batches, padded
from berthub.engines.calibration import calibrate
from berthub.errors import InputError
from berthub.tokenization.texts import listed
from berthub.tokenization.tokenizer import Text, Tokenizer
from berthub.tokenization.tokens import Tokens

__all__ = ["calibrated"]

_LOGGER = logging.getLogger(__name__)
_SAMPLE = "calibration_sample.txt"
# Tokens that are computed at a time: less than where no input is watched.
_BUDGET = 512
# So many of the sample's texts make a long one: what is far from the beginning of a text looks otherwise.
_JOINED = 5
# A packaged text in which more of the pieces are unknown is in a language that the model does not know.
_MOST_UNKNOWN = 0.2


def calibrated(checkpoint: Checkpoint, tokenizer: Tokenizer, texts: str | Iterable[Text] | None) -> Checkpoint:
    """The checkpoint with a quantization from these texts, None: from a packaged sample in many languages.

    `InputError` if there are no texts. Some hundred are enough, if they are like those that are encoded later.
    """
    sample = _packaged() if texts is None else listed(texts)
    if not sample:
        raise InputError("calibration has no texts: some hundred are enough, like those that are encoded later")
    tokens = tokenizer.tokens(sample, max_length=tokenizer.max_length)
    vocabulary = tokenizer.vocabulary
    if texts is None:
        known = _known(tokens, vocabulary.ids[vocabulary.unknown])
        tokens = tokenizer.tokens(
            [text for text, kept in zip(sample, known, strict=True) if kept], max_length=tokenizer.max_length
        )
    _LOGGER.info(
        "calibrating for 8-bit integers on %d texts: this takes seconds to minutes; `save` keeps what is found",
        len(tokens.lengths),
    )
    # The engine that computes in 8-bit integers, whose batches these are but for the size.
    from berthub.engines.openvino import OpenVinoEngine

    limits = dataclasses.replace(OpenVinoEngine.limits, tokens=_BUDGET)
    watched = padded(batches(tokens, limits), Padding.of(checkpoint, limits))
    return dataclasses.replace(checkpoint, quantization=calibrate(checkpoint, watched))


def _packaged() -> list[Text]:
    """The sample's texts, neighbours in it as pairs, which have type ids of their own, and the longest as one."""
    text = importlib.resources.files("berthub.encoding").joinpath(_SAMPLE).read_text(encoding="utf-8")
    texts = text.splitlines()
    longest = sorted(texts, key=len)[-_JOINED:]
    return [*texts, *zip(texts[::2], texts[1::2], strict=False), " ".join(longest)]


def _known(tokens: Tokens, unknown: int) -> list[bool]:
    """The texts that suit the vocabulary; all of them, if none does."""
    shares = np.add.reduceat(tokens.ids == unknown, tokens.row_splits[:-1]) / tokens.lengths
    known = shares <= _MOST_UNKNOWN
    kept: list[bool] = (known if known.any() else ~known).tolist()
    return kept
