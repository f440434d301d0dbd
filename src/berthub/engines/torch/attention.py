"""Scaled dot-product attention on PyTorch tensors: padded, or over texts without padding."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from berthub.engines.torch.ragged import Ragged

__all__ = ["Scores", "attention"]

Tensor = Any
Scores = Callable[[Tensor, Tensor], Tensor]
"""From queries [b, q, h] and keys [b, k, h] to what is added to their scaled products, [b or 1, heads, q, k]."""


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor,
    *,
    heads: int,
    mixing: tuple[Tensor, Tensor] | None = None,
    scale: float | None = None,
    scores: Scores | None = None,
    ragged: Ragged | None = None,
    drop: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """The operation of `berthub.networks.ops.Ops`; with `ragged` all are [1, t, h], and a query of first tokens [b, h].

    `bias` is that of the padded mask either way, [b, 1, 1 or s, s]. `drop` is what falls on the attention weights:
    dropout. `scores` gives what is added for some texts, from their padded queries and keys.
    """

    def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        added = None if scores is None else scores(query, key)
        return _padded(query, key, value, bias, heads=heads, mixing=mixing, scale=scale, added=added, drop=drop)

    if ragged is None:
        return attend(query, key, value, bias)
    first_only = query.ndim == 2
    contexts = []
    for group in ragged.groups:
        mine = query[group.rows, None] if first_only else group.pad(query)
        mask = bias[group.rows, :, : group.width, : group.width]
        context = attend(mine, group.pad(key), group.pad(value), mask)
        contexts.append(context[:, 0] if first_only else group.unpad(context))
    joined = torch.cat(contexts)
    return joined if first_only else joined[None]


def _padded(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor,
    *,
    heads: int,
    mixing: tuple[Tensor, Tensor] | None,
    scale: float | None,
    added: Tensor | None,
    drop: Callable[[Tensor], Tensor] | None,
) -> Tensor:
    def split(x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], heads, -1).transpose(1, 2)

    query, key, value = split(query), split(key), split(value)
    if mixing is None and drop is None:
        bias = bias if added is None else bias + added
        context = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=scale)
    else:
        # Written out: PyTorch's own draws its dropout from the global generator, and cannot mix heads.
        scores = (query * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)) @ key.transpose(-1, -2)
        scores = scores if added is None else scores + added
        if mixing is not None:
            scores = torch.einsum("bnqk,nm->bmqk", scores, mixing[0].to(scores.dtype))
        weights = torch.softmax(scores + bias, -1)
        if mixing is not None:
            weights = torch.einsum("bnqk,nm->bmqk", weights, mixing[1].to(weights.dtype))
        context = (weights if drop is None else drop(weights)) @ value
    return context.transpose(1, 2).reshape(context.shape[0], context.shape[2], -1)
