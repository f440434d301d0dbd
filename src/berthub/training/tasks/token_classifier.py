"""Fine-tune a model to tag words: `hub.TokenClassifier`."""

import itertools
from typing import Any

import numpy as np

from berthub.choices import Pooling
from berthub.encoding.prediction import Logits
from berthub.errors import InputError
from berthub.head import Task
from berthub.tokenization.words import word_tokens
from berthub.training.examples import Examples
from berthub.training.model import Scaling
from berthub.training.tasks.checks import check_known, checked_pairs, shortened
from berthub.training.tasks.fine_tuner import FineTuner
from berthub.training.tasks.text_classifier import cross_entropy

__all__ = ["TokenClassifier"]


class TokenClassifier(FineTuner):
    """A model that learns a tag for each word of a sentence: entities, parts of speech.

    Sentences are lists of words, and their labels lists of as many tags; entities are marked in IOB2 (B-PER, I-PER,
    O). A word is judged by its first piece (Devlin et al., 2018, section 5.3). Sentences longer than `max_length`
    are split between words, so that every word is learned from. The other arguments are those of every
    task (`FineTuner`).

        tagger = hub.TokenClassifier(handle).fit(sentences, tags, dev=(dev_sentences, dev_tags))
        tagger.predict([["Ada", "Lovelace", "was", "born", "in", "London"]])
    """

    @property
    def _task(self) -> Task:
        return "tag"

    def _chosen_pooling(self, pooling: Pooling | None) -> Pooling | None:
        if pooling is not None:
            raise InputError("a tagger sees every token, so there is no pooling to choose")
        return None

    def _checked(self, texts: Any, labels: Any, which: str) -> tuple[list[Any], list[Any]]:
        sentences, tags = checked_pairs(texts, labels, which)
        checked = []
        for row, (words, own) in enumerate(zip(sentences, tags, strict=True)):
            for given, kind in ((words, "words"), (own, "tags")):
                if isinstance(given, str) or not isinstance(given, list | tuple | np.ndarray):
                    raise InputError(f"{which} sentence {row}: the {kind} must be a list, not {shortened(given)}")
            if len(words) != len(own):
                raise InputError(f"{which} sentence {row} has {len(words)} words and {len(own)} tags")
            for place, tag in enumerate(own):
                if not isinstance(tag, str) or not tag:
                    raise InputError(f"tag {place} of {which} sentence {row} must be a str, not {shortened(tag)}")
            checked.append([str(tag) for tag in own])
        if not any(checked):
            raise InputError(f"there are no words in the {which} sentences")
        return sentences, checked

    def _labels_of(self, labels: list[Any]) -> tuple[str, ...]:
        # O, the tag outside of entities, comes first, as everywhere.
        return tuple(sorted(set(itertools.chain.from_iterable(labels)), key=lambda tag: (tag != "O", tag)))

    def _check_labels(self, labels: list[Any], names: tuple[str, ...], which: str) -> None:
        found = set(itertools.chain.from_iterable(labels))
        check_known(found, names, which)
        if len(names) < 2:
            raise InputError(f"tagging needs at least two different tags, and there are {len(names)}: {list(names)}")
        if which == "training" and (empty := [name for name in names if name not in found]):
            raise InputError(f"no training word has the tag {', '.join(map(repr, empty))}: the class is empty")

    def _examples(self, texts: list[Any], labels: list[Any], names: tuple[str, ...], scaling: Scaling) -> Examples:
        words = word_tokens(self._tokenizer, texts, max_length=self._tokenizer.max_length)
        targets = np.full(len(words.tokens.ids), -1, np.int32)
        targets[words.first_pieces] = _indices(labels, names)
        return Examples(words.tokens, targets, self._pad, per_token=True)

    def _loss(self, logits: Logits, labels: list[Any], scaling: Scaling) -> float:
        return cross_entropy(logits.values.astype(np.float64), _indices(labels, logits.head.labels))


def _indices(labels: list[Any], names: tuple[str, ...]) -> Any:
    index = {name: number for number, name in enumerate(names)}
    return np.array([index[tag] for tag in itertools.chain.from_iterable(labels)], np.int32)
