"""Training data: tokens and targets, grouped into batches of similar length in a reproducible order."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.engines.batching import pad, select
from berthub.fingerprint import fingerprint
from berthub.networks.interface import INPUTS
from berthub.tokenization.tokens import Tokens, pad_rows
from berthub.training.randomness import Use, stream

__all__ = ["Examples", "TrainingBatch", "order_of_epoch", "training_batches"]

# How many batches are drawn together and sorted by length where padding costs time: more means less padding, and less
# chance in which rows share a batch, which costs quality (benchmarks/LOG.md).
_DRAWN_TOGETHER = 4


@dataclass(frozen=True, eq=False)
class Examples:
    """Tokens of `n` rows, `t` in all, and what the model should make of them.

    `targets` are int32 [n] (classify), float32 [n, labels] (multi_label), float32 [n, 1] (regress), or int32 [t] (tag),
    -1 where a token has none. `pad` is the id that fills up rows.
    """

    tokens: Tokens
    targets: npt.NDArray[Any]
    pad: int
    per_token: bool = False

    def __len__(self) -> int:
        return len(self.tokens)

    def fingerprint(self) -> str:
        """A hash that differs wherever the examples do."""
        return fingerprint((self.tokens.ids, self.tokens.type_ids, self.tokens.row_splits, self.targets))


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """Padded inputs [b, s], targets [b] or [b, labels] or [b, s], and weights of the same shape as the loss."""

    inputs: dict[str, npt.NDArray[np.int32]]
    targets: npt.NDArray[Any]
    weights: npt.NDArray[np.float32]
    examples: int


def order_of_epoch(
    lengths: npt.NDArray[np.int64], *, batch_size: int, seed: int, epoch: int, together: int = 1
) -> list[Any]:
    """The rows of each batch of an epoch, each row once: random, and then sorted by length.

    With `together` so many batches at a time are sorted as one, so that the rows of a batch have similar lengths.
    """
    rng = stream(seed, Use.ORDER, epoch)
    shuffled = rng.permutation(len(lengths))
    drawn = batch_size * together
    batches = []
    for start in range(0, len(shuffled), drawn):
        rows = shuffled[start : start + drawn]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[first : first + batch_size] for first in range(0, len(rows), batch_size)]
    return [batches[index] for index in rng.permutation(len(batches))]


def training_batches(
    examples: Examples,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    begin: int,
    few_shapes: bool,
    max_width: int,
    margin: int = 0,
) -> Iterator[TrainingBatch]:
    """The batches of an epoch, from the one with number `begin`.

    No batch is wider than `max_width`; up to that, every row is padded with `margin` tokens, or more.

    With `few_shapes`, for backends that compile for every shape and compute padding, too, rows of a batch have similar
    lengths, widths are rounded up, and a smaller batch is filled up with rows of weight 0.
    """
    lengths = examples.tokens.lengths
    together = _DRAWN_TOGETHER if few_shapes else 1
    for rows in order_of_epoch(lengths, batch_size=batch_size, seed=seed, epoch=epoch, together=together)[begin:]:
        width = int(lengths[rows].max()) + margin
        if few_shapes:
            step = 16 if width <= 64 else 64
            width = -(-width // step) * step
        width = min(width, max_width)
        yield _batch(examples, rows, width, batch_size if few_shapes else len(rows))


def _batch(examples: Examples, rows: npt.NDArray[np.int64], width: int, count: int) -> TrainingBatch:
    padded = pad(select(examples.tokens, rows), width=width, value=examples.pad)
    if examples.per_token:
        splits = examples.tokens.row_splits
        parts = [examples.targets[splits[row] : splits[row + 1]] for row in rows]
        inner = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(part) for part in parts])])
        targets = pad_rows(np.concatenate(parts), inner, width=width, value=-1)
        weights = (targets >= 0).astype(np.float32)
        targets = np.maximum(targets, 0)
    else:
        targets = examples.targets[rows]
        weights = np.ones(len(rows), np.float32)
    inputs = dict(zip(INPUTS, (padded.ids, padded.mask, padded.type_ids), strict=True))
    missing = count - len(rows)
    if missing:
        # Copies of the first row, so that no row is without a token; their weight is 0.
        inputs = {name: _fill(array, missing) for name, array in inputs.items()}
        targets = _fill(targets, missing)
        weights = np.concatenate([weights, np.zeros((missing, *weights.shape[1:]), np.float32)])
    return TrainingBatch(inputs, targets, weights, len(rows))


def _fill(array: npt.NDArray[Any], missing: int) -> npt.NDArray[Any]:
    return np.concatenate([array, np.repeat(array[:1], missing, axis=0)])
