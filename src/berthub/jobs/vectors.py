"""Compute the vectors of a block of texts, and make the columns that are written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.choices import DType, Pooling, Vectors
from berthub.embedding import said_of_prompt
from berthub.encoding.encoder import Encoder
from berthub.encoding.encodings import Encodings
from berthub.encoding.request import NO_PROMPT, Prompt
from berthub.encoding.request import Request as EncodingRequest
from berthub.encoding.summary import embedding_in_words
from berthub.encoding.windows import Window
from berthub.errors import InputError
from berthub.networks.outputs import Output
from berthub.tables.results import Column, ListColumn, RaggedColumn, VectorColumn
from berthub.tokenization.tokenizer import Text
from berthub.vector_layers import unit_length

__all__ = ["Chunk", "Request", "TokenColumns", "compute", "resolve_request", "result_columns"]

# None: no pooling, or the model's own.
_POOLINGS: dict[Vectors, Pooling | None] = {
    "embedding": None,
    "pooled_output": "pooled",
    "mean": "mean",
    "max": "max",
    "cls": "cls",
    "sequence_output": None,
}


_TOKENS, _OFFSETS = "tokens", "offsets"


@dataclass(frozen=True, kw_only=True)
class Request:
    """The vectors to compute: those of `layer`, counted from 0, in the type `dtype`, for the column `column`.

    `poolings` say how the vector of a text is made, () for token vectors. `described` says in words what they are.
    The `prompt` is put before each text. With a `window`, longer texts are computed in such windows; without one they
    are truncated.
    """

    vectors: Vectors
    poolings: tuple[Pooling, ...]
    described: str
    layer: int
    normalize: bool
    dtype: DType
    column: str
    prompt: Prompt = NO_PROMPT
    window: Window | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns that are written beside those of the input."""
        if self.vectors == "sequence_output":
            return (self.column, _TOKENS, _OFFSETS)
        return (self.column,)


@dataclass(frozen=True, eq=False)
class TokenColumns:
    """The tokens of `n` texts: the pieces of each, and the characters that each stands for, int32 [tokens, 2]."""

    pieces: list[list[str]]
    offsets: list[npt.NDArray[np.int32]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Chunk:
    """The vectors of `n` texts.

    `vectors` are [n, hidden]; or where `tokens` are given [t, hidden], those of the first text's tokens first.
    `lengths` int64 [n] are the texts' numbers of tokens, `truncated` bool [n] says which texts were truncated.
    """

    vectors: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64]
    truncated: npt.NDArray[np.bool_]
    tokens: TokenColumns | None = None


def resolve_request(
    vectors: Vectors | None,
    layer: int | None,
    *,
    encoder: Encoder,
    normalize: bool | None,
    dtype: DType,
    column: str | None,
    prompt: str | None = None,
    prompt_name: str | None = None,
    window: Window | None = None,
) -> Request:
    """The request that options make for a model; `InputError` for what the model does not have.

    Without `vectors` it is the model's own sentence vector: `UnsupportedModelError` where that cannot be computed.
    """
    checkpoint, config = encoder.checkpoint, encoder.config
    if vectors is None:
        vectors = "embedding"
    if vectors == "pooled_output" and not config.has_pooled_output:
        raise InputError("the model has no pooler, so no pooled_output; use --output mean, max or cls")
    pooling = _POOLINGS[vectors]
    poolings: tuple[Pooling, ...] = () if pooling is None else (pooling,)
    described: str = vectors
    scaled = bool(normalize)
    # Token vectors are of the texts as they are, unless a prompt is given.
    before = NO_PROMPT
    if vectors != "sequence_output" or prompt is not None or prompt_name is not None:
        before = Prompt.of(checkpoint.embedding, encoder.tokenizer, prompt, prompt_name)
    at = Output(-1 if layer is None else layer).resolved(config).layer
    if vectors == "embedding":
        chosen = checkpoint.embedding.chosen(None, normalize)
        poolings, scaled = chosen.poolings, chosen.normalize
        described += f": {embedding_in_words(checkpoint, normalize=scaled, prompt=before.text)}"
    else:
        described += (", scaled to length 1" if scaled else "") + said_of_prompt(before.text)
    if vectors != "sequence_output":
        # For what cannot be had, before anything is computed.
        EncodingRequest.of_vectors(checkpoint, pooling=pooling, layer=at, normalize=normalize, prompt=before)
    return Request(
        vectors=vectors,
        poolings=poolings,
        described=described,
        layer=at,
        normalize=scaled,
        dtype=dtype,
        column=vectors if column is None else column,
        prompt=before,
        window=window,
    )


def compute(encoder: Encoder, texts: Sequence[Text], request: Request) -> Iterator[Chunk]:
    """Compute the vectors of texts in their order, in chunks small enough for memory."""
    window, checkpoint = request.window, encoder.checkpoint
    if request.vectors == "sequence_output":
        wanted = EncodingRequest.of_outputs(checkpoint, outputs=(), layers=[request.layer], prompt=request.prompt)
        for encodings in encoder.stages.stream(texts, wanted, window=window):
            # Real tokens only, text after text.
            inside = encodings.attention_mask.astype(np.bool_)
            vectors = encodings["encoder_outputs"][request.layer][inside]
            vectors = unit_length(vectors) if request.normalize else vectors
            yield _chunk(encodings, vectors, request, TokenColumns(encodings.tokens, encodings.offsets))
        return
    pooling = None if request.vectors == "embedding" else request.poolings
    wanted = EncodingRequest.of_vectors(
        checkpoint, pooling=pooling, layer=request.layer, normalize=request.normalize, prompt=request.prompt
    )
    for encodings in encoder.stages.stream(texts, wanted, window=window):
        yield _chunk(encodings, encodings["embedding"], request, None)


def result_columns(chunk: Chunk, request: Request) -> list[Column]:
    """The vectors of a chunk, and what is known of their tokens, as they are written."""
    if chunk.tokens is None:
        return [VectorColumn(name=request.column, values=chunk.vectors)]
    tokens, lengths = chunk.tokens, chunk.lengths
    return [
        RaggedColumn(name=request.column, values=chunk.vectors, lengths=lengths),
        ListColumn(name=_TOKENS, values=tokens.pieces),
        RaggedColumn(name=_OFFSETS, values=np.concatenate(tokens.offsets), lengths=lengths),
    ]


def _chunk(encodings: Encodings, vectors: npt.NDArray[Any], request: Request, tokens: TokenColumns | None) -> Chunk:
    return Chunk(
        vectors=_half(vectors) if request.dtype == "float16" else vectors,
        lengths=encodings.ragged_tokens.lengths,
        truncated=encodings.truncated,
        tokens=tokens,
    )


def _half(vectors: npt.NDArray[Any]) -> npt.NDArray[np.float16]:
    try:
        with np.errstate(over="raise"):
            return vectors.astype(np.float16)
    except FloatingPointError:
        raise InputError(
            f"a component of a vector is too large for float16 ({np.abs(vectors).max():g}); use --dtype float32, "
            "or --normalize"
        ) from None
