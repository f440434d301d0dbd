"""The settings, job and result of a run."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# The same for every system that trains: of the steps, of the weights at each step, of the gradient.
WARM_UP, WEIGHT_DECAY, LARGEST_NORM = 0.1, 0.01, 1.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The same for every system, except for what a system's own nature sets. `saved_model` is the TF Hub form."""

    data: Path
    model: Path
    saved_model: Path | None
    epochs: int
    batch_size: int
    learning_rate: float
    max_length: int
    threads: int
    limit: int | None
    learn_from: int | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        values = json.loads(text)
        saved_model = Path(values["saved_model"]) if values["saved_model"] else None
        paths = {"data": Path(values["data"]), "model": Path(values["model"]), "saved_model": saved_model}
        return cls(**{**values, **paths})

    def hyperparameters(self) -> dict[str, Any]:
        """What makes two runs comparable; the paths do not."""
        return {name: value for name, value in asdict(self).items() if name not in ("data", "model", "saved_model")}


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run: a system learns a task, from one seed."""

    task: str
    system: str
    seed: int
    settings: Settings

    def key(self) -> dict[str, Any]:
        return {"task": self.task, "system": self.system, "seed": self.seed, **self.settings.hyperparameters()}
