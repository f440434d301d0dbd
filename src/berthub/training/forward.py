"""The forward pass of a layer: the outputs of a model for its inputs, over operations that the caller chooses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from berthub.config import EncoderConfig
from berthub.networks import network
from berthub.networks.interface import MLM_LOGITS
from berthub.networks.ops import Ops
from berthub.training.layer_outputs import POOLED

__all__ = ["InputTensors", "forward"]


@dataclass(frozen=True, eq=False)
class InputTensors:
    """The inputs of a forward pass: int32 [b, s] each, and `positions` [b, p] of masked-language-model logits."""

    ids: Any
    mask: Any
    type_ids: Any
    positions: Any = None


def forward(
    ops: Ops[Any, Any],
    config: EncoderConfig,
    weights: Mapping[str, Any],
    inputs: InputTensors,
    *,
    wanted: frozenset[str],
) -> dict[str, Any]:
    """The outputs of a model by TF Hub's names; those that are not `wanted` may be missing, or hold less.

    `weights` are tensors, or what else `ops` takes as kernels. `mlm_logits` are there if the inputs have positions.
    """
    first_only = wanted <= POOLED and inputs.positions is None
    states = network.hidden_states(
        ops,
        config,
        weights,
        ids=inputs.ids,
        mask=inputs.mask,
        type_ids=inputs.type_ids,
        layers=config.num_states,
        first_only=first_only,
    )
    outputs: dict[str, Any] = {"encoder_outputs": states, "sequence_output": states[-1]}
    if wanted & POOLED:
        pooled = network.pooled_output(ops, config, weights, states[-1])
        outputs |= {"default": pooled, "pooled_output": pooled}
    if inputs.positions is not None:
        outputs[MLM_LOGITS] = network.mlm_logits(ops, config, weights, states[-1], inputs.positions)
    return outputs
