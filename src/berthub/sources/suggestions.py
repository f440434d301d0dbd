"""Suggest names for a mistyped handle: those that look alike, found without a network."""

import difflib
import re
from collections.abc import Mapping
from functools import cache

from berthub.sources import catalogue, short_names

__all__ = ["nearest"]

_UNCASED = "tensorflow/bert_en_uncased_L-12_H-768_A-12/4"
_WORDS: Mapping[str, tuple[str, ...]] = {
    "bert": (_UNCASED, "google-bert/bert-base-uncased", "google-bert/bert-base-cased"),
    "bert base": (_UNCASED, "google-bert/bert-base-uncased", "google-bert/bert-base-cased"),
    "bert base en": (_UNCASED, "google-bert/bert-base-uncased", "kaggle://keras/bert/keras/bert_base_en"),
    "bert base en uncased": (
        _UNCASED,
        "google-bert/bert-base-uncased",
        "kaggle://keras/bert/keras/bert_base_en_uncased",
    ),
    "bert uncased": (_UNCASED, "google-bert/bert-base-uncased"),
    "bert cased": ("tensorflow/bert_en_cased_L-12_H-768_A-12/4", "google-bert/bert-base-cased"),
    "bert large": ("tensorflow/bert_en_uncased_L-24_H-1024_A-16/4", "google-bert/bert-large-uncased"),
    "bert chinese": ("tensorflow/bert_zh_L-12_H-768_A-12/4", "google-bert/bert-base-chinese"),
    "bert multilingual": ("tensorflow/bert_multi_cased_L-12_H-768_A-12/4", "google-bert/bert-base-multilingual-cased"),
    "mbert": ("tensorflow/bert_multi_cased_L-12_H-768_A-12/4", "google-bert/bert-base-multilingual-cased"),
    "small bert": ("tensorflow/small_bert/bert_en_uncased_L-4_H-512_A-8/2",),
    "albert": ("tensorflow/albert_en_base/3", "albert/albert-base-v2"),
    "distilbert": ("distilbert/distilbert-base-uncased", "distilbert/distilbert-base-cased"),
    "electra": ("google/electra_small/2", "google/electra_base/2", "google/electra_large/2"),
    "mobilebert": ("google/mobilebert/uncased_L-24_H-128_B-512_A-4_F-4_OPT/1",),
    "roberta": ("FacebookAI/roberta-base", "FacebookAI/roberta-large"),
    "minilm": ("sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L12-v2"),
    "sbert": ("sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-mpnet-base-v2"),
    "sentence bert": ("sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-mpnet-base-v2"),
}
"""What people call a family, in small letters with single spaces."""
# Else "bert" alone would be the beginning of half of all names.
_SHORTEST_BEGINNING = 6
_LONGEST_TYPO = 160
_WORDS_BEHIND = frozenset(("base", "en", "model", "small"))


def nearest(text: str, *, count: int = 4) -> tuple[str, ...]:
    """Handles of TensorFlow Hub, Kaggle and Hugging Face that look most like `text`, the likeliest first."""
    wanted = text.casefold()[:_LONGEST_TYPO].strip("/ ")
    spellings = _spellings()
    found = [*_by_words(wanted), *([spellings[wanted]] if wanted in spellings else [])]
    if len(wanted) >= _SHORTEST_BEGINNING:
        found += [meant for spelling, meant in spellings.items() if spelling.startswith(wanted)][:count]
    close = difflib.get_close_matches(wanted, spellings, n=3 * count, cutoff=0.6)
    return tuple(dict.fromkeys((*found, *(spellings[spelling] for spelling in close))))[:count]


def _by_words(wanted: str) -> tuple[str, ...]:
    """Common names of model families, with or without a publisher before them, and `base` and the like after."""
    for name in (wanted, wanted.rpartition("/")[2]):
        words = re.findall(r"[a-z0-9]+", name)
        while words:
            if found := _WORDS.get(" ".join(words)):
                return found
            if words.pop() not in _WORDS_BEHIND:
                break
    return ()


@cache
def _spellings() -> Mapping[str, str]:
    """Spellings in lower case, and the handle of each; those with short names first."""
    found: dict[str, str] = {}
    for repository in short_names.repositories():
        found.setdefault(repository.casefold(), repository)
        found.setdefault(repository.rpartition("/")[2].casefold(), repository)
    return found | dict(catalogue.spellings())
