"""PyTorch's operations for training: dropout, LoRA and sparse gradients of tables, added to those of the engine."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from berthub.engines.torch.ops import TorchOps
from berthub.engines.torch.ragged import Ragged
from berthub.networks.ops import Dense
from berthub.training.randomness import dropout_share
from berthub.training.weights import LowRankKernel

__all__ = ["TrainingOps", "generator", "torch_dtype"]

Tensor = Any

# The bits of the significand, with the leading one that is not stored.
_DIGITS = {torch.float64: 53, torch.float32: 24, torch.float16: 11, torch.bfloat16: 8}


class TrainingOps(TorchOps):
    """The operations of a forward pass that may be trained; kernels may be a `LowRankKernel`.

    `generator` is what dropout draws from (see `generator` below); None means no dropout. With `ragged` (see
    `TorchOps`) the gradient of a table that rows are gathered from is sparse: of the few rows that a batch has.
    """

    def __init__(
        self,
        dtype: torch.dtype,
        generator: "np.random.BitGenerator | torch.Generator | None",
        *,
        ragged: Ragged | None = None,
    ) -> None:
        super().__init__(dtype, ragged=ragged)
        self._generator = generator

    def gather(self, table: Tensor, ids: Tensor) -> Tensor:
        return functional.embedding(ids, table, sparse=self._ragged is not None).to(self._dtype)

    def dense(self, x: Tensor, layer: Dense[Tensor]) -> Tensor:
        kernel = layer.kernel
        if not isinstance(kernel, LowRankKernel):
            return super().dense(x, layer)
        rows = x.reshape(-1, x.shape[-1])
        out = super().dense(rows, Dense(layer.name, kernel.base, layer.bias))
        out = torch.addmm(out, rows @ kernel.down.to(x.dtype), kernel.up.to(x.dtype), alpha=kernel.scale)
        return out.reshape(*x.shape[:-1], -1)

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

    def _attention_dropout(self, rate: float) -> Callable[[Tensor], Tensor] | None:
        return functools.partial(self.dropout, rate=rate) if self._generator is not None and rate else None


def torch_dtype(name: str) -> torch.dtype:
    """The PyTorch dtype of that name."""
    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype


def generator(seeds: Any) -> np.random.BitGenerator | torch.Generator:
    """The random generator of dropout in one forward pass, from the next of Keras's seeds; NumPy's on the processor.

    There PyTorch's own is twice as slow, and knows only 2**32 different seeds.
    """
    sequence = np.random.SeedSequence([int(number) & 0xFFFF_FFFF for number in seeds.next()])
    device = seeds.state.value.device
    if device.type == "cpu":
        return np.random.SFC64(sequence)
    return torch.Generator(device=device).manual_seed(int(sequence.generate_state(1, np.uint64)[0]) >> 1)
