"""The record of a finished training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from berthub.checkpoint import Checkpoint
from berthub.training.html import training_html

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

    def _repr_html_(self) -> str:
        facts = {"model": self.model, "data": self.data or "", "training": f"{self.examples:,} examples"}
        facts |= {"dev": f"{self.dev_examples:,} examples" if self.dev_examples else ""}
        facts |= {name: f"{score:.4f}" for name, score in (self.scores or {}).items()}
        shown = [(name, value) for name, value in facts.items() if value]
        return training_html("Run", history=self.history, best_epoch=self.best_epoch, facts=shown)
