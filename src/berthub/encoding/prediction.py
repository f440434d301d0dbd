"""Predictions of a fine-tuned model: labels, values or tags from the outputs of its head."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from berthub.brief import Brief
from berthub.engines.engine import Floats
from berthub.errors import InputError
from berthub.head import Head
from berthub.tokenization.tokenizer import Text

__all__ = ["Logits", "Predictions", "Probabilities", "TextsOrSentences", "require_head", "softmax"]

Ints = npt.NDArray[np.int64]

TextsOrSentences = str | Iterable[Text] | Iterable[Sequence[str]]
"""Texts or pairs of them; for `tag`, sentences as lists of words. One string counts as a list of one text."""
Predictions = list[str] | list[tuple[str, ...]] | list[list[str]] | Floats
"""`classify`: a label for each text; `multi_label`: its labels, in the head's order; `tag`: a label for each word of
each sentence; `regress`: float32 [n]."""
Probabilities = Floats | list[Floats]
"""float32 [n, labels]; for `tag` one such array [words, labels] for each sentence."""


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
                return self.values[:, 0]
            case "tag":
                tags = [labels[index] for index in self.values.argmax(1).tolist()]
                return [tags[start:end] for start, end in self._sentences()]

    def probabilities(self) -> Probabilities:
        """The probabilities of the labels: see `Probabilities`. A regression has none, which is an `InputError`."""
        task = require_head(self.head, probabilities=True).task
        shares = _sigmoid(self.values) if task == "multi_label" else softmax(self.values)
        return [shares[start:end] for start, end in self._sentences()] if task == "tag" else shares

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


def require_head(head: Head | None, *, probabilities: bool = False, unread: Sequence[str] = ()) -> Head:
    """`head`, or `InputError` where there is none, or none that gives `probabilities` when they are wanted.

    `unread` are the weights of a head that lies in the files and is not read.
    """
    if head is None and unread:
        raise InputError(
            f"this model's files hold a head that is not read ({', '.join(unread[:4])}{' ...' if unread[4:] else ''}): "
            "it is more than one dense layer on the vectors that berthub's heads see. encode() and embed() give the "
            "encoder's vectors, and berthub.TextClassifier trains a new head"
        )
    if head is None:
        raise InputError(
            "this model was not fine-tuned, it has no head to predict with: encode() and embed() give its vectors, "
            "and berthub.TextClassifier trains a head"
        )
    if probabilities and head.task == "regress":
        raise InputError("this model is a regression, which has no probabilities: predict() gives its values")
    return head


def softmax(values: Floats) -> Floats:
    """The softmax of each row of scores [n, labels]: shares that add up to 1."""
    exponentials = np.exp(values - values.max(1, keepdims=True))
    shares: Floats = exponentials / exponentials.sum(1, keepdims=True)
    return shares


def _sigmoid(values: Floats) -> Floats:
    # exp only of what is not positive: it never overflows, and small probabilities keep their precision.
    small = np.exp(-np.abs(values))
    shares: Floats = np.where(values >= 0, np.float32(1), small) / (1 + small)
    return shares
