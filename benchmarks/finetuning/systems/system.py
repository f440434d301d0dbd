"""The base class of the systems that fine-tune."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.finetuning.settings import Settings
from benchmarks.finetuning.tasks import Examples, Task


class System(ABC):
    """One way of fine-tuning. `name` is what the command line calls it, `title` what the table does.

    `environment` is set before its process starts; `compiles_anew` means that each
    call of `fit` compiles again, and so only its later epochs tell the speed.
    """

    name: str
    title: str
    environment: Mapping[str, str] = {}
    compiles_anew: bool = False

    @abstractmethod
    def load(self, task: Task, settings: Settings, seed: int) -> None:
        """Read the model and put a fresh head on it. Raises `UnavailableError`."""

    @abstractmethod
    def fit(self, examples: Examples, epochs: int) -> list[float]:
        """Train; the seconds of each epoch's training steps, without set-up and evaluation.

        The first epoch may hold what is done once for every shape (compiling). A second call goes on training the
        same model, with a learning rate that rises and falls anew.
        """

    def backend(self) -> str:
        """What computes, where that is not plain from the name; asked after `fit`."""
        return ""

    @abstractmethod
    def predict(self, inputs: Sequence[Any]) -> list[Any]:
        """The labels of `inputs`, as in `Examples.labels`."""

    def probabilities(self, inputs: Sequence[Any]) -> npt.NDArray[np.floating[Any]] | None:
        """The probabilities of the labels of `inputs`, [n, labels]; None for tags, or if a system has none."""
        return None
