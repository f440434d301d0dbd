"""An Encoder as LlamaIndex's `BaseEmbedding`, for its indexes and retrievers."""

import asyncio
from typing import Any

from berthub.encoding.encoder import Encoder
from berthub.errors import MissingDependencyError
from berthub.integrations.vectors import QueryAndDocumentVectors

try:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import PrivateAttr
except ImportError as error:
    raise MissingDependencyError("as_llama_index needs LlamaIndex: pip install llama-index-core") from error

__all__ = ["EncoderAsLlamaIndex"]

# As many as LlamaIndex allows: berthub makes its own batches of them.
_BATCH = 2048


class EncoderAsLlamaIndex(BaseEmbedding):  # type: ignore[misc]
    """LlamaIndex's `BaseEmbedding`, computed by an `Encoder`; `Encoder.as_llama_index` makes it.

    LlamaIndex gives it `embed_batch_size` texts at a time, which berthub batches by its own rules. The methods for
    `await` compute in a thread. `to_json` writes the settings and no model: make it anew from the encoder. A pickle
    holds what the encoder's does.
    """

    _vectors: QueryAndDocumentVectors = PrivateAttr()

    def __init__(
        self,
        encoder: Encoder,
        *,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
        embed_batch_size: int = _BATCH,
        **options: Any,
    ) -> None:
        vectors = QueryAndDocumentVectors.of(
            encoder, query_prompt=query_prompt, document_prompt=document_prompt, options=options
        )
        super().__init__(model_name=encoder.checkpoint.origin.folder.name, embed_batch_size=embed_batch_size)
        self._vectors = vectors

    @classmethod
    def class_name(cls) -> str:
        """The name of the class, as LlamaIndex asks for it."""
        return "EncoderAsLlamaIndex"

    def _get_query_embedding(self, query: str) -> list[float]:
        (vector,) = self._vectors.queries([query])
        return vector

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> list[float]:
        (vector,) = self._vectors.documents([text])
        return vector

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._vectors.documents(texts)

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)
