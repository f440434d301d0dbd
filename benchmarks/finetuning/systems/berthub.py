"""berthub's own fine-tuning: `TextClassifier` and `TokenClassifier`."""

from collections.abc import Sequence
from typing import Any

from benchmarks.finetuning.settings import Settings
from benchmarks.finetuning.systems.system import System
from benchmarks.finetuning.tasks import Examples, Task


class Berthub(System):
    """`backend`: what Keras computes with; None leaves the choice to berthub and the environment."""

    def __init__(self, backend: str | None = None, *, precision: str = "auto") -> None:
        words = ["berthub", *([backend] if backend else []), *([precision] if precision != "auto" else [])]
        self.name, self.title, self._precision = "-".join(words), ", ".join(words), precision
        self.environment = {"KERAS_BACKEND": backend} if backend else {}
        self.compiles_anew = backend in ("tensorflow", "jax")

    def load(self, task: Task, settings: Settings, seed: int) -> None:
        import berthub as hub

        kind: Any = hub.TokenClassifier if task.tagging else hub.TextClassifier
        self._settings, self._seed, self._tagging = settings, seed, task.tagging
        self._model: Any = kind(settings.model, labels=list(task.labels), max_length=settings.max_length, seed=seed)

    def fit(self, examples: Examples, epochs: int) -> list[float]:
        # Without a dev set: every system is measured as its last epoch left it.
        settings = self._settings
        self._model.fit(
            list(examples.inputs),
            list(examples.labels),
            epochs=epochs,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            precision=self._precision,
            progress=False,
        )
        return [len(examples) / epoch["examples_per_second"] for epoch in self._model.history]

    def backend(self) -> str:
        import keras

        return str(keras.config.backend())

    def probabilities(self, inputs: Sequence[Any]) -> Any:
        return None if self._tagging else self._model.predict_proba(list(inputs))

    def predict(self, inputs: Sequence[Any]) -> list[Any]:
        return list(self._model.predict(list(inputs)))
