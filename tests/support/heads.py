"""Tiny models with a head, as fine-tuning would leave them."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from berthub.choices import Pooling
from berthub.formats import read
from berthub.formats.native import write_native
from berthub.head import Head, Task

LABELS: dict[Task, tuple[str, ...]] = {
    "classify": ("negative", "positive"),
    "multi_label": ("news", "sports", "arts"),
    "regress": ("value",),
    "tag": ("O", "B-PER", "I-PER", "B-LOC", "I-LOC"),
}


def with_head(source: Path, folder: Path, task: Task, labels: tuple[str, ...] | None = None) -> Path:
    """The model in `source` with a random head for the task, saved in `folder`."""
    checkpoint = read(source)
    labels = labels or LABELS[task]
    pooling: Pooling | None = None if task == "tag" else "mean"
    kernel = np.random.default_rng(7).normal(size=(checkpoint.config.hidden_size, len(labels))).astype(np.float32)
    bias = np.zeros(len(labels), np.float32)
    head = Head(task=task, labels=labels, pooling=pooling, max_length=16, kernel=kernel, bias=bias)
    write_native(replace(checkpoint, head=head), folder)
    return folder
