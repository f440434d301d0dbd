"""The outputs that a network can be asked for, and the computation of those that are asked for."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from berthub.check import check_choice
from berthub.choices import POOLINGS, Pooling
from berthub.config import EncoderConfig
from berthub.errors import InputError
from berthub.networks import network
from berthub.networks.ops import Ops

__all__ = ["Output", "build", "pool"]

T = TypeVar("T")
W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class Output:
    """One output: the token vectors [b, s, h] of a layer, or with `pooling` one vector a text [b, h].

    `layer` counts the entries of encoder_outputs from 0, or from the top: -1, the last. With `mlm` it is what the
    masked-language-model head makes of the last layer at the positions that the inputs name, [b, p, vocabulary].
    The first `skip` tokens of each text, those of a prompt, are not pooled; cls and pooled cannot leave them out.
    """

    layer: int = -1
    pooling: Pooling | None = None
    mlm: bool = False
    skip: int = 0

    def resolved(self, config: EncoderConfig) -> "Output":
        """The same output with `layer` counted from 0; `InputError` for what the model does not have."""
        if self.pooling is not None:
            check_choice("pooling", self.pooling, POOLINGS)
        if (
            isinstance(self.layer, bool)
            or not isinstance(self.layer, int)
            or not (-config.num_states <= self.layer < config.num_states)
        ):
            raise InputError(
                f"layer {self.layer!r} does not exist: the model's {config.num_states} layers are "
                f"0 to {config.num_states - 1}, or counted from the top -1 to {-config.num_states}"
            )
        layer = self.layer % config.num_states
        if self.pooling == "pooled" and not config.has_pooled_output:
            raise InputError(
                "this model has no pooler, so it has no pooled_output; "
                'use sequence_output, or embed(..., pooling="mean") or "cls"'
            )
        if self.pooling == "pooled" and layer != config.num_states - 1:
            raise InputError(
                f"the pooler belongs to the last layer, not to layer {self.layer}; use cls, mean or max there"
            )
        if self.mlm and not config.mlm:
            raise InputError(
                "this model has no masked-language-model head, so it has no mlm_logits: the files that it was read "
                "from hold the encoder alone"
            )
        if self.skip and self.pooling in ("cls", "pooled"):
            raise InputError(
                f"the model's files say that the prompt is not pooled (include_prompt), and {self.pooling} is the "
                'vector of one token: without its prompt there is none. Use a pooling over tokens, or prompt=""'
            )
        return dataclasses.replace(self, layer=layer)


def build(
    ops: Ops[T, W],
    config: EncoderConfig,
    weights: Mapping[str, W],
    outputs: Sequence[Output],
    *,
    ids: T,
    mask: T,
    type_ids: T,
    positions: T | None = None,
) -> list[T]:
    """The resolved `outputs` in their order; what none of them needs is left out.

    Layers above the highest one are not computed, and of the highest one only the first position, if the rest of it
    is not asked for. `positions` [b, p] are those of the `mlm` outputs.
    """
    layers = 1 + max(output.layer for output in outputs)
    first_only = all(output.pooling in ("cls", "pooled") for output in outputs if output.layer == layers - 1)
    states = network.hidden_states(
        ops, config, weights, ids=ids, mask=mask, type_ids=type_ids, layers=layers, first_only=first_only
    )

    def one(output: Output) -> T:
        state = states[output.layer]
        if output.mlm:
            assert positions is not None, "the positions belong to the output"
            return network.mlm_logits(ops, config, weights, state, positions)
        match output.pooling:
            case None:
                return state
            case "pooled":
                return network.pooled_output(ops, config, weights, state)
            case pooling:
                return pool(ops, state, ops.without_first(mask, output.skip) if output.skip else mask, pooling)

    return [one(output) for output in outputs]


def pool(ops: Ops[T, W], x: T, mask: T, pooling: Pooling) -> T:
    """One vector a text [b, h] of the unmasked token vectors [b, s, h], by any pooling but the model's own pooler."""
    match pooling:
        case "cls":
            return ops.first(x)
        case "mean":
            return ops.masked_mean(x, mask)
        case "max":
            return ops.masked_max(x, mask)
        case "mean_sqrt_len_tokens" | "weightedmean" | "lasttoken":
            return ops.weighted_sum(x, ops.pooling_weights(mask, pooling))
        case "pooled":
            raise AssertionError("the pooler has weights")
