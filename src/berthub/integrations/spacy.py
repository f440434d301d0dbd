"""A component for spaCy's pipelines that encodes documents: `nlp.add_pipe("berthub")`.

spaCy finds it by the entry point in pyproject.toml.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.choices import EngineName, Pooling, Precision
from berthub.encoding.encoder import Encoder
from berthub.encoding.load import load
from berthub.engines.engine import Floats
from berthub.errors import InputError, MissingDependencyError

try:
    from spacy.language import Language
    from spacy.tokens import Doc, Span, Token
except ImportError as error:
    raise MissingDependencyError("berthub's component for spaCy needs spaCy: pip install spacy") from error

__all__ = ["EncoderComponent", "make_component"]

_OUTPUTS = ("embedding", "sequence_output")


@Language.factory("berthub", assigns=["doc._.embedding", "doc._.sequence_output"])  # type: ignore[untyped-decorator]
def make_component(
    nlp: Language,
    name: str,
    model: str | None = None,
    pooling: Pooling | None = None,
    normalize: bool | None = None,
    prompt: str | None = None,
    window: int | None = None,
    stride: int | None = None,
    max_length: int | None = None,
    engine: EngineName = "auto",
    precision: Precision = "auto",
) -> "EncoderComponent":
    """The component of this configuration; `model`, `max_length`, `engine` and `precision` are those of `berthub.load`.

    The others are those of `Encoder.embed`. A pipeline that is saved holds the configuration and no weights, so that
    `model` must still be found where the pipeline is loaded.
    """
    encoder = load(model, engine=engine, precision=precision, max_length=max_length)
    options = {"pooling": pooling, "normalize": normalize, "prompt": prompt, "window": window, "stride": stride}
    return EncoderComponent(encoder, **options)


class EncoderComponent:
    """A component that gives each Doc its vector, and each token of spaCy's the mean of its pieces' vectors.

    `doc._.embedding` is the vector of `Encoder.embed`, and `doc._.sequence_output` float32 [tokens, hidden]: a piece
    counts for every token that it shares a character with, and a token without a piece, such as blanks or what was
    truncated, has zeros. `vector` and `similarity` of documents, spans and tokens use these. The two arrays are kept
    by `doc.to_bytes`, the ways to compare are not. `options` are those of `Encoder.embed`.
    """

    def __init__(self, encoder: Encoder, **options: Any) -> None:
        # Without texts nothing is computed, but the options are checked.
        encoder.embed([], **options)
        self.encoder, self.options = encoder, options
        for name in _OUTPUTS:
            if not Doc.has_extension(name):
                Doc.set_extension(name, default=None)

    def __call__(self, doc: Doc) -> Doc:
        """Encode one document."""
        (encoded,) = self.pipe([doc], batch_size=1)
        return encoded

    def pipe(self, docs: Iterable[Doc], batch_size: int = 1000) -> Iterator[Doc]:
        """Encode documents as they come, `batch_size` of them at a time."""
        # Each side is read as it is needed, the documents a chunk before their encodings.
        texts, waiting = _texts_and_docs(docs)
        for chunk in self.encoder.stream(texts, outputs=_OUTPUTS, chunk_size=batch_size, **self.options):
            rows = zip(chunk["embedding"], chunk.ragged(), chunk.offsets, chunk.texts, strict=True)
            for vector, pieces, offsets, text in rows:
                doc = waiting.popleft()
                # Of the text with its prompt.
                shift = len(text) - len(doc.text)
                doc._.embedding = vector.copy()
                doc._.sequence_output = _aligned(doc, pieces, offsets - shift)
                _compare_by_these(doc)
                yield doc


def _texts_and_docs(docs: Iterable[Doc]) -> tuple[Iterator[str], deque[Doc]]:
    """The texts of documents, and the documents of which the text was read."""
    waiting: deque[Doc] = deque()

    def texts() -> Iterator[str]:
        for doc in docs:
            waiting.append(doc)
            yield doc.text

    return texts(), waiting


def _aligned(doc: Doc, pieces: Floats, offsets: npt.NDArray[np.int32]) -> Floats:
    """The mean of the vectors [pieces, hidden] that share a character with each token."""
    vectors = np.zeros((len(doc), pieces.shape[1]), np.float32)
    # Not [CLS], [SEP] and what is of the prompt.
    real = (offsets[:, 1] > offsets[:, 0]) & (offsets[:, 1] > 0)
    pieces, (starts, ends) = pieces[real], offsets[real].T
    token_starts = np.array([token.idx for token in doc], np.int64)
    token_ends = token_starts + [len(token) for token in doc]
    first, last = np.searchsorted(ends, token_starts, "right"), np.searchsorted(starts, token_ends, "left")
    for row, (begin, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        if begin < end:
            vectors[row] = pieces[begin:end].mean(0)
    return vectors


# What spaCy calls instead of its own ways to compare. Functions of a module, so that documents can be pickled.


def _compare_by_these(doc: Doc) -> None:
    for hooks, vector in (
        (doc.user_hooks, _doc_vector),
        (doc.user_span_hooks, _span_vector),
        (doc.user_token_hooks, _token_vector),
    ):
        hooks.update(vector=vector, has_vector=_has_vector, similarity=_similarity)


def _doc_vector(doc: Doc) -> Any:
    _rows(doc)
    return doc._.embedding


def _span_vector(span: Span) -> Any:
    return _rows(span.doc)[span.start : span.end].mean(0)


def _token_vector(token: Token) -> Any:
    return _rows(token.doc)[token.i]


def _has_vector(of: Any) -> bool:
    return True


def _similarity(one: Any, other: Any) -> float:
    """The cosine of the two vectors; 0 where one is all zeros."""
    norms = float(np.linalg.norm(one.vector) * np.linalg.norm(other.vector))
    return float(np.dot(one.vector, other.vector)) / norms if norms else 0.0


def _rows(doc: Doc) -> Any:
    rows = doc._.sequence_output
    if rows is None or len(rows) != len(doc):
        count = "none" if rows is None else f"those of {len(rows)} tokens"
        raise InputError(
            f"this Doc has {len(doc)} tokens, and of encodings {count}: after retokenizing, or of a span's as_doc(), "
            'run the component again, nlp.get_pipe("berthub")(doc)'
        )
    return rows
