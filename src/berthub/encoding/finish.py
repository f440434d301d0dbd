"""The third stage: make what a caller gets of the computed arrays."""

from typing import Any

import numpy as np

from berthub.config import EncoderConfig
from berthub.encoding.compute import Computed
from berthub.encoding.encodings import Encodings, LayerOutputs
from berthub.encoding.prediction import Logits
from berthub.encoding.prepare import Prepared
from berthub.encoding.request import EMBEDDING, Request
from berthub.engines.engine import Floats
from berthub.head import Head
from berthub.tokenization.tokenizer import Tokenizer
from berthub.tokenization.words import WordTokens

__all__ = ["embedding", "finish", "finish_head", "finish_word_head"]


def finish(
    prepared: Prepared,
    computed: Computed,
    request: Request,
    *,
    config: EncoderConfig,
    tokenizer: Tokenizer,
    precision: str,
) -> Encodings:
    """The encodings of the texts, under the names that the request has for them."""
    outputs: dict[str, Any] = {name: computed[output] for name, output in request.named.items()}
    if request.layers:
        layers = {layer: computed[output] for layer, output in request.layers.items()}
        outputs["encoder_outputs"] = LayerOutputs(layers, config.num_states)
    if request.embedding:
        outputs[EMBEDDING] = embedding(computed, request)
    return Encodings(
        outputs=outputs,
        ragged_tokens=prepared.tokens,
        texts=prepared.texts,
        tokenizer=tokenizer,
        max_length=tokenizer.max_length if prepared.window is None else None,
        precision=precision,
    )


def embedding(computed: Computed, request: Request) -> Floats:
    """One vector for each text: the pooled ones, joined where they are several, and what follows them."""
    vectors = [computed[output] for output in request.embedding]
    joined = vectors[0] if len(vectors) == 1 else np.concatenate(vectors, axis=1)
    return request.vector.finished(joined)


def finish_head(prepared: Prepared, values: Floats, head: Head) -> Logits:
    """The logits of texts from `compute_head`, and which texts were truncated."""
    return Logits(head, values, prepared.truncated)


def finish_word_head(words: WordTokens, values: Floats, head: Head) -> Logits:
    """The logits of words from `compute_word_head`, by sentence, and which sentences have a truncated word."""
    truncated = np.zeros(len(words.word_splits) - 1, np.bool_)
    truncated[words.sentences[words.tokens.truncated]] = True
    return Logits(head, values, truncated, words.word_splits)
