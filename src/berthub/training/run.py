"""The record of a finished training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from berthub.checkpoint import Checkpoint

__all__ = ["Run"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished training: its data, hyperparameters and scores.

    `model` names the model that it began with, `hyperparameters` are all that governed it. `examples` are those for
    training. `scores`, `truth` and `predicted` are those of the dev data, None without them.
    """

    checkpoint: Checkpoint
    model: str
    data: str | None
    examples: int
    dev_examples: int
    hyperparameters: Mapping[str, Any]
    history: list[dict[str, float]]
    best_epoch: int
    scores: Mapping[str, float] | None
    truth: list[Any] | None
    predicted: list[Any] | None
