"""What a network can be asked for, and the part of it that has to be computed for that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from berthub.config import POOLINGS, BertConfig, Pooling
from berthub.errors import InputError
from berthub.networks import bert
from berthub.networks.ops import Ops

__all__ = ["Output", "build"]

T = TypeVar("T")
W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class Output:
    """One output: the token vectors [b, s, h] of a layer, or with `pooling` one vector a text [b, h].

    `layer` counts from 0, the first layer, or from the top: -1, the last.
    """

    layer: int = -1
    pooling: Pooling | None = None

    def resolved(self, config: BertConfig) -> "Output":
        """The same output with `layer` counted from 0; `InputError` for what the model does not have."""
        if self.pooling is not None and self.pooling not in POOLINGS:
            raise InputError(f"pooling={self.pooling!r} is not known; use one of {', '.join(POOLINGS)}")
        if (
            isinstance(self.layer, bool)
            or not isinstance(self.layer, int)
            or not (-config.num_layers <= self.layer < config.num_layers)
        ):
            raise InputError(
                f"layer {self.layer!r} does not exist: the model's {config.num_layers} layers are "
                f"0 to {config.num_layers - 1}, or counted from the top -1 to {-config.num_layers}"
            )
        layer = self.layer % config.num_layers
        if self.pooling == "pooled" and not config.pooler:
            raise InputError(
                "this model has no pooler, so it has no pooled_output; "
                'use sequence_output, or embed(..., pooling="mean") or "cls"'
            )
        if self.pooling == "pooled" and layer != config.num_layers - 1:
            raise InputError(
                f"the pooler belongs to the last layer, not to layer {self.layer}; use cls, mean or max there"
            )
        return Output(layer, self.pooling)


def build(
    ops: Ops[T, W],
    config: BertConfig,
    weights: Mapping[str, W],
    outputs: Sequence[Output],
    *,
    ids: T,
    mask: T,
    type_ids: T,
) -> list[T]:
    """The resolved `outputs` in their order; what none of them needs is left out.

    Layers above the highest one are not computed, and of the highest one only the first position, if the rest of it
    is not asked for.
    """
    layers = 1 + max(output.layer for output in outputs)
    first_alone = all(output.pooling in ("cls", "pooled") for output in outputs if output.layer == layers - 1)
    states = bert.hidden_states(
        ops, config, weights, ids=ids, mask=mask, type_ids=type_ids, layers=layers, first_alone=first_alone
    )

    def one(output: Output) -> T:
        state = states[output.layer]
        match output.pooling:
            case None:
                return state
            case "cls":
                return ops.first(state)
            case "mean":
                return ops.masked_mean(state, mask)
            case "max":
                return ops.masked_max(state, mask)
            case "pooled":
                return bert.pooled_output(ops, weights, state)

    return [one(output) for output in outputs]
