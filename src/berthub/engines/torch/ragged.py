"""Batches without padding: where the tokens of each text are, and which texts attend together."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

__all__ = ["Ragged", "TextGroup"]

Tensor = Any

# How many texts attend together: fewer means less padding, and more small operations.
_TOGETHER = 8


@dataclass(frozen=True, eq=False)
class TextGroup:
    """Neighbouring texts that attend together, padded to the longest of them.

    `rows` are the group's texts, and `tokens` their tokens among those of all texts. `places` are where these tokens
    are in [b * width], if the texts are padded to `width`.
    """

    rows: slice
    tokens: slice
    width: int
    places: Tensor

    def pad(self, x: Tensor) -> Tensor:
        """The group's tokens of [1, t, h], padded: [b, width, h]."""
        count = self.rows.stop - self.rows.start
        flat = x.new_zeros((count * self.width, x.shape[-1])).index_copy(0, self.places, x[0, self.tokens])
        return flat.view(count, self.width, -1)

    def unpad(self, x: Tensor) -> Tensor:
        """[b, width, h] of the group without its padding: [t, h]."""
        return x.reshape(-1, x.shape[-1])[self.places]


@dataclass(frozen=True, eq=False)
class Ragged:
    """The arrangement of a batch without padding: its tokens follow each other, [1, t] instead of [b, s].

    Most of a network works token by token, and need not know of texts; so padding costs nothing there. Attention
    takes a few texts at a time, padded to the longest of them: cheap if rows of similar length are neighbours.

    `width` is s. `places` are the tokens' places in [b * s], `positions` their positions in their texts, and `starts`
    the places of the texts' first tokens in [t].
    """

    width: int
    places: Tensor
    positions: Tensor
    starts: Tensor
    groups: tuple[TextGroup, ...]

    @classmethod
    def of_mask(cls, mask: Tensor) -> Self:
        """For a `mask` [b, s] whose rows are ones, then zeros."""
        count, width = mask.shape
        lengths = mask.sum(1).cpu().numpy()
        splits = np.concatenate([[0], np.cumsum(lengths)])
        positions = np.arange(splits[-1]) - np.repeat(splits[:-1], lengths)
        rows = np.repeat(np.arange(count), lengths)

        def index(array: Any) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array, np.int64)).to(mask.device)

        groups = []
        for first in range(0, count, _TOGETHER):
            stop = min(first + _TOGETHER, count)
            tokens = slice(int(splits[first]), int(splits[stop]))
            longest = int(lengths[first:stop].max())
            places = index((rows[tokens] - first) * longest + positions[tokens])
            groups.append(TextGroup(slice(first, stop), tokens, longest, places))
        return cls(width, index(rows * width + positions), index(positions), index(splits[:-1]), tuple(groups))

    def take(self, x: Tensor) -> Tensor:
        """Numbers of padded rows [b, s] without padding: [1, t]."""
        return x.reshape(-1)[self.places][None]

    def unpad(self, x: Tensor) -> Tensor:
        """Vectors of padded rows [b, s, h] without padding: [1, t, h]."""
        return x.reshape(-1, x.shape[-1])[self.places][None]

    def pad(self, x: Tensor) -> Tensor:
        """[1, t, h] with zeros for padding: [b, s, h]."""
        rows = len(self.starts)
        flat = x.new_zeros((rows * self.width, x.shape[-1])).index_copy(0, self.places, x[0])
        return flat.view(rows, self.width, -1)
