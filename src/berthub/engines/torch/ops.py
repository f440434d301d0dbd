"""The operations of a network on PyTorch tensors, with small operations fused."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from berthub.config import Activation
from berthub.engines.torch.attention import Scores, attention
from berthub.engines.torch.ragged import Ragged
from berthub.networks.ops import MASKED, Dense, Ops, Rows, WeightedPooling

__all__ = ["TorchOps"]

Tensor = Any


class TorchOps(Ops[Tensor, Tensor]):
    """`berthub.networks.ops.Ops` on PyTorch tensors; computes in `dtype`, and converts weights of another one.

    With `ragged` the tokens of all texts follow each other without padding, [1, t, h] instead of [b, s, h], and one
    vector a text is [b, h]. Masks and positions stay those of padded rows. Only attention and pooling look at one
    text after the other; what sees its padding (`EncoderConfig.sees_padding`) cannot be computed so.
    """

    def __init__(self, dtype: torch.dtype, *, ragged: Ragged | None = None) -> None:
        self._dtype = dtype
        self._ragged = ragged

    def gather(self, table: Tensor, ids: Tensor) -> Tensor:
        return functional.embedding(ids, table).to(self._dtype)

    def leading_rows(self, table: Tensor, ids: Tensor, *, first: int = 0) -> Tensor:
        if self._ragged is not None:
            return functional.embedding(self._ragged.positions + first, table)[None].to(self._dtype)
        return table[None, first : first + ids.shape[1]].to(self._dtype)

    def constant_rows(self, name: str, table: npt.NDArray[np.float32], ids: Tensor) -> Tensor:
        return self.leading_rows(torch.from_numpy(table).to(ids.device), ids)

    def rotate(self, x: Tensor, cos: Tensor, sin: Tensor, *, heads: int) -> Tensor:
        split = x.view(*x.shape[:2], heads, -1)
        first, second = split.chunk(2, dim=-1)
        turned = torch.cat([-second, first], dim=-1)
        return torch.addcmul(split * cos[:, :, None], turned, sin[:, :, None]).view(x.shape)

    def dense(self, x: Tensor, layer: Dense[Tensor]) -> Tensor:
        rows, kernel = x.reshape(-1, x.shape[-1]), layer.kernel.to(x.dtype)
        out = rows @ kernel if layer.bias is None else torch.addmm(layer.bias.to(x.dtype), rows, kernel)
        return out.reshape(*x.shape[:-1], -1)

    def table(self, table: Tensor) -> Tensor:
        return table[None].to(self._dtype)

    def tied_dense(self, x: Tensor, table: Tensor, bias: Tensor) -> Tensor:
        return functional.linear(x, table.to(x.dtype), bias.to(x.dtype))

    def scale_shift(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return torch.addcmul(beta.to(x.dtype), x, gamma.to(x.dtype))

    def layer_norm(self, x: Tensor, gamma: Tensor, beta: Tensor | None, *, eps: float) -> Tensor:
        # PyTorch sums in float32 by itself.
        return functional.layer_norm(
            x, x.shape[-1:], gamma.to(x.dtype), None if beta is None else beta.to(x.dtype), eps
        )

    def activation(self, x: Tensor, name: Activation) -> Tensor:
        if name == "relu":
            return functional.relu(x)
        if name == "silu":
            return functional.silu(x)
        return functional.gelu(x, approximate="tanh" if name == "gelu_tanh" else "none")

    def tanh(self, x: Tensor) -> Tensor:
        return torch.tanh(x)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y

    def multiply(self, x: Tensor, y: Tensor) -> Tensor:
        return x * y

    def neighbours(self, x: Tensor) -> Tensor:
        # Without padding there are zeros outside of each text, as the longest text has them at its ends.
        x = self._with_padding(x)
        padded = functional.pad(x, (0, 0, 1, 1))
        found = torch.cat([padded[:, 2:], x, padded[:, :-2]], dim=-1)
        return found if self._ragged is None else self._ragged.unpad(found)

    def masked(self, x: Tensor, mask: Tensor) -> Tensor:
        return x if self._ragged is not None else x * (mask[:, :, None] != 0)

    def dropout(self, x: Tensor, rate: float) -> Tensor:
        return x

    def attention_bias(self, mask: Tensor) -> Tensor:
        zero = torch.zeros((), dtype=self._dtype, device=mask.device)
        return torch.where(mask[:, None, None, :] != 0, zero, self._masked)

    @property
    def _masked(self) -> float:
        # Half of float16's range: a score is still to be added.
        return max(MASKED, float(torch.finfo(self._dtype).min) / 2)

    def local_bias(self, bias: Tensor, *, window: int, first_only: bool) -> Tensor:
        positions = torch.arange(bias.shape[-1], device=bias.device)
        distances = (positions[: 1 if first_only else None, None] - positions).abs()
        return torch.where(distances <= window, bias, self._masked)

    def relative_bias(self, table: Tensor, ids: Tensor, rows: Rows, *, first_only: bool = False) -> Scores:
        distances = torch.from_numpy(rows).to(table.device).long()

        @functools.cache
        def numbers(queries: int, keys: int) -> Tensor:
            places = torch.arange(keys) - torch.arange(queries)[:, None] + keys - 1
            middle = len(rows) // 2
            found = functional.embedding(distances[middle - keys : middle + keys], table).to(self._dtype)
            return found.T[:, places.to(table.device)][None]

        return lambda query, key: numbers(query.shape[1], key.shape[1])

    def relative_scores(
        self,
        query: Tensor,
        key: Tensor,
        ids: Tensor,
        rows: Rows,
        *,
        keys: Tensor | None,
        queries: Tensor | None,
        heads: int,
        scale: float,
        first_only: bool = False,
    ) -> Scores:
        def split(x: Tensor) -> Tensor:
            return x.view(*x.shape[:2], heads, -1).transpose(1, 2)

        position_keys, position_queries = (None if x is None else split(x) * scale for x in (keys, queries))
        middle = len(rows) // 2 - 1

        @functools.cache
        def chosen(queries: int, keys: int) -> tuple[slice, Tensor]:
            """The vectors that texts of this length have, and which of them is for [query, key]."""
            own = slice(int(rows[middle + keys - 1]), int(rows[middle + 1 - keys]) + 1)
            places = rows[np.arange(keys) - np.arange(queries)[:, None] + middle] - own.start
            return own, torch.from_numpy(places).long().to(query.device)

        def scores(query: Tensor, key: Tensor) -> Tensor:
            own, places = chosen(query.shape[1], key.shape[1])
            places = places.expand(len(query), heads, -1, -1)
            parts = []
            if position_keys is not None:
                products = split(query) @ position_keys[:, :, own].transpose(2, 3)
                parts.append(products.gather(3, places))
            if position_queries is not None:
                products = split(key) @ position_queries[:, :, own].transpose(2, 3)
                parts.append(products.gather(3, places.transpose(2, 3)).transpose(2, 3))
            return functools.reduce(torch.add, parts)

        return scores

    def attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor,
        *,
        heads: int,
        dropout: float,
        mixing: tuple[Tensor, Tensor] | None = None,
        scale: float | None = None,
        scores: Scores | None = None,
    ) -> Tensor:
        drop = self._attention_dropout(dropout)
        return attention(
            query,
            key,
            value,
            bias,
            heads=heads,
            mixing=mixing,
            scale=scale,
            scores=scores,
            ragged=self._ragged,
            drop=drop,
        )

    def _attention_dropout(self, rate: float) -> Callable[[Tensor], Tensor] | None:
        """Dropout for the attention weights; None without any, which lets PyTorch fuse the attention."""
        return None

    def first(self, x: Tensor) -> Tensor:
        if self._ragged is not None:
            return x if x.ndim == 2 else x[0, self._ragged.starts]
        return x[:, 0]

    def first_as_sequence(self, x: Tensor) -> Tensor:
        return x[:, :1] if self._ragged is None else self.first(x)

    def at_positions(self, x: Tensor, positions: Tensor) -> Tensor:
        if self._ragged is not None:
            return x[0, self._ragged.starts[:, None] + positions]
        return x.gather(1, positions.long()[:, :, None].expand(-1, -1, x.shape[-1]))

    def masked_mean(self, x: Tensor, mask: Tensor) -> Tensor:
        weights = (mask != 0).to(torch.float32)[:, :, None]
        return ((self._with_padding(x) * weights).sum(1) / weights.sum(1).clamp(min=1)).to(x.dtype)

    def masked_max(self, x: Tensor, mask: Tensor) -> Tensor:
        return torch.where(mask[:, :, None] != 0, self._with_padding(x), -torch.inf).amax(1)

    def weighted_sum(self, x: Tensor, weights: Tensor) -> Tensor:
        return (self._with_padding(x) * weights[:, :, None]).sum(1).to(x.dtype)

    def pooling_weights(self, mask: Tensor, pooling: WeightedPooling) -> Tensor:
        real = (mask != 0).to(torch.float32)
        places = real * torch.arange(1, mask.shape[1] + 1, device=mask.device)
        match pooling:
            case "mean_sqrt_len_tokens":
                return real / real.sum(1, keepdim=True).clamp(min=1).sqrt()
            case "weightedmean":
                return places / places.sum(1, keepdim=True).clamp(min=1)
            case "lasttoken":
                return real * (places == places.amax(1, keepdim=True))

    def without_first(self, mask: Tensor, count: int) -> Tensor:
        return mask * (torch.arange(mask.shape[1], device=mask.device) >= count)

    def _with_padding(self, x: Tensor) -> Tensor:
        return x if self._ragged is None else self._ragged.pad(x)
