"""The operations of a network on PyTorch tensors: what Keras's own would compose of many small ones, fused."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from berthub.config import Activation
from berthub.networks.ops import MASKED, Dense, Ops
from berthub.training.randomness import dropout_share
from berthub.training.weights import LowRank

__all__ = ["TorchOps", "Unpadded", "generator", "torch_dtype"]

Tensor = Any
Weight = Any

# Of the significand, with the leading one that is not stored.
_DIGITS = {torch.float64: 53, torch.float32: 24, torch.float16: 11, torch.bfloat16: 8}

# How many texts attend together: fewer means less padding, and more small operations.
_TOGETHER = 8


@dataclass(frozen=True, eq=False)
class _Group:
    """Texts that follow each other, and attend together: `places` are where their tokens are when padded to `width`."""

    rows: slice
    tokens: slice
    width: int
    places: torch.Tensor

    def padded(self, x: Tensor) -> Tensor:
        """[1, t, h] of all texts to [b, width, h] of these."""
        count = self.rows.stop - self.rows.start
        flat = x.new_zeros((count * self.width, x.shape[-1])).index_copy(0, self.places, x[0, self.tokens])
        return flat.view(count, self.width, -1)

    def unpadded(self, x: Tensor) -> Tensor:
        """[b, width, h] of these texts to [t, h]."""
        return x.reshape(-1, x.shape[-1])[self.places]


class Unpadded:
    """Where the tokens of padded rows are, for a `mask` [b, s] whose rows are ones, then zeros.

    Most of a network works token by token, and need not know of texts; so padding costs nothing there. Attention
    does a few texts at a time, padded to the longest of them: cheap if rows of similar length are neighbours.
    """

    def __init__(self, mask: Tensor) -> None:
        count, self._width = mask.shape
        lengths = mask.sum(1).cpu().numpy()
        splits = np.concatenate([[0], np.cumsum(lengths)])

        def index(array: Any) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array, np.int64)).to(mask.device)

        positions = np.arange(splits[-1]) - np.repeat(splits[:-1], lengths)
        rows = np.repeat(np.arange(count), lengths)
        self.positions = index(positions)
        self.starts = index(splits[:-1])
        self._places = index(rows * self._width + positions)
        self.groups = []
        for first in range(0, count, _TOGETHER):
            stop = min(first + _TOGETHER, count)
            tokens = slice(int(splits[first]), int(splits[stop]))
            width = int(lengths[first:stop].max())
            places = index((rows[tokens] - first) * width + positions[tokens])
            self.groups.append(_Group(slice(first, stop), tokens, width, places))

    def take(self, x: Tensor) -> Tensor:
        """Numbers of padded rows [b, s] without padding: [1, t]."""
        return x.reshape(-1)[self._places][None]

    def padded(self, x: Tensor) -> Tensor:
        """[1, t, h] to [b, s, h], with zeros for padding."""
        rows = len(self.starts)
        flat = x.new_zeros((rows * self._width, x.shape[-1])).index_copy(0, self._places, x[0])
        return flat.view(rows, self._width, -1)


class TorchOps(Ops[Tensor, Weight]):
    """`berthub.networks.ops.Ops` on PyTorch, over Keras variables; computes in `dtype`.

    `generator` is what dropout draws from (see `generator` below); None means no dropout. With `unpadded` the tokens
    of all texts follow each other without padding, [1, t, h] instead of [b, s, h] (and one vector a text is [b, h]);
    only attention looks at one text after the other. The gradient of a table that rows are gathered from is sparse
    then: of the few rows that a batch has.
    """

    def __init__(
        self,
        dtype: torch.dtype,
        generator: "np.random.BitGenerator | torch.Generator | None",
        *,
        unpadded: Unpadded | None = None,
    ) -> None:
        self._dtype = dtype
        self._generator = generator
        self._unpadded = unpadded

    def gather(self, table: Weight, ids: Tensor) -> Tensor:
        return functional.embedding(ids, table.value, sparse=self._unpadded is not None).to(self._dtype)

    def leading_rows(self, table: Weight, ids: Tensor, *, first: int = 0) -> Tensor:
        if self._unpadded is not None:
            return functional.embedding(self._unpadded.positions + first, table.value)[None].to(self._dtype)
        return table.value[None, first : first + ids.shape[1]].to(self._dtype)

    def dense(self, x: Tensor, layer: Dense[Weight]) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        kernel, bias = layer.kernel, layer.bias.value.to(x.dtype)
        if isinstance(kernel, LowRank):
            down, up = kernel.down.value.to(x.dtype), kernel.up.value.to(x.dtype)
            out = torch.addmm(bias, rows, kernel.base.value.to(x.dtype))
            out = torch.addmm(out, rows @ down, up, alpha=kernel.scale)
        else:
            out = torch.addmm(bias, rows, kernel.value.to(x.dtype))
        return out.reshape(*x.shape[:-1], -1)

    def tied_dense(self, x: Tensor, table: Weight, bias: Weight) -> Tensor:
        return functional.linear(x, table.value.to(x.dtype), bias.value.to(x.dtype))

    def scale_shift(self, x: Tensor, gamma: Weight, beta: Weight) -> Tensor:
        return torch.addcmul(beta.value.to(x.dtype), x, gamma.value.to(x.dtype))

    def layer_norm(self, x: Tensor, gamma: Weight, beta: Weight, *, eps: float) -> Tensor:
        # PyTorch sums in float32 by itself.
        return functional.layer_norm(x, x.shape[-1:], gamma.value.to(x.dtype), beta.value.to(x.dtype), eps)

    def activation(self, x: Tensor, name: Activation) -> Tensor:
        if name == "relu":
            return functional.relu(x)
        return functional.gelu(x, approximate="tanh" if name == "gelu_tanh" else "none")

    def tanh(self, x: Tensor) -> Tensor:
        return torch.tanh(x)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y

    def multiply(self, x: Tensor, y: Tensor) -> Tensor:
        return x * y

    def neighbours(self, x: Tensor) -> Tensor:
        assert self._unpadded is None, "what sees its padding cannot do without it"
        padded = functional.pad(x, (0, 0, 1, 1))
        return torch.cat([padded[:, 2:], x, padded[:, :-2]], dim=-1)

    def dropout(self, x: Tensor, rate: float) -> Tensor:
        if self._generator is None or not rate:
            return x
        share, factor = dropout_share(rate, digits=_DIGITS[x.dtype])
        if isinstance(self._generator, torch.Generator):
            kept = torch.empty_like(x).bernoulli_(share, generator=self._generator)
        else:
            # Four draws of 16 bits from one of 64: a quarter of the time of `bernoulli_`, which draws one by one.
            draws = torch.from_numpy(self._generator.random_raw(-(-x.numel() // 4)).view(np.int16))
            kept = (draws[: x.numel()] >= round((1 - share) * 2**16) - 2**15).view(x.shape).to(x.dtype)
        return x * kept.mul_(factor)

    def attention_bias(self, mask: Tensor) -> Tensor:
        zero = torch.zeros((), dtype=self._dtype, device=mask.device)
        # Half of float16's range: a score is still to be added.
        return torch.where(mask[:, None, None, :] != 0, zero, max(MASKED, torch.finfo(self._dtype).min / 2))

    def attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor,
        *,
        heads: int,
        dropout: float,
        mixing: tuple[Weight, Weight] | None = None,
    ) -> Tensor:
        if self._unpadded is None:
            return self._attention(query, key, value, bias, heads=heads, dropout=dropout, mixing=mixing)
        contexts = []
        for group in self._unpadded.groups:
            mine = query[group.rows, None] if query.ndim == 2 else group.padded(query)
            context = self._attention(
                mine,
                group.padded(key),
                group.padded(value),
                bias[group.rows, ..., : group.width],
                heads=heads,
                dropout=dropout,
                mixing=mixing,
            )
            contexts.append(context[:, 0] if query.ndim == 2 else group.unpadded(context))
        joined = torch.cat(contexts)
        return joined if query.ndim == 2 else joined[None]

    def _attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor,
        *,
        heads: int,
        dropout: float,
        mixing: tuple[Weight, Weight] | None,
    ) -> Tensor:
        def split(x: Tensor) -> Tensor:
            return x.view(*x.shape[:2], heads, -1).transpose(1, 2)

        query, key, value = split(query), split(key), split(value)
        if mixing is None and (self._generator is None or not dropout):
            context = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        else:
            # Written out: PyTorch's own draws its dropout from the global generator, and cannot mix heads.
            scores = (query * (1 / math.sqrt(query.shape[-1]))) @ key.transpose(-1, -2)
            if mixing is not None:
                scores = torch.einsum("bnqk,nm->bmqk", scores, mixing[0].value.to(scores.dtype))
            weights = torch.softmax(scores + bias, -1)
            if mixing is not None:
                weights = torch.einsum("bnqk,nm->bmqk", weights, mixing[1].value.to(weights.dtype))
            context = self.dropout(weights, dropout) @ value
        return context.transpose(1, 2).reshape(context.shape[0], context.shape[2], -1)

    def first(self, x: Tensor) -> Tensor:
        if self._unpadded is not None:
            return x if x.ndim == 2 else x[0, self._unpadded.starts]
        return x[:, 0]

    def first_as_sequence(self, x: Tensor) -> Tensor:
        return x[:, :1] if self._unpadded is None else self.first(x)

    def at_positions(self, x: Tensor, positions: Tensor) -> Tensor:
        return x.gather(1, positions.long()[:, :, None].expand(-1, -1, x.shape[-1]))

    def masked_mean(self, x: Tensor, mask: Tensor) -> Tensor:
        weights = (mask != 0).to(torch.float32)[:, :, None]
        return ((x * weights).sum(1) / weights.sum(1).clamp(min=1)).to(x.dtype)

    def masked_max(self, x: Tensor, mask: Tensor) -> Tensor:
        return torch.where(mask[:, :, None] != 0, x, -torch.inf).amax(1)


def torch_dtype(name: str) -> torch.dtype:
    """PyTorch's type of that name."""
    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype


def generator(seeds: Any) -> np.random.BitGenerator | torch.Generator:
    """What dropout draws from in one forward pass, from the next of Keras's seeds; NumPy's on the processor.

    There PyTorch's own is twice as slow, and knows only 2**32 different seeds.
    """
    sequence = np.random.SeedSequence([int(number) & 0xFFFF_FFFF for number in seeds.next()])
    device = seeds.state.value.device
    if device.type == "cpu":
        return np.random.SFC64(sequence)
    return torch.Generator(device=device).manual_seed(int(sequence.generate_state(1, np.uint64)[0]) >> 1)
