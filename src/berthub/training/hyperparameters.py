"""The hyperparameters of fine-tuning, with the defaults that are common in practice."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np

from berthub.errors import InputError

__all__ = ["Hyperparameters", "TrainingPrecision"]

TrainingPrecision = Literal["auto", "bfloat16", "float32"]


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """The hyperparameters of a training: epochs, batch size, learning rate and so on.

    `learning_rate` None means 5e-5, or 5e-4 with LoRA; it rises over the first `warmup` of all steps and then falls to
    zero, both linearly (Devlin et al., 2018). The optimizer is AdamW with bias correction (Loshchilov and Hutter,
    2017, https://arxiv.org/abs/1711.05101; Mosbach et al., 2020, https://arxiv.org/abs/2006.04884, on why the
    correction matters), with `weight_decay` on all but biases and layer norms, and gradients clipped to the global
    norm `clip_norm`. With dev data the best epoch is kept, and training stops after `patience` epochs without a
    better one; None never stops early. `precision` "auto" computes in bfloat16 where the hardware does so natively;
    weights, sums and the optimizer are float32 always. In a run folder the state is kept after every epoch, and
    after every `checkpoint_steps` steps. Values that make no sense raise `InputError`.
    """

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float | None = None
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    patience: int | None = 2
    precision: TrainingPrecision = "auto"
    checkpoint_steps: int = 500

    def __post_init__(self) -> None:
        faults = []
        for name in ("epochs", "batch_size", "checkpoint_steps", "patience"):
            value = getattr(self, name)
            if value is None and name == "patience":
                continue
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                faults.append(f"{name} must be a whole number from 1, not {value!r}")
            else:
                # NumPy's are no JSON.
                object.__setattr__(self, name, int(value))
        for name, low, high in (
            ("learning_rate", 0.0, 1.0),
            ("warmup", 0.0, 1.0),
            ("weight_decay", 0.0, 1.0),
            ("clip_norm", 0.0, math.inf),
        ):
            value = getattr(self, name)
            if value is None and name == "learning_rate":
                continue
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float | np.integer | np.floating)
                or not low <= value <= high
            ):
                faults.append(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
            else:
                object.__setattr__(self, name, float(value))
        if self.clip_norm == 0:
            faults.append("clip_norm must be more than 0, since no gradient would be left")
        if self.precision not in get_args(TrainingPrecision):
            faults.append(f"precision must be one of {', '.join(get_args(TrainingPrecision))}, not {self.precision!r}")
        if faults:
            raise InputError("the hyperparameters cannot be used: " + "; ".join(faults))

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """The hyperparameters `given` by name, the others at their defaults; `InputError` names an unknown one."""
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = [name for name in given if name not in known]
        if unknown:
            raise InputError(f"{', '.join(unknown)}: not known; the hyperparameters are {', '.join(known)}")
        return cls(**given)

    def rate(self, step: int, steps: int, *, peak: float) -> float:
        """The learning rate of step `step`, counted from 0, of `steps`."""
        rising = round(self.warmup * steps)
        if step < rising:
            return peak * (step + 1) / rising
        return peak * (steps - step) / max(1, steps - rising)

    def to_dict(self) -> dict[str, Any]:
        """The values as plain JSON."""
        return dataclasses.asdict(self)
