"""The head of a fine-tuned model: one dense layer on the encoder, and what its outputs mean."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from berthub.brief import Brief
from berthub.choices import POOLINGS, Pooling
from berthub.errors import CheckpointError

__all__ = ["TASKS", "Head", "Task", "label_order"]

Task = Literal["classify", "multi_label", "regress", "tag"]
"""`classify`: one label for a text (softmax); `multi_label`: any number of them (a sigmoid each); `regress`: a number
for a text; `tag`: one label for each word (softmax), read at its first piece."""

TASKS: tuple[str, ...] = get_args(Task)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Head(Brief):
    """A dense layer on the encoder: `kernel` float32 [hidden, n], `bias` float32 [n], one column for each label.

    `labels` are the names of the outputs; a regression has one. `pooling` says what of a text the layer sees
    (`berthub.networks.outputs`), None for `tag`, where it sees every token of the last layer. `max_length` is the
    length to which texts were truncated in training. Making one validates it (`CheckpointError`).
    """

    task: Task
    labels: tuple[str, ...]
    pooling: Pooling | None
    max_length: int
    kernel: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        faults = []
        least = 2 if self.task in ("classify", "tag") else 1
        if self.task not in TASKS:
            faults.append(f"the task {self.task!r} is none of {', '.join(TASKS)}")
        if len(set(self.labels)) != len(self.labels) or not all(isinstance(name, str) for name in self.labels):
            faults.append(f"the labels must be different strings, not {self.labels!r}")
        if len(self.labels) < least or (self.task == "regress" and len(self.labels) != 1):
            faults.append(f"{len(self.labels)} labels do not fit the task {self.task}")
        if (self.pooling is None) != (self.task == "tag") or self.pooling not in (None, *POOLINGS):
            faults.append(f"the pooling {self.pooling!r} does not fit the task {self.task}")
        if not isinstance(self.max_length, int) or self.max_length < 3:
            faults.append(f"max_length is {self.max_length!r}, not a number of tokens")
        columns = len(self.labels)
        if self.kernel.ndim != 2 or self.kernel.shape[1] != columns or self.kernel.dtype != np.float32:
            faults.append(
                f"the kernel is {self.kernel.dtype} {self.kernel.shape}, not float32 [hidden, {columns}] for the labels"
            )
        if self.bias.shape != (columns,) or self.bias.dtype != np.float32:
            faults.append(f"the bias is {self.bias.dtype} {self.bias.shape}, not float32 [{columns}] for the labels")
        if faults:
            raise CheckpointError("the head of the model is not valid: " + "; ".join(faults))


def label_order(label: str) -> tuple[bool, int, str]:
    """A key to sort labels by where nobody gave their order: whole numbers by value, then the others by alphabet."""
    whole = label.isascii() and label.isdecimal()
    return not whole, len(label.lstrip("0")) if whole else 0, label
