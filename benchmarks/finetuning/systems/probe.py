"""A baseline without fine-tuning: logistic regression on the frozen model's vectors."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.finetuning.settings import Settings
from benchmarks.finetuning.systems.system import System
from benchmarks.finetuning.tasks import Examples, Task

_LAYERS = (-4, -3, -2, -1)
_TEXTS_AT_ONCE = 1024
# Of the regression: the inverse of how much it is held back.
_STRENGTH = 0.003


class Probe(System):
    """Features from the last four layers: the mean over a text's tokens, or the first piece of each word."""

    name, title = "probe", "berthub's frozen vectors + logistic regression"

    def load(self, task: Task, settings: Settings, seed: int) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        import berthub as hub

        self._tagging = task.tagging
        self._encoder = hub.load(settings.model, max_length=settings.max_length)
        regression = LogisticRegression(C=_STRENGTH, max_iter=1000, random_state=seed)
        self._model: Any = make_pipeline(StandardScaler(), regression)

    def fit(self, examples: Examples, epochs: int) -> list[float]:
        start = time.perf_counter()
        labels = examples.labels
        features = np.concatenate(list(self._features(examples.inputs)))
        self._model.fit(features, np.concatenate(labels) if self._tagging else labels)
        return [time.perf_counter() - start]

    def predict(self, inputs: Sequence[Any]) -> list[Any]:
        found: list[Any] = np.concatenate(
            [self._model.predict(features) for features in self._features(inputs)]
        ).tolist()
        if not self._tagging:
            return found
        names = iter(found)
        return [[next(names) for _ in words] for words in inputs]

    def _features(self, inputs: Sequence[Any]) -> Iterator[Any]:
        """float32 [rows, 4 * hidden], a row for each text or for each word, some texts at a time."""
        texts = [" ".join(words) for words in inputs] if self._tagging else list(inputs)
        done = 0
        for encodings in self._encoder.stream(texts, outputs=[], layers=_LAYERS, chunk_size=_TEXTS_AT_ONCE):
            layers = [encodings["encoder_outputs"][layer] for layer in _LAYERS]
            stacked = np.concatenate(layers, axis=-1)
            lengths = encodings.ragged_tokens.lengths
            if self._tagging:
                words = inputs[done : done + len(lengths)]
                rows = zip(stacked, words, encodings.offsets, strict=True)
                yield np.concatenate([vectors[_firsts(own, offsets)] for vectors, own, offsets in rows])
            else:
                # Zeros behind the last token add nothing to a sum.
                yield stacked.sum(axis=1) / lengths[:, None].astype(np.float32)
            done += len(lengths)


def _firsts(words: list[str], offsets: Any) -> list[int]:
    """The position of the first piece of each word; 0, which is `[CLS]`, for a truncated word."""
    places = {start: place for place, (start, end) in reversed(list(enumerate(offsets.tolist()))) if end > start}
    starts = np.cumsum([0, *(len(word) + 1 for word in words[:-1])])
    return [places.get(start, 0) for start in starts.tolist()]
