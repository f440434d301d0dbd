"""What a fine-tuning learns from and is scored on, checked."""

from dataclasses import dataclass
from typing import Any

from berthub.training.examples import Examples
from berthub.training.model import Scaling

__all__ = ["TrainingData"]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Data that were checked: how many texts, the labels, what to train on, and the dev data."""

    count: int
    names: tuple[str, ...]
    scaling: Scaling
    examples: Examples
    dev: tuple[list[Any], list[Any]] | None
    dev_examples: Examples | None
