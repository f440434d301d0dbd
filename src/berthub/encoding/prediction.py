"""Predictions of a fine-tuned model: labels, values or tags from the outputs of its head."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np
import numpy.typing as npt

from berthub.brief import Brief
from berthub.engines.engine import Floats
from berthub.engines.numpy import NumpyOps
from berthub.errors import InputError
from berthub.head import Head, OutputActivation, head_logits
from berthub.tokenization.texts import checked
from berthub.tokenization.tokenizer import Text

__all__ = [
    "Logits",
    "Predictions",
    "Probabilities",
    "Ranked",
    "TextsOrSentences",
    "head_outputs",
    "ranked",
    "require_head",
    "softmax",
]

Ints = npt.NDArray[np.int64]

TextsOrSentences = str | Iterable[Text] | Iterable[Sequence[str]]
"""Texts or pairs of them; for `tag`, sentences as lists of words. One string counts as a list of one text."""
Predictions = list[str] | list[tuple[str, ...]] | list[list[str]] | Floats
"""`classify`: a label for each text; `multi_label`: its labels, in the head's order; `tag`: a label for each word of
each sentence; `regress`: float32 [n], the head's activation of its outputs."""
Probabilities = Floats | list[Floats]
"""float32 [n, labels]; for `tag` one such array [words, labels] for each sentence."""


class Ranked(TypedDict):
    """A document, in the order of its score: its number among those given, its score and, if asked for, its text."""

    corpus_id: int
    score: float
    text: NotRequired[str]


@dataclass(frozen=True, eq=False, repr=False)
class Logits(Brief):
    """The outputs of `head` for `n` texts, before softmax or sigmoid: `values` float32 [n, labels].

    For `tag`, `values` are [words, labels] for the words of all sentences one after the other; those of sentence `i`
    are from `word_splits[i]` to `word_splits[i + 1]` (int64 [n + 1]; None for the other tasks). `truncated` is bool
    [n]: which texts were truncated, or for `tag`, which sentences have a truncated word.
    """

    head: Head
    values: Floats
    truncated: npt.NDArray[np.bool_]
    word_splits: Ints | None = None

    def predictions(self) -> Predictions:
        """The labels or values that the head gives each text: see `Predictions`."""
        labels = self.head.labels
        match self.head.task:
            case "classify":
                return [labels[index] for index in self.values.argmax(1).tolist()]
            case "multi_label":
                chosen = (_sigmoid(self.values) >= 0.5).tolist()
                return [tuple(itertools.compress(labels, row)) for row in chosen]
            case "regress":
                return _activated(self.values[:, 0], self.head.activation)
            case "tag":
                tags = [labels[index] for index in self.values.argmax(1).tolist()]
                return [tags[start:end] for start, end in self._sentences()]

    def probabilities(self) -> Probabilities:
        """The probabilities of the labels: see `Probabilities`. A regression has none, which is an `InputError`."""
        task = require_head(self.head, probabilities=True).task
        shares = _sigmoid(self.values) if task == "multi_label" else softmax(self.values)
        return [shares[start:end] for start, end in self._sentences()] if task == "tag" else shares

    def scores(self) -> Floats:
        """The scores of pairs by which `Encoder.rank` sorts, float32 [n]; `InputError` for all tasks but `regress`.

        They are the predictions; where no file of the model names an activation, the sigmoid of the outputs.
        """
        head = require_head(self.head, scores=True)
        return _activated(self.values[:, 0], head.activation or "sigmoid")

    def truncation_in_words(self, max_length: int) -> str | None:
        """A sentence that says how many texts or words were truncated to `max_length` tokens; None if none was."""
        truncated = int(self.truncated.sum())
        if not truncated:
            return None
        what = (
            f"sentences had a word of more than {max_length - 2} pieces, of which the first were kept"
            if self.head.task == "tag"
            else f"texts had more than {max_length} tokens and were truncated"
        )
        return f"{truncated:,} of {len(self.truncated):,} {what}; `logits(...).truncated` tells which"

    def _sentences(self) -> Iterator[tuple[int, int]]:
        assert self.word_splits is not None
        return itertools.pairwise(self.word_splits.tolist())


def require_head(
    head: Head | None, *, probabilities: bool = False, scores: bool = False, unread: Sequence[str] = ()
) -> Head:
    """`head`, or `InputError` where there is none, or none that gives `probabilities` or `scores` when they are wanted.

    `unread` are the weights of a head that lies in the files and is not read.
    """
    if head is None and unread:
        raise InputError(
            f"this model's files hold a head that is not read ({', '.join(unread[:4])}{' ...' if unread[4:] else ''}): "
            "it is of a kind that berthub does not have. encode() and embed() give the encoder's vectors, and "
            "berthub.TextClassifier trains a new head"
        )
    if head is None:
        raise InputError(
            "this model was not fine-tuned, it has no head to predict with: encode() and embed() give its vectors, "
            "and berthub.TextClassifier trains a head"
        )
    if probabilities and head.task == "regress":
        raise InputError("this model is a regression, which has no probabilities: predict() gives its values")
    if scores and head.task != "regress":
        raise InputError(
            f"this model is for {head.task}, and documents are ranked by a cross-encoder, a regression over pairs of "
            "texts; predict() and predict_proba() take pairs, too"
        )
    return head


def head_outputs(head: Head, vectors: Floats) -> Floats:
    """The outputs of a head for the vectors that it sees: float32 [n, labels]."""
    outputs: Floats = head_logits(NumpyOps(), head, head.weights, vectors)
    return outputs


def pairs_of(query: str, documents: Iterable[str]) -> list[tuple[str, str]]:
    """The query with each of the documents; `InputError` for what are no texts."""
    texts = [*checked(documents)] if not isinstance(documents, str) else None
    if texts is None or not isinstance(query, str):
        raise InputError(
            f"a query is one str, and documents are a list of str; they are {type(query).__name__} and "
            f"{type(documents).__name__}"
        )
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"document {index} is of type {type(text).__name__}, not str")
    return [(query, str(text)) for text in texts]


def ranked(
    scores: Floats, pairs: Sequence[tuple[str, str]], *, top_k: int | None, return_documents: bool
) -> list[Ranked]:
    """The documents of pairs by their scores, the highest first, and equal ones in their order; the first `top_k`."""
    found = scores.tolist()
    order = sorted(range(len(found)), key=found.__getitem__, reverse=True)[:top_k]
    if return_documents:
        return [{"corpus_id": index, "score": found[index], "text": pairs[index][1]} for index in order]
    return [{"corpus_id": index, "score": found[index]} for index in order]


def softmax(values: Floats) -> Floats:
    """The softmax of each row of scores [n, labels]: shares that add up to 1."""
    exponentials = np.exp(values - values.max(1, keepdims=True))
    shares: Floats = exponentials / exponentials.sum(1, keepdims=True)
    return shares


def _activated(values: Floats, activation: OutputActivation | None) -> Floats:
    match activation:
        case "sigmoid":
            return _sigmoid(values)
        case "tanh":
            return np.tanh(values)
        case _:
            return values


def _sigmoid(values: Floats) -> Floats:
    # exp only of what is not positive: it never overflows, and small probabilities keep their precision.
    small = np.exp(-np.abs(values))
    shares: Floats = np.where(values >= 0, np.float32(1), small) / (1 + small)
    return shares
