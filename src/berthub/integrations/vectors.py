"""The vectors of queries and of documents, as lists of numbers, which the classes for LangChain and LlamaIndex give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from berthub.encoding.encoder import Encoder
from berthub.errors import InputError

__all__ = ["QueryAndDocumentVectors"]


@dataclass(frozen=True)
class QueryAndDocumentVectors:
    """An encoder with the prompts and the options of `Encoder.embed` that its vectors are made with.

    A prompt that is None is the one that the model's files call query or document; there may be none.
    """

    encoder: Encoder
    query_prompt: str | None
    document_prompt: str | None
    options: Mapping[str, Any]

    @classmethod
    def of(
        cls, encoder: Encoder, *, query_prompt: str | None, document_prompt: str | None, options: Mapping[str, Any]
    ) -> Self:
        """The same, checked: `InputError` for what `Encoder.embed` would refuse."""
        if given := [name for name in ("prompt", "prompt_name") if name in options]:
            raise InputError(f"{' and '.join(given)}: queries and documents have query_prompt and document_prompt")
        made = cls(encoder, query_prompt, document_prompt, options)
        # Without texts nothing is computed, but everything is checked.
        made.queries([])
        made.documents([])
        return made

    def queries(self, texts: Sequence[str]) -> list[list[float]]:
        """The vector of each query."""
        vectors: list[list[float]] = self.encoder.encode_query(texts, prompt=self.query_prompt, **self.options).tolist()
        return vectors

    def documents(self, texts: Sequence[str]) -> list[list[float]]:
        """The vector of each document."""
        made = self.encoder.encode_document(texts, prompt=self.document_prompt, **self.options)
        vectors: list[list[float]] = made.tolist()
        return vectors
