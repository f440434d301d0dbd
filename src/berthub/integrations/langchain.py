"""An Encoder as LangChain's `Embeddings`, for its vector stores and retrievers."""

from collections.abc import Sequence
from typing import Any

from berthub.encoding.encoder import Encoder
from berthub.errors import MissingDependencyError
from berthub.integrations.vectors import QueryAndDocumentVectors

try:
    from langchain_core.embeddings import Embeddings
except ImportError as error:
    raise MissingDependencyError("as_langchain needs LangChain: pip install langchain-core") from error

__all__ = ["EncoderAsLangChain"]


class EncoderAsLangChain(Embeddings):  # type: ignore[misc]
    """LangChain's `Embeddings`, computed by an `Encoder`; `Encoder.as_langchain` makes it.

    All documents of a call are computed together, so give many to one call. The methods for `await`, `aembed_query` and
    `aembed_documents`, are LangChain's own: they compute in a thread.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
        **options: Any,
    ) -> None:
        self.vectors = QueryAndDocumentVectors.of(
            encoder, query_prompt=query_prompt, document_prompt=document_prompt, options=options
        )

    def embed_query(self, text: str) -> list[float]:
        """The vector of a query."""
        (vector,) = self.vectors.queries([text])
        return vector

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """The vector of each document."""
        return self.vectors.documents(texts)
